/**
 * What does the word mean that a person wants explained: a slot, a node or a key? A number is a slot; what names a node of the
 * cluster is that node; anything else is a key, for keys may look like anything. --as says it where this is wrong.
 */
import {isIP} from 'node:net'
import {UsageError} from '../errors.ts'
import {hashTag, keySlot} from '../slots/key-slot.ts'
import {isSlot} from '../slots/slot.ts'
import type {ClusterNode, Topology} from '../topology/model.ts'
import {findNode, listNodes} from '../topology/queries.ts'

export const MEANINGS = ['slot', 'key', 'node'] as const
export type Meaning = (typeof MEANINGS)[number]

export type Question =
  | {
      readonly kind: 'slot'
      readonly slot: number
      readonly key: string | undefined
      readonly hashTag: string | undefined
    }
  | {readonly kind: 'node'; readonly node: ClusterNode}

/** "866" is a slot, and never the beginning of a node's ID; so few digits of one are no name either. */
const FEWEST_ID_DIGITS = 4

/** @throws UsageError for a number that is no slot, and for an address that is no node of this cluster. */
export function parseQuestion(word: string, meaning: Meaning | undefined, topology: Topology): Question {
  if (meaning === 'key') return keyQuestion(word)
  if (meaning === 'slot' || (meaning === undefined && /^\d{1,5}$/.test(word))) {
    const slot = /^\d{1,5}$/.test(word) ? Number(word) : Number.NaN
    if (isSlot(slot)) return {kind: 'slot', slot, key: undefined, hashTag: undefined}
    throw new UsageError(`${word} is no slot: they are numbered 0 to 16383`, {
      suggestions: ['A key of that name: --as key', 'A node whose ID begins so: --as node'],
    })
  }
  const isTooShort = meaning === undefined && word.length < FEWEST_ID_DIGITS
  const node = isTooShort ? undefined : findNode(topology, withoutScheme(word))
  if (node) return {kind: 'node', node}
  if (meaning !== 'node' && !isAddress(word)) return keyQuestion(word)
  throw new UsageError(`no node of this cluster is called "${withoutScheme(word)}"`, {
    suggestions: [`The nodes are ${listNodes(topology.nodes, 12)}`, 'A key of that name: --as key'],
  })
}

function keyQuestion(key: string): Question {
  return {kind: 'slot', slot: keySlot(key), key, hashTag: hashTag(key)}
}

/**
 * An IP address or localhost, with a port or by URL: what nobody means for a key, so that it may serve as the seed. Names with
 * dots and colons are what keys have, too.
 */
export function isAddress(word: string): boolean {
  if (/^(redis|valkey)s?:\/\//i.test(word)) return true
  const host = /^(.+):\d{1,5}$/.exec(word)?.[1]?.replace(/^\[(.*)\]$/, '$1') ?? ''
  return isIP(host) !== 0 || host === 'localhost'
}

/** "rediss://user:secret@host:7000/0" → "host:7000": it is looked for among the nodes, and repeated in errors. */
function withoutScheme(word: string): string {
  return /^[a-z]+:\/\//i.test(word) ? word.replace(/^[a-z]+:\/\/(?:.*@)?/i, '').replace(/[/?#].*$/, '') : word
}
