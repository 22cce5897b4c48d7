import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {duration} from '../lib/cli/flags.ts'
import {readZoneLabels, zoneFlags} from '../lib/cli/zones.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import {formatMoment} from '../lib/render/amounts.ts'
import type {HeatDocument} from '../lib/render/heat-document.ts'
import {renderSlotMap} from '../lib/render/slot-map.ts'
import {renderTopology} from '../lib/render/topology.ts'
import {type TopologyDocument, topologyDocument} from '../lib/render/topology-document.ts'
import type {ReportFlag} from '../lib/state/report-file.ts'
import type {Topology} from '../lib/topology/model.ts'
import {seedAddress} from '../lib/topology/queries.ts'
import {HEAT_KINDS, type SlotHeat} from '../lib/topology/slot-heat.ts'
import {withZones} from '../lib/topology/zone-labels.ts'

interface InfoReport extends TopologyDocument {
  /** With --heat. */
  readonly heat?: HeatDocument
  /** Written with --svg and --html. */
  readonly files?: readonly string[]
}

export default class Info extends ClusterCommand<typeof Info> {
  static override summary = 'Show the nodes: roles, slots, keys, memory, operations, zones, replication.'
  static override description = [
    'Asks every node and shows what they say, replicas below their primary. Changes nothing.',
    'With --heat the slots are shaded by their load, the hottest are listed, and so is what each primary bears. Keys and memory are told everywhere: where the servers have CLUSTER SLOT-STATS (Redis 8.2, Valkey 8 and later) by them, else counted, and estimated from a few keys of each slot. cpu and network are only known to servers that run with cluster-slot-stats-enabled.',
    '--html writes a page for tickets and post-mortems, with the nodes, the findings of check and the maps; --svg the map alone, shaded with --heat.',
    'Exit codes: 0 all nodes answered, 1 some did not, or the load of some slots is not known (what is known is shown all the same), 2 the words make no sense, or the file is none to overwrite, 3 no server measures that load, 4 no seed answers.',
  ].join('\n\n')
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --map',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --heat memory --html report.html',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --heat cpu --over 10s',
    '<%= config.bin %> <%= command.id %> rediss://admin@cache.example.com:6380 --askpass --json',
  ]
  static override usage = '<%= command.id %> [SEED]'
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    map: Flags.boolean({summary: 'Draw the 16384 slots by primary.', default: false}),
    heat: Flags.option({options: HEAT_KINDS})({summary: 'Draw the slots shaded by their load.'}),
    over: duration({
      summary: 'With --heat cpu or network: what comes in this time, instead of since the servers began to count.',
      dependsOn: ['heat'],
    }),
    ...zoneFlags,
    svg: Flags.string({summary: 'Write the map as a picture, shaded with --heat.', helpValue: 'FILE'}),
    html: Flags.string({summary: 'Write a report that needs no other file.', helpValue: 'FILE'}),
    yes: Flags.boolean({
      char: 'y',
      summary: 'Overwrite a file that is no report of rcluster, too.',
      default: false,
    }),
  }

  async run(): Promise<InfoReport> {
    const {heat: kind, over, map} = this.flags
    if (over !== undefined && kind !== 'cpu' && kind !== 'network') {
      throw new UsageError(`--over is for --heat cpu and network: ${kind} is what is there now`)
    }
    await this.#requireFiles()
    const labels = readZoneLabels(this.flags)
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const topology = withZones(session.topology, labels)
    const heat = kind ? await this.#measure(session) : undefined
    this.print(renderTopology(topology, this.style))
    if (map) this.print(`\n${renderSlotMap(topology, this.style)}`)
    if (heat) {
      const {renderHeatMap} = await import('../lib/render/heat-map.ts')
      this.print(`\n${renderHeatMap(heat, topology, this.style)}`)
    }
    const files = await this.#writeFiles(topology, heat)
    const document = topologyDocument(topology)
    if (document.unreachable.length > 0 || (heat?.gaps.length ?? 0) > 0) process.exitCode = 1
    const {heatDocument} = await import('../lib/render/heat-document.ts')
    return {
      ...document,
      ...(heat ? {heat: heatDocument(heat, topology)} : {}),
      ...(files.length > 0 ? {files} : {}),
    }
  }

  async #measure(session: ClusterSession): Promise<SlotHeat> {
    const {measureHeat} = await import('../lib/engine/measure-heat.ts')
    const {heat: kind = 'keys', over: overMs} = this.flags
    return this.stoppable(measureHeat(session, kind, {overMs, signal: this.stopSignal}))
  }

  get #files(): readonly (readonly [ReportFlag, string])[] {
    const {svg, html} = this.flags
    return [
      ...(svg === undefined ? [] : [['--svg', svg] as const]),
      ...(html === undefined ? [] : [['--html', html] as const]),
    ]
  }

  /** Before the work. */
  async #requireFiles(): Promise<void> {
    if (this.#files.length === 0) return
    const {requireReportFile} = await import('../lib/state/report-file.ts')
    for (const [flag, file] of this.#files) requireReportFile(flag, file, this.flags.yes)
    if (this.flags.svg !== undefined && this.flags.svg === this.flags.html) {
      throw new UsageError(`--svg and --html both name ${this.flags.svg}`)
    }
  }

  async #writeFiles(topology: Topology, heat: SlotHeat | undefined): Promise<string[]> {
    if (this.#files.length === 0) return []
    const {writeReportFile} = await import('../lib/state/report-file.ts')
    for (const [flag, file] of this.#files) {
      writeReportFile(flag, file, await this.#markup(flag, topology, heat), this.flags.yes)
      this.note(`Wrote ${file}`)
    }
    return this.#files.map(([, file]) => file)
  }

  async #markup(flag: ReportFlag, topology: Topology, heat: SlotHeat | undefined): Promise<string> {
    const madeAt = new Date()
    const seed = seedAddress(topology)
    if (flag === '--html') {
      const {inspect} = await import('../lib/findings/inspect.ts')
      const {renderReport} = await import('../lib/render/report-html.ts')
      const madeBy = `${this.config.bin} ${this.config.version}`
      return renderReport({topology, findings: inspect(topology), heat, madeAt, madeBy, seed})
    }
    const {renderMapSvg} = await import('../lib/render/map-svg.ts')
    const {describeHeat} = await import('../lib/render/heat-scale.ts')
    const title = heat ? describeHeat(heat) : 'Slots by primary'
    return renderMapSvg(topology, heat, {title, subtitle: `Cluster at ${seed}, ${formatMoment(madeAt)}`})
  }
}
