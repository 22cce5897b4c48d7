import {word} from '../../lib/cli/args.ts'
import {BaseCommand} from '../../lib/cli/base-command.ts'
import {readContexts, requireContext, writeContexts} from '../../lib/state/contexts.ts'

interface RemoveReport {
  readonly outcome: 'removed'
  readonly name: string
  readonly wasDefault: boolean
}

export default class ContextRemove extends BaseCommand<typeof ContextRemove> {
  static override summary = 'Take a name away again.'
  static override description = [
    'The cluster is not touched, and no node is asked. When it was the default one there is no default any more.',
    'Exit codes: 0 removed; 2 there is no such context, or the file of contexts cannot be used.',
  ].join('\n\n')
  static override examples = ['<%= config.bin %> context remove staging']
  static override args = {name: word({description: 'a context', required: true})}

  async run(): Promise<RemoveReport> {
    const {name} = this.args
    const contexts = readContexts(process.env)
    requireContext(contexts, name)
    const byName = new Map(contexts.byName)
    byName.delete(name)
    const wasDefault = contexts.standard === name
    writeContexts({...contexts, byName, standard: wasDefault ? undefined : contexts.standard})
    this.print(`Removed context ${name}.${wasDefault ? ' It was the default: there is none now.' : ''}`)
    return {outcome: 'removed', name, wasDefault}
  }
}
