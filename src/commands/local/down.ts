import {BaseCommand} from '../../lib/cli/base-command.ts'
import {stopLocal} from '../../lib/local/instances.ts'

interface DownReport {
  readonly stopped: readonly string[]
}

export default class LocalDown extends BaseCommand<typeof LocalDown> {
  static override summary = 'End the servers that "local up" started, and remove their data.'
  static override description = 'Exit codes: 0 ended, or none was there; 4 a server does not end.'
  static override usage = 'local down'
  static override examples = ['<%= config.bin %> local down']

  async run(): Promise<DownReport> {
    const ended = await stopLocal(process.env)
    if (!ended) {
      this.print('Nothing to do: no local cluster was started.')
      return {stopped: []}
    }
    const {stopped, gone} = ended
    const before = gone.length > 0 ? ` (${gone.join(' ')} had ended before)` : ''
    this.print(`Stopped ${stopped.length} servers and removed their data${before}.`)
    return {stopped}
  }
}
