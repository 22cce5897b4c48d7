import * as Flags from '@oclif/core/flags'
import {word} from '../../lib/cli/args.ts'
import {ClusterCommand} from '../../lib/cli/cluster-command.ts'
import {isAddress, MEANINGS, parseQuestion} from '../../lib/cli/slot-question.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {UsageError} from '../../lib/errors.ts'
import {inspect} from '../../lib/findings/inspect.ts'
import {renderNodeExplanation, renderSlotExplanation} from '../../lib/render/explain.ts'
import {
  type ExplainedNodeDocument,
  explainedNodeDocument,
  explainNode,
  explainSlot,
  type SlotDocument,
  type SlotQuestion,
  slotDocument,
} from '../../lib/render/explanation.ts'
import type {ClusterNode, Topology} from '../../lib/topology/model.ts'

export default class ExplainSlot extends ClusterCommand<typeof ExplainSlot> {
  static override summary = 'Tell all about a slot, the slot of a key, or a node: who owns it, who thinks otherwise.'
  static override description = [
    'Of a slot: its owner and replicas, what the nodes say and at which epoch, marks of a move, how many keys of it are where, and what would help. Of a node: its slots and who is beside them, how it sees itself and how the others do. Changes nothing.',
    'A number is a slot, what names a node is the node, and anything else is a key; --as says what is meant otherwise. The cluster is found by --seed or RCLUSTER_SEED; a word that is an IP address with a port serves as the seed, too.',
    'Exit codes: 0 told; 1 a node could not be asked (what is known is told all the same); 2 the words make no sense; 4 no seed answers.',
  ].join('\n\n')
  static override examples = [
    '<%= config.bin %> explain slot 866 --seed 127.0.0.1:7000',
    '<%= config.bin %> explain slot user:1000 --seed 127.0.0.1:7000',
    '<%= config.bin %> explain slot 866 --as key --seed 127.0.0.1:7000',
    '<%= config.bin %> explain slot 127.0.0.1:7001 --json',
  ]
  static override usage = 'explain slot KEY|SLOT|NODE'
  static override args = {
    what: word({description: 'a slot, a key, or a node', required: true}),
  }
  static override flags = {
    as: Flags.option({options: MEANINGS})({summary: 'What the word is.'}),
  }

  async run(): Promise<SlotDocument | ExplainedNodeDocument> {
    const what = this.args.what ?? ''
    if (what === '' && this.flags.as !== 'key') {
      throw new UsageError('an empty word is no slot and no node', {suggestions: ['The key without a name: --as key']})
    }
    const session = await this.openCluster(this.#seeds(what))
    const {topology} = session
    if (topology.nodes.some(({reach}) => reach.kind === 'unreachable')) process.exitCode = 1
    const question = parseQuestion(what, this.flags.as, topology)
    return question.kind === 'node' ? this.#explainNode(topology, question.node) : this.#explainSlot(session, question)
  }

  #seeds(what: string): readonly string[] | undefined {
    return this.flags.as !== 'key' && isAddress(what) ? this.seedsAmong([what]) : undefined
  }

  #explainNode(topology: Topology, node: ClusterNode): ExplainedNodeDocument {
    const facts = explainNode(topology, node, inspect(topology))
    this.print(renderNodeExplanation(facts, topology, this.style))
    return explainedNodeDocument(facts, topology)
  }

  async #explainSlot(session: ClusterSession, question: SlotQuestion): Promise<SlotDocument> {
    const {countSlotEverywhere} = await import('../../lib/engine/count-slot.ts')
    const counts = await this.stoppable(countSlotEverywhere(session, question.slot))
    if (counts.some(({problem}) => problem !== undefined)) process.exitCode = 1
    const {topology} = session
    const facts = explainSlot(topology, question, counts, inspect(topology))
    this.print(renderSlotExplanation(facts, topology, this.style))
    // What somebody is in the middle of looks like damage.
    if (facts.marks) await this.warnOfWork(session.reachedPorts())
    return slotDocument(facts, topology)
  }
}
