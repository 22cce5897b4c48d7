import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand} from '../lib/cli/cluster-command.ts'
import {callNodes, type NodeAnswer} from '../lib/engine/call-nodes.ts'
import {ClusterError, UsageError} from '../lib/errors.ts'
import {plural} from '../lib/render/amounts.ts'
import {type ReplyDocument, renderAnswers, replyDocument} from '../lib/render/answers.ts'
import {formatAddress, type NodeId} from '../lib/topology/model.ts'
import {compareAddresses} from '../lib/topology/queries.ts'

type AnswerDocument = {readonly id: NodeId; readonly address: string; readonly role: 'primary' | 'replica'} & (
  | {readonly reply: ReplyDocument}
  | {readonly error: string}
)

interface CallReport {
  readonly answers: readonly AnswerDocument[]
}

export default class Call extends ClusterCommand<typeof Call> {
  static override summary = 'Run a command on every node, and fail when one fails.'
  static override description = [
    'All nodes are asked at once; their answers are shown in the order of the nodes. The arguments go to the servers as they stand. Nothing is asked before: a command that changes something does so.',
    'Exit codes: 0 every node answered, and none with an error; 2 the words make no sense; 4 a node did not answer, or answered an error.',
  ].join('\n\n')
  static override usage = ['call [SEED] -- CMD ARG...', 'call [SEED] CMD ARG...']
  static override examples = [
    '<%= config.bin %> call 127.0.0.1:7000 -- CONFIG GET maxmemory',
    '<%= config.bin %> call 127.0.0.1:7000 --primaries -- DBSIZE',
    '<%= config.bin %> call 127.0.0.1:7000 --replicas --json -- INFO replication',
  ]
  static override args = {
    words: word({
      description: 'any node of the cluster, then the command; "--" before it where it has dashes',
      multiple: true,
    }),
  }
  static override flags = {
    primaries: Flags.boolean({summary: 'Only the primaries.', default: false, exclusive: ['replicas']}),
    replicas: Flags.boolean({summary: 'Only the replicas.', default: false}),
    'last-from-stdin': Flags.boolean({
      char: 'x',
      summary: 'Read the last argument from stdin, byte for byte.',
      default: false,
    }),
  }

  async run(): Promise<CallReport> {
    const {seed, words} = this.#words()
    const command = words.map(toBytes)
    if (this.flags['last-from-stdin']) command.push(await readStdin())
    const session = await this.openCluster(seed)
    const {primaries, replicas} = this.flags
    const nodes = session.topology.nodes.filter(
      ({role}) => !(primaries || replicas) || (role === 'primary') === primaries,
    )
    nodes.sort(compareAddresses)
    const answers = await this.stoppable(callNodes(session, nodes, command))
    if (answers.length === 0) this.note(`There is no ${primaries ? 'primary' : 'replica'} to ask.`)
    else this.print(renderAnswers(answers.map(labelled), this.style))
    const report = {answers: answers.map(documentOf)}
    const failed = answers.filter(({answer}) => !('reply' in answer)).map(({node}) => formatAddress(node.address))
    if (failed.length === 0) return report
    const message = `${failed.length} of ${plural(answers.length, 'node')} failed: ${failed.join(', ')}`
    throw new ClusterError('E_NODE', 4, message, {details: report as unknown as Record<string, unknown>})
  }

  /** What stands before "--" is the seed. Without "--" a first word with a colon is: no command has one. */
  #words(): {seed: string | undefined; words: readonly string[]} {
    const all = this.args.words ?? []
    const dashes = this.argv.indexOf('--')
    const before = dashes === -1 ? undefined : all.length - (this.argv.length - dashes - 1)
    if (before !== undefined && before > 1) {
      throw new UsageError(`only the seed stands before --, and these were given: ${all.slice(0, before).join(' ')}`)
    }
    const hasSeed = before === undefined ? /[:@]/.test(all[0] ?? '') : before === 1
    const words = hasSeed ? all.slice(1) : all
    if (words.length === 0) {
      throw new UsageError('call needs a command', {
        suggestions: ['rcluster call 127.0.0.1:7000 -- CONFIG GET maxmemory'],
      })
    }
    return {seed: hasSeed ? all[0] : undefined, words}
  }
}

function labelled({node, answer}: NodeAnswer): {address: string; answer: NodeAnswer['answer']} {
  return {address: formatAddress(node.address), answer}
}

function documentOf({node, answer}: NodeAnswer): AnswerDocument {
  const label = {id: node.id, address: formatAddress(node.address), role: node.role}
  if ('reply' in answer) return {...label, reply: replyDocument(answer.reply)}
  return {...label, error: 'error' in answer ? answer.error : answer.unanswered}
}

/** Node.js has replaced bytes that are no UTF-8 before we see the words: what was meant is not known. */
function toBytes(text: string): Buffer {
  if (!text.includes('\ufffd')) return Buffer.from(text, 'utf8')
  throw new UsageError('an argument is not UTF-8', {
    suggestions: ['Hand it over on stdin: printf ... | rcluster call -x SEED -- CMD ARG'],
  })
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}
