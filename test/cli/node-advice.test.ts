import {describe, expect, test} from 'vitest'
import {adviceOn, adviceOnDenied, type ConnectionFacts} from '../../src/lib/cli/node-advice.ts'
import {InterruptedError, NodeError, type NodeFailure, RefusedError} from '../../src/lib/errors.ts'

const NOTHING_GIVEN: ConnectionFacts = {hasPassword: false, usesTls: false, isDefaultSeed: false, command: 'reshard'}

function advice(failure: NodeFailure, facts: Partial<ConnectionFacts> = {}): string {
  return adviceOn(new NodeError(failure, 'h:1', 'no'), {...NOTHING_GIVEN, ...facts}).join('\n')
}

describe('the next step after a node failed', () => {
  test.each<{name: string; failure: NodeFailure; facts?: Partial<ConnectionFacts>; says: string}>([
    {name: 'nobody there', failure: 'refused', says: 'Start the server'},
    {name: 'nobody there, and no node was named', failure: 'refused', facts: {isDefaultSeed: true}, says: '--seed'},
    {name: 'a password is wanted', failure: 'auth', says: 'RCLUSTER_PASSWORD'},
    {name: 'the password is wrong', failure: 'auth', facts: {hasPassword: true}, says: 'Correct the password'},
    {
      name: 'a password of a file is wrong',
      failure: 'auth',
      facts: {hasPassword: true, credentials: 'logins'},
      says: 'Correct its line in logins, or add one: h:1 USER PASSWORD',
    },
    {name: 'silence', failure: 'timeout', says: '--command-timeout'},
    {name: 'a TLS port hangs up on plain words', failure: 'closed', says: 'add --tls'},
    {name: 'a plain port hangs up on TLS', failure: 'closed', facts: {usesTls: true}, says: 'leave --tls out'},
    {name: 'an unknown authority', failure: 'tls', facts: {usesTls: true}, says: '--cacert'},
    {name: 'a right is missing', failure: 'permission', says: 'rcluster acl reshard'},
    {
      name: 'a right is missing for a command without a rule',
      failure: 'permission',
      facts: {command: 'up'},
      says: 'rcluster acl --all',
    },
    {name: 'no cluster mode', failure: 'not-cluster', says: 'cluster-enabled yes'},
  ])('$name', ({failure, facts, says}) => expect(advice(failure, facts)).toContain(says))

  test('nothing is made up where the message says it all', () => expect(advice('rejected')).toBe(''))

  test('a missing right below another failure is met by the rule, once', () => {
    const denied = new NodeError('permission', 'h:1', 'NOPERM')
    const wrapped = new InterruptedError('2 of 9 slots moved', {cause: new RefusedError('busy', 'x', {cause: denied})})
    expect(adviceOnDenied(wrapped, 'reshard')[0]).toMatch(/: rcluster acl reshard$/)
    const told = new InterruptedError('2 of 9 slots moved', {cause: denied, suggestions: ['rcluster acl fix']})
    expect(adviceOnDenied(told, 'reshard')).toEqual([])
    expect(adviceOnDenied(new InterruptedError('no'), 'reshard')).toEqual([])
  })
})
