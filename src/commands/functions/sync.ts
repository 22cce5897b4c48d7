import * as Flags from '@oclif/core/flags'
import {AdminCommand} from '../../lib/cli/admin-command.ts'
import {word} from '../../lib/cli/args.ts'
import {seedFromWords} from '../../lib/cli/cluster-command.ts'
import {changeFlags, lockFlags} from '../../lib/cli/flags.ts'
import {chooseNodes, requireReached} from '../../lib/engine/asked-nodes.ts'
import {type LibrariesCopied, readLibraries, syncFunctions} from '../../lib/engine/cluster-functions.ts'
import {ClusterError, InterruptedError, RefusedError} from '../../lib/errors.ts'
import {type LibraryCopy, planFunctionSync} from '../../lib/plan/function-sync.ts'
import {plural} from '../../lib/render/amounts.ts'
import {renderCopies} from '../../lib/render/libraries.ts'
import {labelNode} from '../../lib/topology/queries.ts'

interface FunctionsSyncReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  readonly copies: readonly LibraryCopy[]
}

export default class FunctionsSync extends AdminCommand<typeof FunctionsSync> {
  static override summary = 'Copy function libraries to the primaries that lack them.'
  static override description = [
    'Replicas get them from their primaries. A library of one name with different code is never guessed: --from NODE says whose code counts, and --replace that the others are overwritten; --replace alone takes the code that more than half of the primaries have. Nothing is ever deleted: a library that --from does not have stays where it is.',
    'Exit codes: 0 done, or nothing to do; 2 the words make no sense; 3 code differs, or a primary does not answer, nothing was changed; 4 no primary took it; 5 some primaries have it and others not, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = 'functions sync [SEED] [--from NODE] [--replace]'
  static override examples = [
    '<%= config.bin %> functions sync 127.0.0.1:7000 --dry-run',
    '<%= config.bin %> functions sync 127.0.0.1:7000 --from 127.0.0.1:7001 --replace',
  ]
  static override args = {seed: word({description: 'any node of the cluster', multiple: true})}
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    from: Flags.string({summary: 'Whose libraries are copied; without it those of any primary.', helpValue: 'NODE'}),
    replace: Flags.boolean({summary: 'Overwrite other code of the same name.', default: false}),
  }

  async run(): Promise<FunctionsSyncReport> {
    const session = await this.openCluster(seedFromWords(this.args.seed))
    await session.requireOneCluster()
    await this.lockCluster(session)
    const {topology} = session
    const source = this.flags.from === undefined ? undefined : await this.findNode(session, this.flags.from)
    const primaries = chooseNodes(session, {role: 'primary'})
    const asked = source && source.role !== 'primary' ? [...primaries, source] : primaries
    requireReached(asked, ['Start it, or have another one take over: rcluster fix'])
    const told = await this.stoppable(readLibraries(session, asked))
    const libraries = new Map(
      told.map(({node, libraries: own}) => {
        if ('value' in own) return [node.id, own.value]
        throw new RefusedError('not-measured', `the libraries of ${labelNode(node)} are not known: ${own.unknown}`)
      }),
    )
    const plan = planFunctionSync(topology, libraries, {from: source?.id, isReplacing: this.flags.replace})
    const {copies} = plan
    if (copies.length === 0) {
      this.print(
        `Nothing to do: ${plural(primaries.length, 'primary')} lack nothing${source ? ` that ${labelNode(source)} has` : ''}.`,
      )
      return {outcome: 'nothing-to-do', copies}
    }
    this.print(renderCopies(copies, topology, this.style))
    if (this.flags['dry-run']) return {outcome: 'planned', copies}
    const targets = new Set(copies.map(({to}) => to)).size
    const names = [...new Set(copies.map(({library}) => library))]
    const what = `${names.length > 3 ? plural(names.length, 'library') : names.join(', ')} to ${plural(targets, 'primary')}`
    await this.confirm(`Copy ${what}?`)
    requireCopied(await syncFunctions(session, plan))
    this.print(`Copied ${what}, read again on each.`)
    return {outcome: 'done', copies}
  }
}

/** @throws ClusterError that names who does not have them. */
function requireCopied(results: readonly LibrariesCopied[]): void {
  const failed = results.filter(({failure}) => failure !== undefined)
  if (failed.length === 0) return
  const reasons = failed.slice(0, 3).map(({failure}) => failure)
  const message = `${failed.length} of ${plural(results.length, 'primary')} did not get the libraries: ${reasons.join('; ')}`
  const facts = {details: {failed}, suggestions: ['Run the command again: what is there already is let be']}
  if (failed.length === results.length) throw new ClusterError('E_NODE', 4, message, facts)
  throw new InterruptedError(`${message}; the others have them`, facts)
}
