/** What does a context add to the connection flags? Whatever the line and its URLs leave unsaid. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import type {InferredFlags} from '@oclif/core/interfaces'
import {UsageError} from '../errors.ts'
import type {Context, PasswordSource} from '../state/contexts.ts'
import {readPasswordFile} from './credentials.ts'
import type {connectionFlags} from './flags.ts'
import type {AddressReference} from './node-argument.ts'

type ConnectionFlags = Partial<InferredFlags<typeof connectionFlags>>

const MOST_PASSWORD_BYTES = 64 * 2 ** 10

/**
 * The flags as if the context had been typed before them. `needsPassword`: the context's is to be put in, too. A password
 * goes with its user: where another one is said, the context's is not his.
 */
export function fillIn(
  flags: ConnectionFlags,
  context: Context,
  references: readonly AddressReference[],
): {flags: ConnectionFlags; needsPassword: boolean} {
  const saidUser = flags.user ?? references.find(({username}) => username !== undefined)?.username
  const isPasswordSaid =
    flags.askpass === true ||
    [flags.password, flags['password-file']].some((value) => value !== undefined) ||
    references.some(({password}) => password !== undefined)
  const filled: ConnectionFlags = {...flags}
  const set = <N extends keyof ConnectionFlags>(name: N, value: ConnectionFlags[N]): void => {
    if (value !== undefined) filled[name] = value
  }
  if (saidUser === undefined) set('user', context.user)
  if (flags.credentials === undefined) set('credentials', context.credentials)
  if (flags.sni === undefined) set('sni', context.sni)
  if (flags.cacert === undefined && flags.cacertdir === undefined) {
    set('cacert', context.cacert)
    set('cacertdir', context.cacertdir)
  }
  if (flags.cert === undefined && flags.key === undefined) {
    set('cert', context.cert)
    set('key', context.key)
  }
  // Neither can be taken back by the line: a context that says TLS never sends its password without.
  if (context.tls) filled.tls = true
  if (context.insecure && flags['tls-verify'] === undefined) filled.insecure = true
  if (!flags.insecure && flags['tls-verify'] === undefined) set('tls-verify', context.tlsVerify)
  if (flags['tls-ciphers'] === undefined) set('tls-ciphers', context.tlsCiphers)
  if (flags['tls-ciphersuites'] === undefined) set('tls-ciphersuites', context.tlsCiphersuites)
  // Of rules that are equally telling the first counts.
  if (context.addressMap) filled['address-map'] = [...(flags['address-map'] ?? []), ...context.addressMap]
  const isItsUser = saidUser === undefined || saidUser === context.user
  return {flags: filled, needsPassword: context.password !== undefined && !isPasswordSaid && isItsUser}
}

/**
 * Reads it from where it is. A command may ask on the terminal for what it needs.
 * @throws UsageError that names the context; never what the command or the file says. The signal's reason when it aborts.
 */
export async function readContextPassword(
  name: string,
  source: PasswordSource,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<string> {
  const show = [`rcluster context show ${name}`]
  if ('env' in source) {
    const password = env[source.env]
    if (password) return password
    throw new UsageError(`the context ${name} takes its password from ${source.env}, which is not set`, {
      suggestions: show,
    })
  }
  if ('command' in source) return passwordOfCommand(name, source.command, signal)
  try {
    return readPasswordFile(source.file)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new UsageError(`the context ${name}: ${error.message}`, {suggestions: show, cause: error})
  }
}

/** The first line of what it prints. */
async function passwordOfCommand(name: string, command: string, signal: AbortSignal): Promise<string> {
  const failed = (how: string): UsageError =>
    new UsageError(`the command that tells the password of the context ${name} ${how}`, {
      suggestions: [`rcluster context show ${name}`],
    })
  const child = spawn('/bin/sh', ['-c', command], {stdio: ['inherit', 'pipe', 'inherit']})
  const stop = (): void => void child.kill('SIGTERM')
  signal.addEventListener('abort', stop, {once: true})
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MOST_PASSWORD_BYTES) chunks.push(chunk)
    else stop()
  })
  try {
    // Not 'close': what it may have left running holds stdout open.
    const [code, ending] = (await once(child, 'exit')) as [number | null, string | null]
    await drained(child.stdout)
    if (signal.aborted) throw signal.reason
    if (bytes > MOST_PASSWORD_BYTES) throw failed('printed more than a password')
    if (code !== 0) throw failed(code === null ? `was ended by ${ending}` : `failed with exit code ${code}`)
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw failed(`could not be run: ${error.message}`)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    child.stdout.destroy()
  }
  const [password = ''] = Buffer.concat(chunks).toString('utf8').split(/\r?\n/)
  if (password === '') throw failed('printed an empty first line')
  return password
}

/** What was printed before the end may still be in the pipe. */
function drained(stream: NodeJS.ReadableStream & {readableEnded?: boolean}): Promise<void> {
  if (stream.readableEnded) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 500)
    stream.once('end', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
