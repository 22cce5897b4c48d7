import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedsFromWords} from '../lib/cli/cluster-command.ts'
import type {Finding} from '../lib/findings/finding.ts'
import {inspect} from '../lib/findings/inspect.ts'
import {renderFindings} from '../lib/render/findings.ts'
import {type FindingDocument, findingDocument} from '../lib/render/findings-document.ts'

interface CheckReport {
  /** No finding is an error. */
  readonly isHealthy: boolean
  readonly nodes: number
  readonly unreachable: number
  readonly findings: readonly FindingDocument[]
}

export default class Check extends ClusterCommand<typeof Check> {
  static override summary = 'Judge whether the cluster is healthy, and say what to do where it is not.'
  static override description = [
    'Asks every node, compares what they say, and reports findings with what to do about each. Changes nothing.',
    'Errors are a node that does not answer, a broken replica link, an open or uncovered slot, nodes that disagree. A cluster without replicas is a warning.',
    'Exit codes: 0 no error was found, 1 one was (see --fail-on), 2 the words make no sense, 4 no seed answers.',
  ].join('\n\n')
  static override usage = '<%= command.id %> [SEED…]'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --fail-on warning',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --json',
  ]
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    'fail-on': Flags.option({options: ['error', 'warning'] as const})({
      summary: 'The least grave finding that makes the exit code 1.',
      default: 'error',
    }),
  }

  async run(): Promise<CheckReport> {
    const session = await this.openCluster(seedsFromWords(this.args.seed))
    await this.stoppable(session.requireOneCluster())
    const {topology} = session
    const findings = inspect(topology)
    this.print(renderFindings(findings, topology, this.style))
    // What somebody is in the middle of looks like damage.
    if (topology.openSlots.length > 0) await this.warnOfWork(session.reachedPorts())
    if (findings.some((finding) => this.#isGrave(finding))) process.exitCode = 1
    return {
      isHealthy: !findings.some(({severity}) => severity === 'error'),
      nodes: topology.nodes.length,
      unreachable: topology.nodes.filter(({reach}) => reach.kind === 'unreachable').length,
      findings: findings.map(findingDocument),
    }
  }

  #isGrave({severity}: Finding): boolean {
    return severity === 'error' || this.flags['fail-on'] === 'warning'
  }
}
