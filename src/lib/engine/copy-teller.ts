/**
 * How far are replicas with their first copies, and does anything come at all? Read now and then; one that loads its copy
 * answers INFO and little else.
 */
import {NodeError} from '../errors.ts'
import {formatAddress} from '../topology/model.ts'
import {type CopyProgress, parseCopyProgress} from '../topology/parse-info.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {mapBounded} from './waiting.ts'

const EVERY_MS = 2000
/** A primary may have to end another copy before it begins ours. */
const STALL_MS = 300_000

/**
 * To be called with those that are not in step whenever one looks whether they are.
 * @returns whether to go on waiting: false when nobody has received anything for long.
 */
export function copyTeller(listener: EngineListener | undefined): (ports: readonly NodePort[]) => Promise<boolean> {
  let readAt = performance.now()
  let aliveAt = readAt
  return async (ports) => {
    const now = performance.now()
    if (now - readAt < EVERY_MS) return true
    readAt = now
    const told = await mapBounded(ports.slice(0, 4), 4, async (port) => describe(port, await readCopy(port)))
    const known = told.filter((text) => text !== undefined)
    if (known.length > 0) {
      aliveAt = now
      listener?.({kind: 'phase', text: `First synchronisation: ${known.join(', ')}`})
    }
    return now - aliveAt < STALL_MS
  }
}

async function readCopy(port: NodePort): Promise<CopyProgress | undefined> {
  try {
    const answer = await port.callCommand([Buffer.from('INFO')])
    return 'reply' in answer ? parseCopyProgress(String(answer.reply)) : undefined
  } catch (error) {
    if (error instanceof NodeError) return undefined
    throw error
  }
}

function describe({address}: NodePort, copy: CopyProgress | undefined): string | undefined {
  if (!copy) return undefined
  const amount =
    copy.fraction === undefined ? `${Math.round(copy.bytes / 2 ** 20)} MB` : `${Math.floor(copy.fraction * 100)} %`
  return `${formatAddress(address)} has ${copy.stage} ${amount}`
}
