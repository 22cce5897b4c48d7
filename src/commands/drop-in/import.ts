import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {measureClockShift, openSource, type Source, sourceConnection} from '../../lib/cli/import-source.ts'
import {parseAddressReference} from '../../lib/cli/node-argument.ts'
import {Import} from '../../lib/engine/import-keys.ts'
import type {KeyFate} from '../../lib/engine/load-outcome.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {InterruptedError} from '../../lib/errors.ts'
import {planImport} from '../../lib/plan/import.ts'
import {openSourcePort} from '../../lib/redis/source-client.ts'
import {plural} from '../../lib/render/amounts.ts'
import {clean} from '../../lib/render/clean.ts'
import {keySlot} from '../../lib/slots/key-slot.ts'
import {formatAddress} from '../../lib/topology/model.ts'
import {ownerOf} from '../../lib/topology/queries.ts'

const CONCURRENCY = 4

const FATES: Readonly<Record<Exclude<KeyFate, 'failed'>, string>> = {
  copied: 'OK',
  identical: 'OK (it was there already)',
  expired: 'OK (its time had come)',
  skipped: 'skipped',
}

export default class DropInImport extends DropInCommand<typeof DropInImport> {
  static override summary = 'redis-cli --cluster import'

  async run(): Promise<object> {
    const [seed = ''] = (await this.wordsWithInput()).map(String)
    const [from] = this.options.from
    if (from === undefined) {
      throw new SaidFailure("[ERR] Option '--cluster-from' is required for subcommand 'import'.", 'stderr')
    }
    const reference = parseAddressReference(from)
    const [there, here] = [reference.address, this.parseAddress(seed)].map(formatAddress)
    this.say(`>>> Importing data from ${there} to cluster ${here}`)
    const session = await this.openCluster(seed)
    this.complainOfUnreachable(session.topology)
    if (!this.showCheck(session)) throw new SaidFailure('*** Please fix your cluster problems before importing')
    const source = await this.stoppable(openSource(reference.address, await this.#sourceOptions(reference)))
    try {
      if (source.session) throw new SaidFailure('[ERR] The source node should not be a cluster node.')
      await this.#import(session, source)
    } finally {
      source.close()
    }
    return {}
  }

  async #sourceOptions(reference: ReturnType<typeof parseAddressReference>) {
    const {'from-user': user, 'from-pass': password, 'from-askpass': isAsking} = this.options
    const asked = isAsking ? await this.ask('Please input import source node password: ') : undefined
    // As there, the source is reached without TLS, unless it is named as rediss://…
    const {cacert, cacertdir, cert, key, insecure} = this.options
    const given = Object.entries({'from-user': user, 'from-password': password, cacert, cacertdir, cert, key, insecure})
    const flags = Object.fromEntries(given.filter(([, value]) => value !== undefined))
    return sourceConnection({...flags, 'tls-verify': 'chain'}, reference, asked?.trim(), process.env)
  }

  async #import(session: ClusterSession, source: Source): Promise<void> {
    const {replace, copy} = this.options
    const count = Math.min(...(await Promise.all(session.reachedPorts().map((port) => port.readDatabaseCount()))))
    const taken = [...source.keysByDatabase.keys()].filter((database) => database === 0 || !replace)
    const wishes = {databases: taken, map: undefined, into: undefined, conflicts: replace ? 'replace' : 'fail'} as const
    const {routes, left} = planImport(source.keysByDatabase, count, wishes)
    if (routes.length === 0) this.say('*** Importing 0 keys from DB 0')
    for (const route of routes) this.say(`*** Importing ${route.keys} keys from DB ${route.from}`)
    for (const {database, keys} of left) {
      this.say(`*** Leaving ${keys} keys of DB ${database}: --cluster-replace would let databases overwrite each other`)
    }
    const targetOptions = await this.connectionOptions()
    const work = new Import(session, source.servers, {
      routes,
      pattern: undefined,
      conflicts: wishes.conflicts,
      isMoving: !copy,
      isVerifying: false,
      concurrency: CONCURRENCY,
      clockShiftMs: await this.stoppable(measureClockShift(source, session)),
      openReader: (at) => openSourcePort(at, targetOptions),
      signal: this.stopSignal,
      onKey: (key, fate, reason) => this.#tell(session, key, fate, reason),
    })
    try {
      const {failed, changed} = await work.run()
      if (failed + changed === 0) return
      const what = [
        failed > 0 ? `${plural(failed, 'key')} did not arrive` : '',
        changed > 0 ? `${plural(changed, 'key')} stayed at the source, changed there after being copied` : '',
      ]
      throw new InterruptedError(what.filter((text) => text !== '').join(', '))
    } finally {
      work.close()
    }
  }

  #tell(session: ClusterSession, key: Buffer, fate: KeyFate, reason: string | undefined): void {
    const owner = ownerOf(session.topology, keySlot(key))
    const where = owner ? formatAddress(owner.address) : '?'
    const end = fate === 'failed' ? `failed: ${reason ?? ''}` : FATES[fate]
    process.stdout.write(`Migrating ${clean(key.toString())} to ${where}: ${clean(end)}\n`)
  }
}
