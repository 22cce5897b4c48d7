import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedsFromWords} from '../lib/cli/cluster-command.ts'
import {list} from '../lib/cli/flags.ts'
import {readZoneLabels, zoneFlags} from '../lib/cli/zones.ts'
import {UsageError} from '../lib/errors.ts'
import {detailsFor, type Examination, examine, type NotJudged} from '../lib/findings/examine.ts'
import type {Finding, Severity} from '../lib/findings/finding.ts'
import {fingerprintOf} from '../lib/findings/fingerprint.ts'
import {isRuleId, RULE_IDS, type RuleId} from '../lib/findings/rule-book.ts'
import {nearestWord} from '../lib/nearest-word.ts'
import {plural} from '../lib/render/amounts.ts'
import {isToPaste} from '../lib/render/error.ts'
import {renderFindings} from '../lib/render/findings.ts'
import {type FindingDocument, findingDocument} from '../lib/render/findings-document.ts'
import {type RuleDocument, renderRuleBook, ruleDocument} from '../lib/render/rule-book.ts'
import type {KnownFinding} from '../lib/state/baseline.ts'
import {withZones} from '../lib/topology/zone-labels.ts'

interface CheckReport {
  /** No finding is an error, known or not. */
  readonly isHealthy: boolean
  /** Nothing that counts was found: exit code 0. */
  readonly passes: boolean
  readonly nodes: number
  readonly unreachable: number
  /** Errors and warnings. `isKnown`: of the baseline, and not counted. */
  readonly findings: readonly (FindingDocument & {readonly isKnown: boolean})[]
  /** What may well be meant so. */
  readonly notes: readonly (FindingDocument & {readonly isKnown: boolean})[]
  /** Rules that were asked for. */
  readonly rules: readonly RuleId[]
  /** Of these: which could not be judged, on which nodes (none: at all), and why. */
  readonly notJudged: readonly NotJudged[]
  /** Of the baseline: what was not found any more. */
  readonly gone?: readonly KnownFinding[]
}

interface RuleList {
  readonly rules: readonly RuleDocument[]
}

export default class Check extends ClusterCommand<typeof Check> {
  static override summary = 'Judge whether the cluster is healthy, and say what to do where it is not.'
  static override description = [
    'Asks every node, compares what they say, and judges it by rules; each finding says what to do about it. Changes nothing.',
    'Errors are a node that does not answer, a broken replica link, an open or uncovered slot, nodes that disagree. A cluster without replicas is a warning. A note tells what may well be meant so. --rules lists all rules.',
    'With a baseline only what is new counts. A finding is known again by its rule and what it is about, whatever its numbers are.',
    'Exit codes: 0 no error was found, 1 one was (see --fail-on), 2 the words make no sense, 4 no seed answers.',
  ].join('\n\n')
  static override usage = '<%= command.id %> [SEED...]'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --fail-on warning --ignore no-replicas,persistence-off',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --rule config-drift,node-timeout-drift',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --write-baseline known.json',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --baseline known.json --fail-on warning',
    '<%= config.bin %> <%= command.id %> 10.0.0.1 --zone 10.0.0.1=a --zone 10.0.0.2=b --zone 10.0.0.3=c',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --json',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --openmetrics > rcluster.prom',
    '<%= config.bin %> <%= command.id %> --rules',
  ]
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    'fail-on': Flags.option({options: ['error', 'warning'] as const})({
      summary: 'The least grave finding that makes the exit code 1.',
      default: 'error',
    }),
    rule: list({summary: 'Judge by these rules only; may repeat.', helpValue: 'ID', exclusive: ['ignore']}),
    ignore: list({summary: 'Judge by all rules but these; may repeat.', helpValue: 'ID'}),
    deep: Flags.boolean({
      summary: 'Also look for keys in slots that their node does not own: every slot of every primary is counted.',
      default: false,
    }),
    ...zoneFlags,
    baseline: Flags.string({summary: 'Do not count the findings that this file knows.', helpValue: 'FILE'}),
    'write-baseline': Flags.string({summary: 'Write all that is found to this file, as known.', helpValue: 'FILE'}),
    openmetrics: Flags.boolean({
      summary: 'Print OpenMetrics text for Prometheus: findings, slots, nodes, lag, memory.',
      default: false,
      exclusive: ['json'],
    }),
    rules: Flags.boolean({
      summary: 'List the rules; with --rule, all that is to say of these. No node is asked.',
      default: false,
      exclusive: ['openmetrics', 'baseline', 'write-baseline'],
    }),
  }

  async run(): Promise<CheckReport | RuleList> {
    const rules = this.#rules()
    if (this.flags.rules) {
      this.print(renderRuleBook(rules, this.style))
      return {rules: rules.map(ruleDocument)}
    }
    const baselines = await this.#openBaselines()
    const labels = readZoneLabels(this.flags)
    // Loaded while the nodes answer.
    const loading = import('../lib/engine/read-details.ts')
    const session = await this.openCluster(seedsFromWords(this.args.seed))
    await this.stoppable(session.requireOneCluster())
    const countsKeys = this.flags.deep || (this.flags.rule?.includes('orphan-keys') ?? false)
    const {readDetails} = await loading
    const details = await this.stoppable(
      readDetails(session, {wanted: detailsFor(rules), countsKeys: countsKeys && rules.includes('orphan-keys')}),
    )
    const topology = withZones(session.topology, labels)
    const examination = examine(topology, details, rules)
    const known = baselines.settle(examination.findings)
    const knownPrints = new Set(known?.map(({fingerprint}) => fingerprint))
    const fresh = examination.findings.filter((finding) => !knownPrints.has(fingerprintOf(finding)))
    if (this.flags.openmetrics) {
      const [{checkMetrics}, {renderOpenMetrics}] = await Promise.all([
        import('../lib/render/check-metrics.ts'),
        import('../lib/render/open-metrics.ts'),
      ])
      this.print(renderOpenMetrics(checkMetrics(topology, examination, fresh)))
    } else {
      const isSelective = this.flags.rule !== undefined
      this.print(renderFindings({examination, fresh, isSelective}, topology, this.style))
      const needed = fresh.some(({suggestions}) => suggestions.some(isToPaste)) ? this.neededByCommands : undefined
      if (needed !== undefined) this.note(`${needed}.`)
    }
    // What somebody is in the middle of looks like damage.
    if (topology.openSlots.length > 0) await this.warnOfWork(session.reachedPorts())
    const passes = !fresh.some((finding) => this.#isGrave(finding))
    if (!passes) process.exitCode = 1
    const documentsOf = (isWanted: (severity: Severity) => boolean) =>
      examination.findings
        .filter(({severity}) => isWanted(severity))
        .map((finding) => ({...findingDocument(finding), isKnown: !fresh.includes(finding)}))
    return {
      isHealthy: !examination.findings.some(({severity}) => severity === 'error'),
      passes,
      nodes: topology.nodes.length,
      unreachable: topology.nodes.filter(({reach}) => reach.kind === 'unreachable').length,
      findings: documentsOf((severity) => severity !== 'note'),
      notes: documentsOf((severity) => severity === 'note'),
      rules,
      notJudged: examination.notJudged,
      ...(known ? {gone: this.#goneFrom(known, examination)} : {}),
    }
  }

  /** In the order of the book. @throws UsageError for what is no rule. */
  #rules(): readonly RuleId[] {
    const {rule, ignore} = this.flags
    for (const [flag, words] of [
      ['--rule', rule],
      ['--ignore', ignore],
    ] as const) {
      const unknown = words?.find((one) => !isRuleId(one))
      if (unknown === undefined) continue
      const nearest = nearestWord(unknown, RULE_IDS)
      throw new UsageError(`${flag}: there is no rule "${unknown}"`, {
        suggestions: [...(nearest ? [`Did you mean ${nearest}?`] : []), 'rcluster check --rules'],
      })
    }
    const rules = RULE_IDS.filter((id) => (rule ? rule.includes(id) : !ignore?.includes(id)))
    if (rules.length > 0) return rules
    throw new UsageError('no rule is left to judge by', {suggestions: ['rcluster check --rules']})
  }

  /** Read, and asked whether they can be written, before a node is. */
  async #openBaselines(): Promise<{settle(found: readonly Finding[]): readonly KnownFinding[] | undefined}> {
    const {baseline, 'write-baseline': out} = this.flags
    if (baseline === undefined && out === undefined) return {settle: () => undefined}
    const {readBaseline, requireBaselinePlace, writeBaseline} = await import('../lib/state/baseline.ts')
    const known = baseline === undefined ? undefined : readBaseline(baseline)
    if (out !== undefined) requireBaselinePlace(out)
    return {
      settle: (found) => {
        if (out === undefined) return known
        const all = found.map((finding) => ({
          fingerprint: fingerprintOf(finding),
          id: finding.id,
          message: finding.message,
        }))
        writeBaseline(out, all)
        this.note(`Wrote ${plural(all.length, 'finding')} to ${out}: with --baseline ${out} they are not counted.`)
        return known
      },
    }
  }

  /** Of rules that were judged. */
  #goneFrom(known: readonly KnownFinding[], {findings, rules, notJudged}: Examination): readonly KnownFinding[] {
    const found = new Set(findings.map(fingerprintOf))
    const unjudged = new Set(notJudged.flatMap((one) => one.rules))
    const judged = new Set<string>(rules.filter((id) => !unjudged.has(id)))
    const gone = known.filter(({fingerprint, id}) => judged.has(id) && !found.has(fingerprint))
    if (gone.length > 0) {
      this.note(
        `${gone.length} of ${known.length} findings of the baseline are gone: ${gone.map(({id}) => id).join(', ')}.`,
      )
    }
    return gone
  }

  #isGrave({severity}: Finding): boolean {
    return severity === 'error' || (severity === 'warning' && this.flags['fail-on'] === 'warning')
  }
}
