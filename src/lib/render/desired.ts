/** What is to be done until a cluster is as it was declared? A line a stage. */
import type {DesiredPlan, DesiredStage, FunctionsPlan, UsersPlan} from '../plan/desired.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {wrap} from './wrap.ts'

/** Numbered, in the order in which they are carried out; warnings last. */
export function renderDesiredPlan({stages, warnings}: DesiredPlan, style: Style): string {
  const lines = stages.map((stage, index) => wrap(`${index + 1}. ${clean(describeStage(stage))}`, style, 0, 3))
  return [...lines, ...warnings.map((warning) => renderWarning(warning, style))].join('\n')
}

export function describeStage({stage, plan}: DesiredStage): string {
  switch (stage) {
    case 'create': {
      const shards = plan.primaries.map(({address, slots, replicas}) =>
        [`${address} leads ${slots || 'no slots'}`, ...replicas.map((one) => one.address)].join(', followed by '),
      )
      return `Create a cluster of ${plural(plan.primaries.length, 'shard')}: ${shards.join('; ')}`
    }
    case 'join': {
      const isReplica = plan.newcomers[0]?.role === 'replica'
      const roles = plural(plan.newcomers.length, isReplica ? 'replica' : 'primary').replace(/^\d+ /, '')
      return `Join ${plan.newcomers.map(({address}) => address).join(', ')} as ${roles}`
    }
    case 'move': {
      const changes = plan.primaries
        .filter(({slotsBefore, slotsAfter}) => slotsBefore !== slotsAfter)
        .map(({address, slotsBefore, slotsAfter}) => `${address} from ${slotsBefore} to ${slotsAfter}`)
      return `Move ${plural(plan.moves.length, 'slot')}: ${changes.join(', ')}`
    }
    case 'replicate':
      return `Make ${plan.replica.address} follow ${plan.primary.address}`
    case 'config': {
      const settings = new Map<string, Set<string>>()
      for (const {name, after, address} of plan.changes) {
        const text = after === undefined ? name : `${name} ${after === '' ? '(empty)' : after}`
        settings.set(text, (settings.get(text) ?? new Set()).add(address))
      }
      return `Set ${[...settings].map(([text, nodes]) => `${text} on ${plural(nodes.size, 'node')}`).join(', ')}`
    }
    case 'users':
      return plan.changes.map(describeUser).join('; ')
    case 'functions':
      return `Load ${plan.changes.map(describeLibrary).join(', ')}`
    case 'remove':
      return `Remove ${plan.victims.map(({address}) => address).join(', ')}`
  }
}

function describeUser({user, rules, passwords, nodes}: UsersPlan['changes'][number]): string {
  const where = plural(nodes.length, 'node')
  if (!rules) return `Delete user ${user} on ${where}`
  const secrets = passwords === 0 ? '' : `, and ${plural(passwords, 'password')}`
  return `Set user ${user} on ${where}: ${rules.join(' ')}${secrets}`
}

function describeLibrary({library, nodes, isReplacing}: FunctionsPlan['changes'][number]): string {
  return `function library ${library} on ${plural(nodes.length, 'primary')}${isReplacing ? ', in place of other code' : ''}`
}
