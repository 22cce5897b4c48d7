/** How is the person at the terminal asked? Questions go to stderr: stdout is for results. */
import {createInterface} from 'node:readline/promises'
import {Writable} from 'node:stream'
import {CancelledError, UsageError} from '../errors.ts'

export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** One line of text; '' when the input ends. @throws the signal's reason when it aborts. */
export async function askLine(question: string, signal: AbortSignal): Promise<string> {
  // Not `terminal: true`: raw mode would take Ctrl-C away from our signal handling.
  const lines = createInterface({input: process.stdin, output: process.stderr, terminal: false})
  // A terminal that is gone, EIO, is the end of what it brings.
  const onLost = (): void => lines.close()
  process.stdin.on('error', onLost)
  try {
    const ended = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)))
    const line = await Promise.race([lines.question(question, {signal}), ended])
    // After Ctrl-D the terminal is still on the line of the question.
    if (line === undefined) process.stderr.write('\n')
    return line ?? ''
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    lines.close()
    process.stdin.off('error', onLost)
  }
}

/** As `askLine`, without echo. */
export async function askSecret(question: string, signal: AbortSignal): Promise<string> {
  if (!canAsk()) {
    throw new UsageError('--askpass needs a terminal to ask on', {
      suggestions: ['Set RCLUSTER_PASSWORD, or give --password-file'],
    })
  }
  const nowhere = new Writable({write: (_chunk, _encoding, done) => done()})
  const lines = createInterface({input: process.stdin, output: nowhere, terminal: true})
  process.stderr.write(question)
  try {
    const cancelled = new Promise<never>((_resolve, reject) => {
      lines.once('SIGINT', () => reject(new CancelledError('Stopped by Ctrl-C')))
      lines.once('close', () => reject(new CancelledError('No password was given')))
    })
    return await Promise.race([lines.question('', {signal}), cancelled])
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    process.stderr.write('\n')
    lines.close()
  }
}
