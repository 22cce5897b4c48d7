/**
 * What if nobody can be told any more? A reader that went away (head), a terminal that was closed, a disk that is full:
 * none of them may cut the work short, and the exit code tells of the cluster, not of the output.
 */

import {closeSync} from 'node:fs'
import {isatty} from 'node:tty'

/** What was a terminal when we began. */
const terminals = [0, 1, 2].filter((fd) => isatty(fd))

const lost = new Map<NodeJS.WriteStream, string>()

/** Node has no list of its own: what a write to stdout or stderr can fail with while the work goes on. */
const CODES: ReadonlySet<string> = new Set(['EPIPE', 'EIO', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EBADF', 'ENXIO'])

/** To be called again once oclif is loaded: it throws whatever is not EPIPE, and that ends the process. */
export function endureLostOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error')
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!lost.has(stream)) lost.set(stream, error.code ?? error.message)
    })
  }
}

/**
 * When it ends, Node puts the terminals back as they were and crashes (SIGSEGV or SIGABRT, seen with 20.20) where one is
 * gone: the exit code would be that of the crash. What is closed it leaves alone.
 */
export function outliveTerminals(): void {
  process.on('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd)
  })
}

export function isLostOutput(error: unknown): boolean {
  const {syscall, code} = (error ?? {}) as NodeJS.ErrnoException
  return (syscall === 'write' && CODES.has(code ?? '')) || code === 'ERR_STREAM_DESTROYED'
}

/** Why the results are not where they were sent, to be said on stderr; undefined when they are, or were not wanted. */
export function lostResults(): string | undefined {
  const code = lost.get(process.stdout)
  return code === undefined || code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' ? undefined : code
}
