/**
 * What do all commands have in common? Flags, one way to print, one shape of JSON, one table of exit codes, one way to
 * stop and to ask. Results go to stdout; questions, progress, notes and warnings to stderr.
 */
import {Command} from '@oclif/core/command'
import type {InferredArgs, InferredFlags} from '@oclif/core/interfaces'
import type {EngineListener} from '../engine/events.ts'
import {CancelledError, type ClusterError, UsageError} from '../errors.ts'
import {clean} from '../render/clean.ts'
import {canAnimate, type Style, styleFor} from '../render/colour.ts'
import {errorDocument, isToPaste, renderError, renderJson, renderWarning} from '../render/error.ts'
import {wrap} from '../render/wrap.ts'
import {outputFlags} from './flags.ts'
import {Interruption} from './interruption.ts'
import {endureLostOutput} from './lost-output.ts'
import {toClusterError} from './parse-errors.ts'
import {createProgress, type Progress, type ProgressMode} from './progress.ts'
import {askLine, canAsk} from './prompt.ts'

type FlagsOf<T extends typeof Command> = InferredFlags<T['baseFlags'] & T['flags']>
type ArgsOf<T extends typeof Command> = InferredArgs<T['args']>

export abstract class BaseCommand<T extends typeof Command = typeof Command> extends Command {
  static override enableJsonFlag = true
  static override baseFlags = outputFlags

  protected flags!: FlagsOf<T>
  protected args!: ArgsOf<T>
  #warnings: string[] = []
  #interruption = new Interruption((text) => this.#writeNote(text))
  #progress: Progress | undefined

  /** What `--json` prints as `result`: an object, always. */
  abstract override run(): Promise<object>

  /** "local up" */
  protected get commandName(): string {
    return (this.id ?? '').replaceAll(':', ' ')
  }

  /** Aborted by the first signal or the end of --timeout; the reason is a ClusterError, to be thrown where nothing was changed. */
  get stopSignal(): AbortSignal {
    return this.#interruption.stopSignal
  }

  /** Aborted by the second signal: leave everything as it is. */
  get abortSignal(): AbortSignal {
    return this.#interruption.abortSignal
  }

  /** Stops the command as the first signal does, or as the second: the reason is told instead of the signal. */
  protected stopBecause(reason: ClusterError, {isAtOnce}: {isAtOnce: boolean}): void {
    if (isAtOnce) this.#interruption.abort(reason)
    else this.#interruption.stop(reason)
  }

  /** After which the command is stopped as by a signal. */
  protected get wholeDeadlineMs(): number | undefined {
    return (this.flags as {timeout?: number}).timeout
  }

  /** From now on this command does the work of `host`: by its words and flags, with its signals, telling what it would tell. */
  protected workFor(host: BaseCommand, flags: Readonly<Record<string, unknown>>): void {
    this.id = host.id
    this.argv = host.argv
    this.flags = flags as FlagsOf<T>
    this.args = {} as ArgsOf<T>
    this.#warnings = host.#warnings
    this.#interruption = host.#interruption
  }

  /** The result of `work`, or the reason to stop as soon as there is one. Only for work that changes nothing. */
  protected stoppable<R>(work: Promise<R>): Promise<R> {
    return this.#interruption.race(work)
  }

  /** For what goes to stdout. */
  protected get style(): Style {
    return styleFor(process.stdout, process.env, this.#isColourForbidden())
  }

  protected get stderrStyle(): Style {
    return styleFor(process.stderr, process.env, this.#isColourForbidden())
  }

  /** The result for people. Nothing is printed under --json. Ends the progress line. */
  protected print(text: string): void {
    this.#endProgress()
    if (this.jsonEnabled()) return
    process.stdout.write(`${fitted(text, this.style)}\n`)
  }

  /** Worth knowing, but not the result: on stderr, not under --quiet or --json. */
  protected note(text: string): void {
    if (!this.jsonEnabled() && !this.#isQuiet()) this.#writeNote(fitted(clean(text), this.stderrStyle))
  }

  /** On stderr; under --json it is part of the document instead. */
  protected warnOperator(text: string): void {
    this.#warnings.push(text)
    if (!this.jsonEnabled()) process.stderr.write(`${renderWarning(text, this.stderrStyle)}\n`)
  }

  /**
   * @throws UsageError at once without a terminal and without --yes.
   * @throws CancelledError when the answer is no.
   */
  protected async confirm(question: string): Promise<void> {
    this.#endProgress()
    if ((this.flags as {yes?: boolean}).yes) return
    if (!canAsk()) {
      throw new UsageError(`there is no terminal to ask on: ${question}`, {
        suggestions: ['Add --yes to go ahead without a question, or --dry-run to see what would be done'],
      })
    }
    const answer = await askLine(`${question} (y/N) `, this.stopSignal)
    if (!/^y(es)?$/i.test(answer.trim())) throw new CancelledError('The answer was no; nothing was changed')
  }

  /** Draws what the engine tells until something is printed or asked. */
  protected listener(): EngineListener {
    this.#progress ??= createProgress(
      this.#progressMode(),
      () => this.stderrStyle,
      (line) => process.stderr.write(`${line}\n`),
    )
    const {listener} = this.#progress
    return listener
  }

  override async init(): Promise<void> {
    await super.init()
    endureLostOutput()
    // oclif warns of commands that did not parse; those whose words were refused did.
    this.parsed = true
    const {args, flags} = await this.parse({
      flags: this.ctor.flags,
      baseFlags: (this.ctor as typeof BaseCommand).baseFlags,
      enableJsonFlag: this.ctor.enableJsonFlag,
      args: this.ctor.args,
      strict: this.ctor.strict,
    })
    this.args = args as ArgsOf<T>
    this.flags = flags as FlagsOf<T>
    this.#interruption.start(this.wholeDeadlineMs)
  }

  /** Prints the failure and sets the exit code; nothing is thrown on, for oclif would print it again, wrapped. */
  override async catch(thrown: Error & {code?: string; oclif?: {exit?: number}}): Promise<void> {
    this.#endProgress()
    if (thrown.code === 'EEXIT') {
      process.exitCode = thrown.oclif?.exit ?? 0
      return
    }
    const error = toClusterError(thrown, this.commandName, this.#knownFlags())
    process.exitCode = error.exitCode
    if (this.jsonEnabled()) this.logJson(this.toErrorJson(error))
    else process.stderr.write(`${renderError(error, this.stderrStyle, this.#isVerbose())}\n`)
  }

  override async finally(_error: Error | undefined): Promise<void> {
    this.#endProgress()
    this.#interruption.end()
  }

  override toSuccessJson(result: unknown): unknown {
    return {version: 1, command: this.commandName, ok: true, warnings: this.#warnings, result}
  }

  override toErrorJson(error: ClusterError): unknown {
    return errorDocument(this.commandName, error, this.#warnings)
  }

  override logJson(document: unknown): void {
    process.stdout.write(`${renderJson(document)}\n`)
  }

  #endProgress(): void {
    this.#progress?.end()
    this.#progress = undefined
  }

  #writeNote(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  #progressMode(): ProgressMode {
    const {progress} = this.flags as {progress?: string}
    if (progress === 'ndjson') return 'ndjson'
    if (this.#isQuiet()) return 'none'
    return progress !== 'plain' && canAnimate(process.stderr, process.env) ? 'live' : 'plain'
  }

  // The three below are asked before the flags are parsed, too: when parsing them failed.
  #isColourForbidden(): boolean {
    return this.#hasFlag('no-color')
  }

  #isQuiet(): boolean {
    return this.#hasFlag('quiet')
  }

  #isVerbose(): boolean {
    return this.#hasFlag('verbose')
  }

  #hasFlag(name: string): boolean {
    if (this.flags) return (this.flags as Record<string, unknown>)[name] === true
    const end = this.argv.indexOf('--')
    return this.argv.slice(0, end === -1 ? undefined : end).includes(`--${name}`)
  }

  #knownFlags(): string[] {
    const own = Object.entries({...(this.ctor as typeof BaseCommand).baseFlags, ...this.ctor.flags})
    return own.filter(([, flag]) => !flag.hidden).map(([name]) => name)
  }
}

/** A sentence is broken where the terminal ends; what has lines of its own, or can be pasted, is not. */
function fitted(text: string, style: Style): string {
  return text.includes('\n') || isToPaste(text) ? text : wrap(text, style, 0, 0)
}
