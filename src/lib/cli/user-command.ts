/** What do commands have in common that change an ACL user on several nodes? Telling who has it now, and making it last. */
import type {Command} from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'
import {saveUsers, type UserOutcome} from '../engine/cluster-users.ts'
import type {ClusterSession} from '../engine/session.ts'
import {InterruptedError} from '../errors.ts'
import {plural} from '../render/amounts.ts'
import {whichNodes} from '../render/settings.ts'
import {type ClusterNode, formatAddress, type NodeId} from '../topology/model.ts'
import {AdminCommand, nodeFlag, roleFlags} from './admin-command.ts'
import {changeFlags, lockFlags} from './flags.ts'

export const userFlags = {
  ...changeFlags,
  ...lockFlags,
  node: nodeFlag,
  ...roleFlags,
  save: Flags.boolean({
    summary: 'Make it outlast a restart: in the aclfile of each node, or else its configuration file.',
    default: false,
  }),
}

export interface UserReport {
  readonly outcome: 'set' | 'deleted' | 'planned' | 'nothing-to-do'
  readonly user: string
  readonly nodes: readonly NodeId[]
  /** With --save: nodes that have no file for it, or could not write it, where it lasts until the restart. */
  readonly notKept: readonly {readonly address: string; readonly reason: string}[]
}

export abstract class UserCommand<T extends typeof Command = typeof Command> extends AdminCommand<T> {
  /** The rest of the line is private, and its author knows it. */
  protected override get commandLine(): string {
    return `rcluster ${this.commandName}`
  }

  /** @throws InterruptedError that names who does not have it as the others. */
  protected requireAll(outcomes: readonly UserOutcome[], what: string): void {
    const failed = outcomes.filter(({failure}) => failure !== undefined)
    if (failed.length === 0) return
    const reasons = failed.slice(0, 4).map(({node, failure}) => withAddress(node, failure as string))
    const done = outcomes.length - failed.length
    throw new InterruptedError(
      `${failed.length} of ${plural(outcomes.length, 'node')} ${failed.length === 1 ? 'is' : 'are'} not as asked: ${reasons.join('; ')}; ${done === 0 ? 'no other' : plural(done, 'other node')} ${what}`,
      {
        details: {
          failed: failed.map(({node, failure, isUnsure}) => ({
            id: node.id,
            address: formatAddress(node.address),
            failure,
            isUnsure,
          })),
        },
        suggestions: ['Run the command again when these answer: it is safe to repeat'],
      },
    )
  }

  protected async keep(session: ClusterSession, nodes: readonly ClusterNode[]): Promise<UserReport['notKept']> {
    if (!(this.flags as {save?: boolean}).save) {
      this.note('Nodes forget it when they restart, unless it is in their files: --save.')
      return []
    }
    const lost = (await saveUsers(session, nodes)).filter(({failure}) => failure !== undefined)
    if (lost.length > 0) {
      this.warnOperator(`It lasts until the restart of ${whichNodes(lost.map(({node}) => node))}: ${lost[0]?.failure}`)
    }
    return lost.map(({node, failure}) => ({address: formatAddress(node.address), reason: failure as string}))
  }
}

function withAddress({address}: ClusterNode, failure: string): string {
  const place = formatAddress(address)
  return failure.includes(place) ? failure : `${place}: ${failure}`
}
