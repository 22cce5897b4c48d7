import {BaseCommand} from '../../lib/cli/base-command.ts'
import {type ContextDocument, contextDocument, renderContexts} from '../../lib/render/contexts.ts'
import {readContexts} from '../../lib/state/contexts.ts'

interface ListReport {
  readonly file: string
  readonly default: string | undefined
  readonly contexts: readonly ContextDocument[]
}

export default class ContextList extends BaseCommand<typeof ContextList> {
  static override summary = 'Show the clusters that have a name.'
  static override description = [
    'The default one, which counts where no other cluster is named, is marked with *. No node is asked.',
    'Exit codes: 0; 2 the file of contexts cannot be used.',
  ].join('\n\n')
  static override examples = ['<%= config.bin %> context list', '<%= config.bin %> context list --json']

  async run(): Promise<ListReport> {
    const contexts = readContexts(process.env)
    const documents = [...contexts.byName.keys()].sort().map((name) => contextDocument(contexts, name))
    this.print(
      documents.length === 0
        ? 'No cluster has a name yet: rcluster context add NAME --seed HOST:PORT'
        : renderContexts(documents, this.style),
    )
    return {file: contexts.file, default: contexts.standard, contexts: documents}
  }
}
