import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {duration, positiveInteger} from '../lib/cli/flags.ts'
import {LineDisplay, ScreenDisplay, type WatchDisplay} from '../lib/cli/watch-display.ts'
import {orAbort} from '../lib/engine/waiting.ts'
import {ClusterWatcher} from '../lib/engine/watch-cluster.ts'
import {ClusterError, UsageError} from '../lib/errors.ts'
import {canAnimate} from '../lib/render/colour.ts'
import {type WatchDocument, watchDocument} from '../lib/render/watch-document.ts'
import {renderWatch, type WatchView} from '../lib/render/watch-frame.ts'
import {renderRound} from '../lib/render/watch-lines.ts'
import {SORTS} from '../lib/render/watch-rows.ts'
import {formatAddress} from '../lib/topology/model.ts'
import {nextPicture, type Picture} from '../lib/watch/picture.ts'

const INTERVAL_MS = 2000
/** More often tells nothing new: servers count operations over a second and a half. */
const LEAST_INTERVAL_MS = 200
/** How long a round waits for nodes that answered before. */
const [LEAST_PATIENCE_MS, MOST_PATIENCE_MS] = [1000, 5000]

export default class Watch extends ClusterCommand<typeof Watch> {
  static override summary = 'Look at the cluster again and again: nodes, moves, findings, as they change.'
  static override description = [
    'On a terminal a live view: q quits, s sorts, p pauses, ? shows all keys. Elsewhere lines of text: one of numbers each round, and what came, went and happened. With --json one document a line.',
    'Nodes that do not answer are shown as that, and hold up nothing. Members that join, leave or take over are followed. Changes nothing.',
    'Exit codes: 0 ended by q, Ctrl-C, --count or --timeout; 2 the words make no sense; 4 no seed answers; 130 stopped by a signal.',
  ].join('\n\n')
  static override usage = 'watch [SEED]'
  static override examples = [
    '<%= config.bin %> watch 127.0.0.1:7000',
    '<%= config.bin %> watch 127.0.0.1:7000 --interval 5s --sort ops',
    '<%= config.bin %> watch 127.0.0.1:7000 --json --count 10',
  ]
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    interval: duration({
      summary: 'How far looks are apart (2s, 500ms); large clusters take longer.',
      default: INTERVAL_MS,
      defaultHelp: async () => '2s' as never,
    }),
    count: positiveInteger({summary: 'End after so many looks.', exclusive: ['once']}),
    once: Flags.boolean({summary: 'Look once, and print all of it.', default: false}),
    sort: Flags.option({options: SORTS})({summary: 'What shards are sorted by at first.', default: 'slot'}),
    reverse: Flags.boolean({summary: 'Sort the other way round.', default: false}),
  }

  /** As the documents that were written as they came; nothing more is printed of what it returns. */
  async run(): Promise<WatchDocument> {
    const {interval: intervalMs = INTERVAL_MS, sort, reverse} = this.flags
    if (intervalMs < LEAST_INTERVAL_MS) throw new UsageError(`--interval must be ${LEAST_INTERVAL_MS}ms or more`)
    const seeds = this.seedAddresses(seedFromWords(this.args.seed))
    const port = await this.openPort()
    const view = {sort, isReversed: reverse, isPaused: false, isHelpShown: false, intervalMs, scroll: 0}
    const display = this.#display(view, `Looking at ${seeds.map(formatAddress).join(', ')} ...`)
    const ends = AbortSignal.any([this.stopSignal, display.hasEnough])
    let last: Picture | undefined
    try {
      const patienceMs = Math.max(LEAST_PATIENCE_MS, Math.min(intervalMs, MOST_PATIENCE_MS))
      const watcher = await orAbort(ClusterWatcher.open(port, seeds, patienceMs), ends)
      this.rememberAddresses(watcher.session)
      for (let rounds = 1; ; rounds++) {
        const startedAt = performance.now()
        last = nextPicture(last, await orAbort(watcher.look(), ends))
        await orAbort(display.show(last), ends)
        if (rounds === this.#count) break
        await display.rest(startedAt, last.round.leastIntervalMs, ends)
      }
    } catch (error) {
      if (!ends.aborted) throw error
    } finally {
      display.close()
    }
    if (this.stopSignal.aborted && !this.#isEnough(this.stopSignal.reason)) throw this.stopSignal.reason
    if (last && this.#isLive && !ends.aborted) this.print(renderWatch(last, view, this.style).join('\n'))
    return last ? watchDocument(last) : ({} as WatchDocument)
  }

  get #count(): number | undefined {
    return this.flags.once ? 1 : this.flags.count
  }

  get #isLive(): boolean {
    return !this.jsonEnabled() && !this.flags.once && canAnimate(process.stdout, process.env)
  }

  #display(view: WatchView, firstWords: string): WatchDisplay {
    if (this.#isLive) return new ScreenDisplay(view, () => this.style, firstWords)
    return new LineDisplay(view.intervalMs, (picture) => {
      if (this.jsonEnabled()) return JSON.stringify(super.toSuccessJson(watchDocument(picture)))
      return this.flags.once ? renderWatch(picture, view, this.style).join('\n') : renderRound(picture, this.style)
    })
  }

  /** Of a watch without an end of its own, Ctrl-C and --timeout are the end. */
  #isEnough(reason: unknown): boolean {
    if (this.#count !== undefined || !(reason instanceof ClusterError)) return false
    return reason.details['signal'] === 'SIGINT' || reason.details['failure'] === 'timeout'
  }

  /** The documents were written as they came. */
  override toSuccessJson(): undefined {
    return undefined
  }

  override logJson(document: unknown): void {
    if (document !== undefined) process.stdout.write(`${JSON.stringify(document)}\n`)
  }
}
