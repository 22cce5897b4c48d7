/**
 * What do the nodes of a round say of themselves and of one another? Read without the program's own parsers, so that a
 * fault of theirs is seen.
 */
import {rawCommand} from '../support/servers.ts'

export interface NodeLine {
  readonly id: string
  readonly address: string
  readonly flags: readonly string[]
  /** Of a replica. */
  readonly primaryId: string | undefined
  readonly epoch: number
  readonly slots: readonly number[]
  /** "[42->-…]": only a node's own line has them. */
  readonly marks: readonly string[]
}

export interface NodePicture {
  readonly address: string
  readonly self: NodeLine
  readonly lines: readonly NodeLine[]
}

export async function readPicture(address: string, timeoutMs = 2000): Promise<NodePicture> {
  const text = String(await rawCommand(address, ['CLUSTER', 'NODES'], {timeoutMs}))
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseLine)
  const self = lines.find(({flags}) => flags.includes('myself'))
  if (!self) throw new Error(`${address} does not name itself`)
  return {address, self: {...self, address}, lines}
}

/** Of those that answer. */
export async function readPictures(addresses: readonly string[], timeoutMs?: number): Promise<NodePicture[]> {
  const answers = await Promise.allSettled(addresses.map((address) => readPicture(address, timeoutMs)))
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
}

function parseLine(line: string): NodeLine {
  const [id = '', place = '', flags = '', primary = '-', , , epoch = '0', , ...words] = line.split(' ')
  const ranges = words.filter((word) => !word.startsWith('['))
  return {
    id,
    address: place.replace(/@.*$/, ''),
    flags: flags.split(','),
    primaryId: primary === '-' ? undefined : primary,
    epoch: Number(epoch),
    slots: ranges.flatMap((range) => {
      const [start = 0, end = start] = range.split('-').map(Number)
      return Array.from({length: end - start + 1}, (_, at) => start + at)
    }),
    marks: words.filter((word) => word.startsWith('[')),
  }
}

export function isPrimary({flags}: NodeLine): boolean {
  return flags.includes('master')
}

/** Who serves what, by the nodes' own lines: "id: slots" of each primary, and who follows whom. */
export function ownMap(pictures: readonly NodePicture[]): string {
  return pictures
    .map(({self}) => `${self.id} ${self.primaryId ?? ''} ${self.slots.join(',')} ${self.marks.join()}`)
    .sort()
    .join('\n')
}

/** As one node sees all: without what changes by itself. */
export function seenMap({lines}: NodePicture): string {
  return lines
    .map(({id, primaryId, slots}) => `${id} ${primaryId ?? 'primary'} ${slots.length} ${slots[0] ?? ''}`)
    .sort()
    .join('\n')
}
