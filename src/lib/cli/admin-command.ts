/** What do commands have in common that set something on nodes as they are chosen? */
import type {Command} from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'
import {chooseNodes} from '../engine/asked-nodes.ts'
import type {ClusterSession} from '../engine/session.ts'
import {ClusterError, UsageError} from '../errors.ts'
import type {ClusterNode} from '../topology/model.ts'
import {ClusterCommand} from './cluster-command.ts'
import {adviceOnSecretFile, readPasswordFile} from './credentials.ts'
import {list} from './flags.ts'

export const nodeFlag = list({summary: 'Only on this node; may repeat.', helpValue: 'NODE'})

export const roleFlags = {
  primaries: Flags.boolean({summary: 'Only on the primaries.', default: false, exclusive: ['replicas', 'node']}),
  replicas: Flags.boolean({summary: 'Only on the replicas.', default: false, exclusive: ['node']}),
}

interface ChoiceFlags {
  readonly node?: readonly string[]
  readonly primaries?: boolean
  readonly replicas?: boolean
}

/** Where a secret is: the value of a flag. */
export interface SecretPlace {
  readonly flag: string
  readonly kind: 'file' | 'env'
  /** A file, "-" being stdin; or the name of a variable. */
  readonly place: string
}

export abstract class AdminCommand<T extends typeof Command = typeof Command> extends ClusterCommand<T> {
  /** A line with a word that has a dash in front, where such words may be meant. */
  protected readonly dashExample: string | undefined = undefined

  override async catch(thrown: Error & {flags?: readonly string[]}): Promise<void> {
    // Of oclif, for what is no flag.
    const isDashed = thrown.flags?.some((flag) => /^-[^-]/.test(flag))
    if (!isDashed || this.dashExample === undefined) return super.catch(thrown)
    return super.catch(this.#behindDashes())
  }

  /** @throws UsageError for "-auth" before "--", which reads as "-a uth". */
  protected requireNoneTakenForFlags(): void {
    const end = this.argv.indexOf('--')
    const before = end < 0 ? this.argv : this.argv.slice(0, end)
    if (before.some((word) => /^-[^-]./.test(word))) throw this.#behindDashes()
  }

  #behindDashes(): UsageError {
    const suggestions = this.dashExample === undefined ? [] : [`For example: ${this.dashExample}`]
    return new UsageError('words with a dash in front stand behind "--"', {suggestions})
  }

  /** @throws ClusterError when not one of the nodes told. */
  protected requireTold(count: number, notTold: readonly {readonly reason: string}[]): void {
    if (notTold.length < count || notTold.length === 0) return
    const reasons = [...new Set(notTold.map(({reason}) => reason))].slice(0, 2).join('; ')
    throw new ClusterError('E_NODE', 4, `no node told: ${reasons}`, {details: {notTold}})
  }

  /** Those that --node, --primaries or --replicas say, or all; in the order of their addresses. */
  protected async chosenNodes(session: ClusterSession): Promise<ClusterNode[]> {
    const {node: words, primaries, replicas} = this.flags as ChoiceFlags
    if (words) {
      const ids: string[] = []
      for (const word of words) ids.push((await this.findNode(session, word)).id)
      return chooseNodes(session, {ids})
    }
    const nodes = chooseNodes(session, {role: primaries ? 'primary' : replicas ? 'replica' : undefined})
    if (nodes.length === 0) throw new UsageError(`there is no ${primaries ? 'primary' : 'replica'} in this cluster`)
    return nodes
  }

  /** The cluster's seed is the first of the words when it looks like an address, and the cluster is not named by a flag. */
  protected takeSeed(words: readonly string[]): {seed: string | undefined; rest: readonly string[]} {
    const [first, ...others] = words
    const hasSeed = first !== undefined && !this.isNamedByFlag && isSeedWord(first)
    return hasSeed ? {seed: first, rest: others} : {seed: undefined, rest: words}
  }

  /** @throws UsageError for what is not there, is empty, or is to be read from stdin like the password of the connection. */
  protected readSecret({flag, kind, place}: SecretPlace): string {
    if (kind === 'env') {
      const value = process.env[place]
      if (value) return value
      throw new UsageError(`${flag}: the variable ${place} is not set, or empty`)
    }
    const {'password-file': own} = this.flags as {'password-file'?: string}
    if (place === '-' && own === '-') {
      throw new UsageError(`--password-file and ${flag} both want stdin`, {suggestions: ['Keep one of them in a file']})
    }
    const advice = place === '-' ? undefined : adviceOnSecretFile(place, flag)
    if (advice !== undefined) this.warnOperator(advice)
    return readPasswordFile(place, flag)
  }
}

/** An address with a port, an IPv4 address, localhost, or a URL. */
export function isSeedWord(text: string): boolean {
  return /:\/\/|^\[.*\](:\d+)?$|^[^\s:/]+:\d{1,5}$|^\d{1,3}(\.\d{1,3}){3}$|^localhost$/.test(text)
}
