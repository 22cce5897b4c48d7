/** Does what was set outlast a restart of the node? Only where its file could be written. */
import {NodeError} from '../errors.ts'
import type {NodePort} from './cluster-port.ts'

/** Writes the settings of the node to its file. @returns why that failed; undefined when they are there. */
export async function keepSettings(node: NodePort): Promise<string | undefined> {
  return failureOf(() => node.rewriteConfig())
}

/** The message of the NodeError that `work` ends with; undefined when it ends well. */
export async function failureOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return error.message
  }
}
