import * as Flags from '@oclif/core/flags'
import {word} from '../../lib/cli/args.ts'
import {BaseCommand} from '../../lib/cli/base-command.ts'
import {UsageError} from '../../lib/errors.ts'
import {NO_CONTEXT, readContexts, requireContext, writeContexts} from '../../lib/state/contexts.ts'

interface UseReport {
  readonly default: string | null
  readonly before: string | null
}

export default class ContextUse extends BaseCommand<typeof ContextUse> {
  static override summary = 'Make a context the default: the cluster of commands that name no other.'
  static override description = [
    'Each command that uses it says so on stderr. An address on the command line, --seed, --context, RCLUSTER_SEED and RCLUSTER_CONTEXT win over it. Its login is only sent to the cluster that its own seeds lead to.',
    'Exit codes: 0; 2 there is no such context, or the file of contexts cannot be used.',
  ].join('\n\n')
  static override usage = ['context use NAME', 'context use --none']
  static override examples = ['<%= config.bin %> context use prod', '<%= config.bin %> context use --none']
  static override args = {name: word({description: 'a context'})}
  static override flags = {none: Flags.boolean({summary: 'Have no default.', default: false})}

  async run(): Promise<UseReport> {
    const {name} = this.args
    const isNone = this.flags.none || name === NO_CONTEXT
    if ((name !== undefined && name !== NO_CONTEXT) === isNone) {
      throw new UsageError(isNone ? 'a context and --none contradict each other' : 'no context was named', {
        suggestions: ['rcluster context use NAME', 'rcluster context use --none', 'rcluster context list'],
      })
    }
    const contexts = readContexts(process.env)
    const standard = isNone ? undefined : name
    const seeds = standard === undefined ? [] : requireContext(contexts, standard).seeds
    if (standard !== contexts.standard) writeContexts({...contexts, standard})
    this.print(
      standard === undefined
        ? 'There is no default context now.'
        : `Commands that name no cluster use context ${standard} (${seeds.join(', ')}) from now on.`,
    )
    return {default: standard ?? null, before: contexts.standard ?? null}
  }
}
