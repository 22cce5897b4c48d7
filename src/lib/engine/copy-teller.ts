/** How far are replicas with their first copies? Told now and then; one that loads its copy answers INFO and little else. */
import {NodeError} from '../errors.ts'
import {formatAddress} from '../topology/model.ts'
import {type CopyProgress, parseCopyProgress} from '../topology/parse-info.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {mapBounded} from './waiting.ts'

const EVERY_MS = 2000

/** To be called whenever one looks whether they are in step. */
export function copyTeller(listener: EngineListener | undefined): (ports: readonly NodePort[]) => Promise<void> {
  let toldAt = performance.now()
  return async (ports) => {
    if (!listener || performance.now() - toldAt < EVERY_MS) return
    toldAt = performance.now()
    const told = await mapBounded(ports.slice(0, 4), 4, async (port) => describe(port, await readCopy(port)))
    const known = told.filter((text) => text !== undefined)
    if (known.length > 0) listener({kind: 'phase', text: `First synchronisation: ${known.join(', ')}`})
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
