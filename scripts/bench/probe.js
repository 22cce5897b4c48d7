// Starts the live client (probe-process.js) and asks it what it saw.
import {fork} from 'node:child_process'
import {fileURLToPath} from 'node:url'

const PROCESS = fileURLToPath(new URL('probe-process.js', import.meta.url))
const ANSWER_MS = 30_000

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Resolves when the client is at work, its keys written. */
export async function startProbe(ports, rate) {
  const child = fork(PROCESS, [JSON.stringify({ports, rate})])
  running.add(child)
  const waiting = new Map()
  let lastId = 0
  child.on('message', ({id, answer}) => waiting.get(id)?.resolve(answer))
  const fail = (why) => {
    running.delete(child)
    for (const {reject} of waiting.values()) reject(new Error(`the live client ${why}`))
  }
  child.on('error', (error) => fail(`could not be started: ${error.message}`))
  child.on('exit', (code, signal) => fail(`ended: ${signal ?? `exit code ${code}`}`))

  const answerTo = (id) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the live client does not answer')), ANSWER_MS)
      const settle = (how) => (value) => {
        clearTimeout(timer)
        waiting.delete(id)
        how(value)
      }
      waiting.set(id, {resolve: settle(resolve), reject: settle(reject)})
    })
  const ask = (question) => {
    const answer = answerTo(++lastId)
    if (child.connected) child.send({id: lastId, question})
    return answer
  }
  const stop = () => child.kill('SIGKILL')
  try {
    await answerTo(0)
  } catch (error) {
    stop()
    throw error
  }
  return {
    /** What clients feel while `work` runs. */
    async during(work) {
      await ask('measure')
      const result = await work()
      return {result, stats: await ask('stats')}
    },
    /** Reads every key once more and takes them all away. @throws Error when a value was lost or old. */
    async finish() {
      const {stale, staleCount, errors} = await ask('finish')
      stop()
      if (staleCount > 0) throw new Error(`the live client read ${staleCount} wrong values:\n${stale.join('\n')}`)
      if (errors.length > 0) throw new Error(`the live client met errors at the end:\n${errors.join('\n')}`)
    },
    stop,
  }
}
