/** How do empty nodes become members of a cluster? Functions first, then introductions, then roles. */
import {RefusedError} from '../errors.ts'
import type {JoinPlan} from '../plan/plan.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeView} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import {holdSetting, SYNC_AT_ONCE} from './hold-setting.ts'
import {
  introduce,
  type MeetPoint,
  readMeetPoints,
  replicate,
  requireMeetable,
  showsRoles,
  waitUntilLinked,
  waitUntilUp,
} from './membership.ts'
import {type EpochOptions, startAfresh} from './newcomers.ts'
import type {ClusterSession} from './session.ts'
import {type StageOptions, Stages, tellingHowFar} from './stages.ts'
import {mapBounded} from './waiting.ts'

/**
 * Carries out `plan`; `ports` are the newcomers. Returns when every reached node knows every newcomer in its role.
 * @returns the plan as it was carried out: newcomers that have been members somewhere have new IDs.
 * @throws RefusedError when a newcomer has functions that the cluster has not; InterruptedError when the nodes do not
 *   come to know one another within the deadline.
 */
export async function joinNodes(
  session: ClusterSession,
  plan: JoinPlan,
  ports: readonly NodePort[],
  options: StageOptions & EpochOptions,
): Promise<JoinPlan> {
  const stages = new Stages(options)
  const members = await readMeetPoints(session.reachedPorts(), async (id) => (await session.waysTo(id))[0])
  const newPoints = await readMeetPoints(ports)
  const all = [...members, ...newPoints]
  requireMeetable(all)

  const joiningAsPrimary = plan.newcomers.filter(({role}) => role === 'primary').map(({id}) => id)
  await copyFunctions(
    session,
    ports.filter(({id}) => joiningAsPrimary.includes(id)),
    stages,
  )
  const idNow = await startAfresh(ports, stages)
  const fresh = {...plan, newcomers: plan.newcomers.map((newcomer) => ({...newcomer, id: idNow(newcomer.id)}))}
  // Distinct epochs from the start: newcomers that all have epoch 0 would have to sort that out among themselves.
  const highest = Math.max(0, ...session.topology.nodes.map((node) => node.configEpoch))
  if (!options.keepsEpochs) await Promise.all(ports.map((port, index) => port.setConfigEpoch(highest + 1 + index)))

  const seed = formatAddress(session.seed)
  await tellingHowFar('the newcomers may be members already', `rcluster info ${seed}`, () =>
    introduceAndWait(session, fresh, newPoints, all, stages),
  )
  return fresh
}

/** From here on the members know the newcomers, or some do. */
async function introduceAndWait(
  session: ClusterSession,
  plan: JoinPlan,
  newPoints: readonly MeetPoint[],
  all: readonly MeetPoint[],
  stages: Stages,
): Promise<void> {
  const ports = newPoints.map(({port}) => port)
  stages.begin('Introducing the nodes to one another')
  const counts = new Map(primaries(session.topology).map(({id}) => [id, countSlots(slotsOf(session.topology, id))]))
  const knowsSlots = (view: NodeView): boolean =>
    [...counts].every(
      ([id, count]) => countSlots(view.entries.find((entry) => entry.id === id)?.ranges ?? []) === count,
    )
  await introduce(newPoints, all, {
    deadlineMs: stages.leftMs,
    signal: stages.signal,
    isDone: knowsSlots,
  })
  for (const port of ports) session.adopt(port)

  const replicas = plan.newcomers.flatMap(({id, primaryId}) => (primaryId === undefined ? [] : [{id, primaryId}]))
  if (replicas.length > 0) {
    const primaryPorts = [...new Set(replicas.map(({primaryId}) => session.node(primaryId)))]
    const replicaPoints = newPoints.filter(({port}) => replicas.some(({id}) => id === port.id))
    await holdSetting(primaryPorts, SYNC_AT_ONCE, stages.listener, async () => {
      stages.begin('Assigning replicas')
      await mapBounded(replicas, 64, async ({id, primaryId}) => {
        const port = ports.find((candidate) => candidate.id === id)
        if (port) await replicate(port, primaryId, stages.leftMs, stages.signal)
      })
      await introduce(replicaPoints, all, {
        deadlineMs: stages.leftMs,
        signal: stages.signal,
        haveMet: true,
        isDone: (view) => showsRoles(view, replicas),
      })
      stages.begin('Waiting for the first synchronisation')
      await waitUntilLinked(
        replicaPoints.map(({port}) => port),
        stages.leftMs,
        stages.signal,
        stages.listener,
      )
    })
  }
  if (session.topology.uncovered.length === 0) {
    stages.begin('Waiting until the newcomers serve')
    await waitUntilUp(ports, stages.leftMs, stages.signal, stages.listener)
  }
}

/** Functions are data that no slot carries: a primary without them fails FCALL for the slots that it takes over. */
async function copyFunctions(session: ClusterSession, newcomers: readonly NodePort[], stages: Stages): Promise<void> {
  const donorNode = primaries(session.topology).find((node) => node.reach.kind === 'reached')
  if (!donorNode || newcomers.length === 0) return
  const donor = session.node(donorNode.id)
  const libraries = await donor.listFunctions()
  if (libraries === undefined) return
  const owned = await mapBounded(newcomers, 64, async (port) => ({port, names: (await port.listFunctions()) ?? []}))
  for (const {port, names} of owned) {
    const foreign = names.filter((name) => !libraries.includes(name))
    if (foreign.length > 0) {
      throw new RefusedError(
        'node-not-empty',
        `${formatAddress(port.address)} has function libraries that the cluster has not: ${foreign.join(', ')}`,
        {suggestions: ['FUNCTION FLUSH on that node, or load them into the cluster, then run the command again']},
      )
    }
  }
  const lacking = owned.filter(({names}) => libraries.some((name) => !names.includes(name)))
  if (lacking.length === 0) return
  stages.begin('Copying functions')
  const payload = await donor.dumpFunctions()
  await mapBounded(lacking, 64, ({port}) => port.restoreFunctions(payload))
}
