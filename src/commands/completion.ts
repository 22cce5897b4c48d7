import {word} from '../lib/cli/args.ts'
import {BaseCommand} from '../lib/cli/base-command.ts'
import {SHELLS} from '../lib/cli/completion/candidates.ts'
import {COMPLETION_SCRIPTS} from '../lib/cli/completion/scripts.ts'
import {UsageError} from '../lib/errors.ts'
import {nearestWord} from '../lib/nearest-word.ts'

interface CompletionReport {
  readonly shell: string
  readonly script: string
}

export default class Completion extends BaseCommand<typeof Completion> {
  static override summary = 'Print a script that completes commands, flags and nodes at the Tab key.'
  static override description = [
    'For bash, put eval "$(rcluster completion bash)" into ~/.bashrc; for zsh the same with "zsh" into ~/.zshrc, after compinit; for fish, write it to ~/.config/fish/completions/rcluster.fish.',
    'Commands, flags, their values, contexts and nodes are completed. The nodes are those that the last commands saw, for a day; nobody is asked. --no-remember or RCLUSTER_REMEMBER=0 remembers none.',
    'Exit codes: 0; 2 there is no script for that shell.',
  ].join('\n\n')
  static override usage = 'completion bash|zsh|fish'
  static override examples = [
    '<%= config.bin %> <%= command.id %> bash',
    '<%= config.bin %> <%= command.id %> zsh',
    '<%= config.bin %> <%= command.id %> fish',
  ]
  static override args = {shell: word({description: `the shell: ${SHELLS.join(', ')}`, required: true})}

  async run(): Promise<CompletionReport> {
    const {shell} = this.args
    const known = SHELLS.find((name) => name === shell)
    if (!known) {
      const nearest = nearestWord(shell, SHELLS)
      throw new UsageError(`there is no completion for "${shell}"`, {
        suggestions: [nearest ? `Did you mean "${nearest}"?` : `The shells are ${SHELLS.join(', ')}`],
      })
    }
    const script = COMPLETION_SCRIPTS[known]
    this.print(script.trimEnd())
    return {shell: known, script}
  }
}
