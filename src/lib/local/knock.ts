/**
 * Does a server answer on a port of this machine, and which process is it?
 * Reads only. One connection a question, in the protocol's inline form, so that nothing here needs a client library.
 */
import {connect} from 'node:net'
import {LOOPBACK} from './ports.ts'

/** The reply to one command as text, without the line that tells its length; undefined when none came in time. */
export async function askServer(port: number, command: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({host: LOOPBACK, port})
    let text = ''
    const end = (reply: string | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reply)
    }
    const timer = setTimeout(() => end(undefined), timeoutMs)
    socket.on('connect', () => socket.write(`${command}\r\n`))
    socket.on('error', () => end(undefined))
    socket.on('close', () => end(undefined))
    socket.on('data', (chunk) => {
      // Latin 1: one character a byte, as the announced length counts.
      text += chunk.toString('latin1')
      const reply = completeReply(text)
      if (reply !== undefined) end(reply)
    })
  })
}

/** A simple or bulk reply that is all there. */
function completeReply(text: string): string | undefined {
  const lineEnd = text.indexOf('\r\n')
  if (lineEnd < 0) return undefined
  const head = text.slice(0, lineEnd)
  if (!head.startsWith('$')) return head
  const body = text.slice(lineEnd + 2)
  const length = Number(head.slice(1))
  return body.length >= length + 2 ? body.slice(0, Math.max(length, 0)) : undefined
}

/** The process that serves the port, as it says itself (INFO); undefined when nobody answers. */
export async function readProcessId(port: number, timeoutMs: number): Promise<number | undefined> {
  const info = await askServer(port, 'INFO server', timeoutMs)
  const match = /^process_id:(\d+)\r?$/m.exec(info ?? '')
  return match ? Number(match[1]) : undefined
}

/**
 * Waits until the port is served by exactly this process.
 * @returns false when `deadline` (as of Date.now) passes first, or `hasEnded` says that waiting is of no use.
 */
export async function waitForServer(
  port: number,
  processId: number,
  deadline: number,
  hasEnded: () => boolean,
): Promise<boolean> {
  while (!hasEnded() && Date.now() < deadline) {
    if ((await readProcessId(port, Math.min(1000, deadline - Date.now()))) === processId) return true
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  return false
}
