import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {renderDropInHelp} from '../../lib/render/drop-in/help.ts'

export default class DropInHelp extends DropInCommand<typeof DropInHelp> {
  static override summary = 'redis-cli --cluster help'

  async run(): Promise<object> {
    this.say(renderDropInHelp())
    return {}
  }
}
