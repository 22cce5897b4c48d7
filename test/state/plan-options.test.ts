/** Is every flag that shapes how a plan is carried out kept with the plan? */
import type {Command} from '@oclif/core'
import {expect, test} from 'vitest'
import {changeFlags, connectionFlags, lockFlags, outputFlags, planFlags} from '../../src/lib/cli/flags.ts'
import {tellingFlags} from '../../src/lib/cli/move-flags.ts'
import type {SavedCommand} from '../../src/lib/plan/plan-file.ts'
import {optionNames} from '../../src/lib/state/plan-file.ts'

/** What they say is in the plan itself, or a secret, or leads to one. */
const NOT_KEPT: Readonly<Record<SavedCommand, readonly string[]>> = {
  reshard: ['from', 'to', 'slots', 'slots-list', 'like', 'where-possible'],
  rebalance: [
    ...['by', 'over', 'weight', 'weights-from', 'threshold', 'use-empty', 'defragment', 'max-moves', 'max-bytes'],
    ...['replicas', 'primaries', 'zone', 'zones-file'],
  ],
  create: ['nodes', 'replicas', 'primaries', 'if-missing', 'announce', 'zone', 'zones-file'],
  'add-node': ['replica', 'primary', 'rebalance', 'if-missing', 'zone', 'zones-file'],
  'del-node': ['drain', 'watch', 'if-present'],
  fix: [],
  failover: [],
  'replace-node': [],
  replicate: [],
  forget: ['watch'],
  'set-timeout': [],
  import: ['from-password', 'from-askpass'],
  restore: [],
}

const shared = Object.keys({
  ...changeFlags,
  ...connectionFlags,
  ...lockFlags,
  ...outputFlags,
  ...planFlags,
  ...tellingFlags,
})

test.each(Object.keys(NOT_KEPT) as SavedCommand[])('%s', async (name) => {
  const {default: command} = (await import(`../../src/commands/${name}.ts`)) as {default: typeof Command}
  expect(Object.keys(command.flags)).toContain('out')
  const own = Object.keys(command.flags).filter((flag) => !shared.includes(flag))
  expect([...(await optionNames(name)), ...NOT_KEPT[name]].sort()).toEqual(own.sort())
})
