import {word} from '../../lib/cli/args.ts'
import {BaseCommand} from '../../lib/cli/base-command.ts'
import {UsageError} from '../../lib/errors.ts'
import {type ContextDocument, contextDocument, renderContext} from '../../lib/render/contexts.ts'
import {readContexts, requireContext} from '../../lib/state/contexts.ts'

interface ShowReport {
  readonly file: string
  readonly context: ContextDocument
}

export default class ContextShow extends BaseCommand<typeof ContextShow> {
  static override summary = 'Show all that a context says.'
  static override description = [
    'Without a name it is the one that would be used: that of RCLUSTER_CONTEXT, or else the default. Secrets are not looked up. No node is asked.',
    'Exit codes: 0; 2 there is no such context, or the file of contexts cannot be used.',
  ].join('\n\n')
  static override usage = 'context show [NAME]'
  static override examples = ['<%= config.bin %> context show', '<%= config.bin %> context show prod --json']
  static override args = {name: word({description: 'a context'})}

  async run(): Promise<ShowReport> {
    const contexts = readContexts(process.env)
    const name = this.args.name ?? (process.env['RCLUSTER_CONTEXT'] || contexts.standard)
    if (name === undefined) {
      throw new UsageError('no context was named, and there is no default one', {
        suggestions: ['rcluster context list'],
      })
    }
    requireContext(contexts, name)
    const context = contextDocument(contexts, name)
    this.print(renderContext(context))
    return {file: contexts.file, context}
  }
}
