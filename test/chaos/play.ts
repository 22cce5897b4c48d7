/** How is a round told to who started it? One line, and after a failure all that is needed to look into it. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {expect, test} from 'vitest'
import {canMakeNetworks} from '../support/network.ts'
import {forEachKind, type ServerKind, type ServerName} from '../support/servers.ts'
import {runRound} from './round.ts'

let folder: string | undefined

/** @returns what failed. */
export async function play(seed: number, kind: ServerKind): Promise<string[]> {
  const startedMs = Date.now()
  folder ??= mkdtempSync(path.join(os.tmpdir(), 'rcluster-chaos-'))
  const place = path.join(folder, `${kind.name}-${seed}`)
  const options = {seed, kind, folder: place, canCut: canMakeNetworks()}
  const {failures, attributed, acknowledged, commands, summary} = await runRound(options)
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0)
  const lost = attributed.length > 0 ? `, ${attributed.length} lost by the servers' own replication` : ''
  const verdict = failures.length === 0 ? 'ok    ' : 'FAILED'
  const counts = `${seconds} s, ${commands} commands, ${acknowledged} acknowledged${lost}`
  console.log(`${verdict} seed ${seed} ${kind.name} ${summary} (${counts})`)
  for (const text of attributed.slice(0, 5)) console.log(`       lost: ${text}`)
  for (const text of failures.slice(0, 20)) console.log(`       ${text}`)
  if (failures.length > 0) console.log(`       again: npm run chaos -- --seed ${seed} --rounds 1 --server ${kind.name}`)
  if (failures.length === 0 && process.env['RCLUSTER_CHAOS_KEEP'] !== '1') {
    rmSync(place, {recursive: true, force: true})
  } else {
    console.log(`       events and servers' logs: ${place}`)
  }
  return failures.map((text) => `seed ${seed} on ${kind.name}: ${text}`)
}

/** Ten minutes of them on a quiet machine: most of the servers that differ most. */
const CI_ROUNDS: Readonly<Partial<Record<ServerName, number>>> = {'redis-8.0': 2, 'valkey-8.1': 2}
const CI_ROUNDS_ELSE = 4

/** As many as RCLUSTER_CHAOS_ROUNDS says, of each kind, with fixed seeds. */
export function playFixedRounds(names: readonly ServerName[], firstSeed: number): void {
  forEachKind(
    'a round of chaos',
    (kind) => {
      // Each kind has its own: what they have in common is the program.
      const asked = process.env['RCLUSTER_CHAOS_ROUNDS']
      const count = Number(asked ?? CI_ROUNDS[kind.name] ?? CI_ROUNDS_ELSE)
      const first = firstSeed + 100 * names.indexOf(kind.name)
      const seeds = Array.from({length: count}, (_, n) => first + n)
      test.each(seeds)(
        'seed %i: well again by rcluster alone, every acknowledged write accounted for',
        {timeout: 600_000},
        async (seed) => {
          expect(await play(seed, kind)).toEqual([])
        },
      )
    },
    names,
  )
}
