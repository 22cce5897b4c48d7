import {existsSync} from 'node:fs'
import path from 'node:path'
import * as Flags from '@oclif/core/flags'
import {parseAddressMap} from '../../lib/cli/address-rules.ts'
import {word} from '../../lib/cli/args.ts'
import {BaseCommand} from '../../lib/cli/base-command.ts'
import {connectionFlags} from '../../lib/cli/flags.ts'
import {parseAddressReference, requireDistinct} from '../../lib/cli/node-argument.ts'
import {UsageError} from '../../lib/errors.ts'
import {type ContextDocument, contextDocument} from '../../lib/render/contexts.ts'
import {
  type Context,
  isContextName,
  NO_CONTEXT,
  type PasswordSource,
  readContexts,
  writeContexts,
} from '../../lib/state/contexts.ts'
import {formatAddress} from '../../lib/topology/model.ts'

interface AddReport {
  readonly outcome: 'added' | 'replaced'
  readonly file: string
  readonly context: ContextDocument
}

const {seed, user, credentials, tls, cacert, cacertdir, cert, key, sni, insecure, password, askpass} = connectionFlags
const WAYS = [
  'In a variable: --password-env PROD_PASSWORD',
  'In a file: --password-file ~/.secrets/prod',
  "By a command: --password-command 'pass show prod'",
]

export default class ContextAdd extends BaseCommand<typeof ContextAdd> {
  static override summary = 'Give a cluster a name, with where it is and how it is reached.'
  static override description = [
    'The name goes with --context or RCLUSTER_CONTEXT, or "context use" makes it the one that counts where no other is said. Secrets are not stored: a context says in which variable or file the password is, or which command prints it. No node is asked.',
    'Exit codes: 0 added; 2 the words make no sense, the name is taken, or the file of contexts cannot be used.',
  ].join('\n\n')
  static override usage = 'context add NAME --seed NODE [--user NAME] [--password-env NAME | ...] [--tls ...]'
  static override examples = [
    '<%= config.bin %> context add dev --seed 127.0.0.1:7000',
    '<%= config.bin %> context add prod --seed 10.0.0.1 --seed 10.0.0.2 --user ops --tls --cacert ca.pem --password-command "pass show prod"',
    '<%= config.bin %> context add ci --seed 10.0.1.1 --password-env CI_REDIS_PASSWORD --replace',
  ]
  static override args = {
    name: word({description: 'letters, digits, ".", "_" and "-"', required: true}),
  }
  static override flags = {
    ...{seed, user, credentials, tls, cacert, cacertdir, cert, key, sni, insecure},
    'tls-verify': connectionFlags['tls-verify'],
    'tls-ciphers': connectionFlags['tls-ciphers'],
    'tls-ciphersuites': connectionFlags['tls-ciphersuites'],
    'address-map': connectionFlags['address-map'],
    'password-env': Flags.string({
      summary: 'The variable that holds the password whenever the context is used.',
      helpValue: 'NAME',
      helpGroup: 'CONNECTION',
    }),
    'password-file': Flags.string({
      summary: 'The file whose first line is the password.',
      helpValue: 'FILE',
      helpGroup: 'CONNECTION',
    }),
    'password-command': Flags.string({
      summary: 'A line for /bin/sh that prints the password.',
      helpValue: 'COMMAND',
      helpGroup: 'CONNECTION',
    }),
    // To be refused with better words than "unknown option".
    password: {...password, hidden: true},
    askpass: {...askpass, hidden: true},
    replace: Flags.boolean({summary: 'Take the place of a context of this name.', default: false}),
  }

  async run(): Promise<AddReport> {
    const {name} = this.args
    if (this.flags.password !== undefined || this.flags.askpass) {
      throw new UsageError('a context does not store a password, it says where it is', {suggestions: WAYS})
    }
    if (!isContextName(name)) {
      const why = name === NO_CONTEXT ? ': it stands for no context' : ''
      throw new UsageError(`"${name}" cannot be the name of a context${why}`, {
        suggestions: ['Up to 64 letters, digits, ".", "_" and "-", of which the first is a letter or digit'],
      })
    }
    const context = this.#context()
    const contexts = readContexts(process.env)
    const isThere = contexts.byName.has(name)
    if (isThere && !this.flags.replace) {
      throw new UsageError(`there is a context ${name} already`, {
        suggestions: [`rcluster context show ${name}`, 'Add --replace to give the name to this one'],
      })
    }
    const byName = new Map([...contexts.byName, [name, context]])
    writeContexts({...contexts, byName})
    this.#warnOfMissing(context)
    const outcome = isThere ? 'replaced' : 'added'
    const next = contexts.standard === name ? `rcluster info` : `rcluster info --context ${name}`
    this.print(`${isThere ? 'Replaced' : 'Added'} context ${name}. Try it: ${next}`)
    return {outcome, file: contexts.file, context: contextDocument({...contexts, byName}, name)}
  }

  #context(): Context {
    const {seed: seeds, user: name, tls: isTls, insecure: isInsecure, sni: server, ...flags} = this.flags
    if (!seeds) {
      throw new UsageError('a context needs a seed', {
        suggestions: ['Name any node of the cluster: --seed 10.0.0.1:7000'],
      })
    }
    const references = seeds.map(parseAddressReference)
    if (references.some(({password: secret}) => secret !== undefined)) {
      throw new UsageError('a context does not store a password, and a seed has one in its URL', {
        suggestions: [...WAYS, 'A single word before the @ is a password: name a user with --user'],
      })
    }
    requireDistinct(references.map(({address}) => address))
    const users = new Set([name, ...references.map(({username}) => username)].filter((one) => one !== undefined))
    if (users.size > 1) throw new UsageError('more than one user is named')
    const map = flags['address-map']
    parseAddressMap(map ?? [])
    const [login] = users
    const source = this.#passwordSource()
    return {
      seeds: references.map(({address}) => formatAddress(address)),
      ...given('user', login),
      ...given('password', source),
      ...given('credentials', whole('--credentials', flags.credentials)),
      ...(isTls || references.some(({tls: isUrlTls}) => isUrlTls) ? {tls: true} : {}),
      ...given('cacert', whole('--cacert', flags.cacert)),
      ...given('cacertdir', whole('--cacertdir', flags.cacertdir)),
      ...given('cert', whole('--cert', flags.cert)),
      ...given('key', whole('--key', flags.key)),
      ...given('sni', server),
      ...(isInsecure ? {insecure: true} : {}),
      ...given('tlsVerify', flags['tls-verify']),
      ...given('tlsCiphers', flags['tls-ciphers']),
      ...given('tlsCiphersuites', flags['tls-ciphersuites']),
      ...given(
        'addressMap',
        map?.map((rule) => (rule.startsWith('@') ? `@${path.resolve(rule.slice(1))}` : rule)),
      ),
    }
  }

  #passwordSource(): PasswordSource | undefined {
    const {'password-env': env, 'password-file': file, 'password-command': command} = this.flags
    const named = [env, file, command].filter((one) => one !== undefined)
    if (named.length > 1) throw new UsageError('the password is in one place only', {suggestions: WAYS})
    if (named.includes('')) throw new UsageError('where the password is is an empty word', {suggestions: WAYS})
    if (env !== undefined) {
      // Somebody may take the flag for one that wants the password itself, which is not repeated.
      if (!/^[A-Za-z_]\w*$/.test(env)) {
        throw new UsageError('--password-env wants the name of a variable, and what was given is none', {
          suggestions: WAYS,
        })
      }
      return {env}
    }
    if (command !== undefined) return {command}
    return file === undefined ? undefined : {file: whole('--password-file', file) as string}
  }

  #warnOfMissing({password: source, ...context}: Context): void {
    const files = [context.credentials, context.cacert, context.cacertdir, context.cert, context.key]
    if (source && 'file' in source) files.push(source.file)
    for (const file of files) {
      if (file !== undefined && !existsSync(file)) this.warnOperator(`${file} does not exist.`)
    }
  }
}

function given<N extends string, V>(name: N, value: V | undefined): {[K in N]?: V} {
  return value === undefined ? {} : ({[name]: value} as {[K in N]?: V})
}

/** A path that holds from everywhere. */
function whole(flag: string, file: string | undefined): string | undefined {
  if (file === '-') throw new UsageError(`a context cannot read ${flag} from stdin`, {suggestions: ['Name a file']})
  return file === undefined ? undefined : path.resolve(file)
}
