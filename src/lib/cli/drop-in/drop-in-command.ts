/**
 * What do the commands of the drop-in form have in common? They print what redis-cli prints, where it prints it: results,
 * questions and errors on stdout, nothing on stderr when all is well. Below that, all is as in the native commands:
 * connection, deadlines, signals, the engine.
 */
import type {Command} from '@oclif/core/command'
import type {InferredFlags} from '@oclif/core/interfaces'
import type {EngineListener} from '../../engine/events.ts'
import type {ClusterSession} from '../../engine/session.ts'
import {CancelledError} from '../../errors.ts'
import type {ConnectionOptions} from '../../redis/connection-options.ts'
import {cleanLines} from '../../render/clean.ts'
import {furtherErrors, passesCheck, renderCheck} from '../../render/drop-in/check.ts'
import {renderDropInFailure, renderUnreachable} from '../../render/drop-in/failure.ts'
import {dropInChalk, paint} from '../../render/drop-in/paint.ts'
import type {Topology} from '../../topology/model.ts'
import {formatAddress} from '../../topology/model.ts'
import {word} from '../args.ts'
import {connectionFlags, outputFlags} from '../flags.ts'
import {MoveCommand} from '../move-command.ts'
import {moveFlags} from '../move-flags.ts'
import {toClusterError} from '../parse-errors.ts'
import {Answers} from './answers.ts'
import {dropInFlags} from './flags.ts'
import {readSeed, undisguised} from './parse-argv.ts'
import {SaidFailure} from './said.ts'

type AllFlags = InferredFlags<typeof dropInFlags & typeof moveFlags & typeof connectionFlags & typeof outputFlags>

/** All that is said goes through one pair of streams, whose order people see. */
const answers = new Answers(process.stdin)

/** For errors of oclif's, which point to the help of a command: "rcluster … --help". */
const HELP = '--cluster'

export abstract class DropInCommand<T extends typeof Command = typeof Command> extends MoveCommand<T> {
  static override hidden = true
  static override enableJsonFlag = false
  static override args = {words: word({multiple: true})}
  static override baseFlags = {...outputFlags, ...connectionFlags, ...moveFlags, ...dropInFlags}

  readonly #chalk = dropInChalk(process.stdout, process.env)
  #isDotted = false

  /** All flags of the drop-in form. */
  protected get options(): AllFlags {
    return this.flags as unknown as AllFlags
  }

  /** The words after the subcommand, addresses as "host:port". What -x and -X bring is not among them. */
  protected get words(): readonly string[] {
    return (this.args as {words?: string[]}).words ?? []
  }

  /** The address of the cluster, of commands whose words are nothing else; -x and -X may bring it. */
  protected async seedWords(): Promise<string> {
    const words = (await this.wordsWithInput()).map((one) => one.toString().trim())
    return readSeed(words)
  }

  /** The words, with what stdin holds as the last one (-x) or in the place of the tag (-X), byte for byte. */
  protected async wordsWithInput(): Promise<(string | Buffer)[]> {
    const {'stdin-last': isLast, 'stdin-tag': tag} = this.options
    if (!isLast && tag === undefined) return [...this.words]
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Buffer))
    const input = Buffer.concat(chunks)
    const words = this.words.map((one) => (one === tag ? input : one))
    return isLast ? [...words, input] : words
  }

  override async init(): Promise<void> {
    await super.init()
    const flags = this.flags as unknown as Record<string, unknown>
    for (const [name, value] of Object.entries(flags)) flags[name] = undisguised(value)
    // As redis-cli moves slots: with MIGRATE, unless asked otherwise, and the source's copy wins with --cluster-replace.
    flags['mover'] = this.options.atomic ? 'atomic' : 'migrate'
    if (this.options.replace) flags['on-conflict'] = 'source'
  }

  /** One or several lines for stdout. */
  protected say(text = ''): void {
    this.endDots()
    const lines = cleanLines(text).split('\n')
    process.stdout.write(`${lines.map((line) => paint(line, this.#chalk)).join('\n')}\n`)
  }

  /** A line for stderr: something is amiss. */
  protected complain(text: string): void {
    this.endDots()
    process.stderr.write(`${cleanLines(text)}\n`)
  }

  /** Shows that work goes on, or asks. The next line begins below. */
  protected dot(mark = '.'): void {
    this.#isDotted = true
    process.stdout.write(mark)
  }

  protected endDots(): void {
    if (this.#isDotted) process.stdout.write('\n')
    this.#isDotted = false
  }

  /**
   * Looks at the cluster as redis-cli does before it changes it, and prints that.
   * @returns whether it passes; with `isThorough` what redis-cli does not look at counts, too.
   */
  protected showCheck(session: ClusterSession, {isThorough = false, listsNodes = true} = {}): boolean {
    const {topology, seed} = session
    this.say(renderCheck(topology, seed, {listsNodes}))
    const further = isThorough ? furtherErrors(topology) : []
    if (further.length > 0) this.say(further.join('\n'))
    return passesCheck(topology) && further.length === 0
  }

  /** Names the nodes that did not answer, as redis-cli does when it tries them. */
  protected complainOfUnreachable(topology: Topology): void {
    for (const {address, reach} of topology.nodes) {
      if (reach.kind === 'unreachable') {
        this.complain(renderUnreachable(formatAddress(address), reach.failure, reach.message))
      }
    }
  }

  /** A line from stdin after `question`; undefined when there is none any more. */
  protected async ask(question: string): Promise<string | undefined> {
    this.endDots()
    this.dot(question)
    const line = await answers.line(this.stopSignal)
    this.#endQuestion(line !== undefined)
    return line
  }

  /** "yes" on stdin after `question`; a terminal is not needed. --cluster-yes does not answer it: see `confirm`. */
  protected async isAccepted(question: string): Promise<boolean> {
    this.endDots()
    this.dot(question)
    const isYes = await answers.isYes(this.stopSignal)
    this.#endQuestion(isYes)
    return isYes
  }

  /** On a terminal the answer was shown with the end of its line; what comes next goes below in any case. */
  #endQuestion(isAnswered: boolean): void {
    if (isAnswered && process.stdin.isTTY === true) this.#isDotted = false
    else this.endDots()
  }

  /** `question` is printed as it is; only "yes" is a yes. @throws CancelledError. */
  protected override async confirm(question: string): Promise<void> {
    if (this.options.yes || (await this.isAccepted(question))) return
    throw new CancelledError('The answer was not "yes": nothing was changed')
  }

  protected override get commandLine(): string {
    return `rcluster --cluster ${[this.commandName.replace('drop-in ', ''), ...this.words].join(' ')}`
  }

  protected override get heedsContexts(): boolean {
    return false
  }

  protected override get takingFlag(): string {
    return '--cluster-take-lock'
  }

  /** What the native commands show has no place in this form. */
  protected override print(_text: string): void {}
  protected override note(_text: string): void {}
  protected override warnOperator(_text: string): void {}

  protected override listener(): EngineListener {
    return (event) => {
      if (event.kind === 'keys-moved') this.dot()
    }
  }

  /** As in redis-cli the certificate's chain is verified, and the name on it is not. --askpass needs no terminal. */
  protected override async connectionOptions(): Promise<ConnectionOptions> {
    const flags = this.flags as unknown as {askpass: boolean; password: string | undefined}
    if (flags.askpass && process.stdin.isTTY !== true) {
      flags.password = await this.ask('Please input password: ')
      flags.askpass = false
      this.say()
    }
    const options = await super.connectionOptions()
    return options.tls ? {...options, tls: {...options.tls, verify: 'chain'}} : options
  }

  /** 0 or 1, as redis-cli has it, and 130 for what a signal ended. */
  override async catch(thrown: Error & {code?: string; oclif?: {exit?: number}}): Promise<void> {
    this.endDots()
    const error = toClusterError(thrown, HELP)
    process.exitCode = error instanceof CancelledError && this.stopSignal.aborted ? 130 : 1
    if (error instanceof SaidFailure) {
      if (error.stream === 'stdout') this.say(error.message)
      else this.complain(error.message)
      return
    }
    const {stdout, stderr} = renderDropInFailure(error)
    if (stdout !== '') this.say(stdout)
    if (stderr !== '') this.complain(stderr)
    // Without flags it was reading them that failed.
    if (error.code === 'E_INTERNAL' && (this.flags as AllFlags | undefined)?.verbose) {
      this.complain(String((error.cause as Error | undefined)?.stack ?? error.stack))
    }
  }
}
