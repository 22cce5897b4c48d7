/** Which settings of a declaration do nodes have otherwise, and how do they get them? On all or on none. Safe to run again. */
import {InterruptedError, UsageError} from '../errors.ts'
import type {ConfigPlan, Declaration, DesiredStage} from '../plan/desired.ts'
import {compare} from '../plan/move-plan.ts'
import {type ClusterNode, formatAddress} from '../topology/model.ts'
import {findNode} from '../topology/queries.ts'
import {isSecretSetting, meansTheSame} from '../topology/settings.ts'
import type {NodePort} from './cluster-port.ts'
import {keepOnAll, planSettings, setSettings} from './cluster-settings.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** Of nodes, members or not yet; empty when all have them so. Reads only. @throws UsageError for what is no setting. */
export async function settingsStage(
  ports: readonly NodePort[],
  config: Declaration['config'],
): Promise<DesiredStage[]> {
  const changes = await mapBounded(ports, 128, async (port) => {
    const address = formatAddress(port.address)
    const told = config.map(async ({name, value}) => {
      const before = await port.readConfig(name)
      if (before === undefined) throw new UsageError(`${address} has no setting ${name}`)
      if (meansTheSame(value, before)) return []
      return [{address, name, ...(isSecretSetting(name) ? {} : {before, after: value})}]
    })
    return (await Promise.all(told)).flat()
  })
  const all = changes.flat().sort((a, b) => compare(a.address, b.address) || compare(a.name, b.name))
  return all.length === 0 ? [] : [{stage: 'config', plan: {version: 1, kind: 'config', changes: all}}]
}

/**
 * Read again on each, and written to the nodes' files.
 * @returns nodes where that failed, and why: they have the settings until their restart.
 * @throws InterruptedError when a node refused.
 */
export async function applySettings(
  session: ClusterSession,
  {changes}: ConfigPlan,
  config: Declaration['config'],
): Promise<readonly {readonly node: ClusterNode; readonly reason: string}[]> {
  const nodes = [...new Set(changes.flatMap(({address}) => findNode(session.topology, address) ?? []))]
  const wanted = nodes.flatMap((node) => config.map((setting) => ({node, ...setting})))
  const outcome = await setSettings(session, await planSettings(session, wanted))
  if (outcome.kind === 'set') return keepOnAll(session, nodes)
  const now = outcome.kind === 'put-back' ? 'all nodes have what they had' : 'some nodes could not be put back'
  throw new InterruptedError(`settings were refused, and ${now}: ${outcome.failures.join('; ')}`, {
    suggestions: [`rcluster config diff ${formatAddress(session.seed)}`],
  })
}
