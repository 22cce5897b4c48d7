// `npm run chaos`: random operations and random faults on real clusters, under clients that remember what was
// acknowledged. `--help` lists the options; test/chaos/ holds the parts, docs/decisions/0018 what it proves.
import {spawnSync} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import {parseArgs} from 'node:util'

const HELP = `npm run chaos -- [--seed N] [--minutes M | --rounds N] [--server KIND[,KIND…]]

  --seed N       the first round's seed (default: of the clock); the next round has the next one
  --minutes M    begin no round after that (default 5)
  --rounds N     how many rounds
  --server KIND  redis-7.0, redis-8.0, redis-8.6, valkey-8.1, valkey-9.1; by default they take turns

A round that fails names its seed, the command that repeats it, and the folder with its events and the servers' logs.`

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
process.exitCode = main()

function main() {
  const wish = readWords()
  if (typeof wish === 'string') {
    console.error(`chaos: ${wish}\n\n${HELP}`)
    return 2
  }
  if (wish.isHelpWanted) {
    console.log(HELP)
    return 0
  }
  const {server, ...request} = wish
  console.log(`chaos: seed ${request.seed}`)
  const env = {...process.env, RCLUSTER_CHAOS: JSON.stringify(request)}
  if (server !== undefined) env.RCLUSTER_TEST_KINDS = server
  const words = ['run', '--project', 'servers', 'test/journeys/chaos.test.ts']
  const {status} = spawnSync('node_modules/.bin/vitest', words, {stdio: 'inherit', env})
  return status ?? 1
}

/** What is wanted, or what is wrong with the words. */
function readWords() {
  const option = {type: 'string'}
  let values
  try {
    ;({values} = parseArgs({
      options: {seed: option, minutes: option, rounds: option, server: option, help: {type: 'boolean', short: 'h'}},
    }))
  } catch (error) {
    return error.message
  }
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  const minutes = values.minutes !== undefined ? Number(values.minutes) : rounds === undefined ? 5 : undefined
  if (!Number.isSafeInteger(seed) || seed < 0) return `--seed ${values.seed} is not a whole number`
  if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds > 0))
    return `--rounds ${values.rounds} is no number`
  if (minutes !== undefined && !(minutes > 0)) return `--minutes ${values.minutes} is no number`
  return {seed, rounds, minutes, server: values.server, isHelpWanted: values.help === true}
}
