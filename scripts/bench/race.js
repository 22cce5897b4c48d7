// One workload on one server: A B C, A B C, … A contender that fails is out of the rounds to come.
import {openCreations} from './creations.js'
import {openLooks} from './looks.js'
import {openMoves} from './moves.js'
import {ContenderError} from './timed-run.js'

const COURSES = {
  reshard: openMoves,
  rebalance: openMoves,
  create: openCreations,
  check: openLooks,
  version: openLooks,
}

/**
 * @param onRun called with each run as it ends
 * @returns runs as {round, contender, result}, or with `failure`, a text, instead of a result
 * @throws Error when the servers cannot be had, or the signal is given
 */
export async function runRace(race, {rounds, firstPort, signal, onRun}) {
  const course = await COURSES[race.workload.work.kind](race, {firstPort, signal})
  const runs = []
  const out = new Set()
  try {
    for (let round = 1; round <= rounds * course.repeats; round++) {
      for (const contender of race.contenders.filter(({name}) => !out.has(name))) {
        const run = {round, contender: contender.name, ...(await attempt(course, contender, signal))}
        if (run.failure !== undefined) out.add(contender.name)
        runs.push(run)
        onRun(run, contender)
      }
    }
  } finally {
    await course.close()
  }
  return runs
}

async function attempt(course, contender, signal) {
  try {
    return {result: await course.measure(contender)}
  } catch (error) {
    if (signal.aborted || !(error instanceof ContenderError)) throw error
    return {failure: error.message}
  }
}
