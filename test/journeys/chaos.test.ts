/**
 * Rounds of chaos with fixed seeds, on Redis; those on Valkey are in a file of their own, so that two workers share them.
 * `npm run chaos` hands over what it wants in RCLUSTER_CHAOS.
 */
import {expect, test} from 'vitest'
import {play, playFixedRounds} from '../chaos/play.ts'
import {serverKinds} from '../support/servers.ts'

interface Request {
  readonly seed: number
  readonly rounds?: number
  readonly minutes?: number
}

const words = process.env['RCLUSTER_CHAOS']
if (words === undefined) playFixedRounds(['redis-7.0', 'redis-8.0', 'redis-8.6'], 1000)
else test('rounds of chaos', {timeout: 2 ** 31 - 1}, async () => playOnRequest(JSON.parse(words) as Request))

async function playOnRequest({seed, rounds = Number.POSITIVE_INFINITY, minutes}: Request): Promise<void> {
  const endsMs = Date.now() + (minutes ?? Number.POSITIVE_INFINITY) * 60_000
  const kinds = serverKinds()
  const failures: string[] = []
  let played = 0
  for (; played < rounds && Date.now() < endsMs; played++) {
    const kind = kinds[played % kinds.length]
    if (!kind) throw new Error('there is no server')
    failures.push(...(await play(seed + played, kind)))
  }
  console.log(`${played} rounds, seeds ${seed} to ${seed + played - 1}`)
  expect(failures).toEqual([])
}
