import {describe, expect, test} from 'vitest'
import {adviceOn} from '../../src/lib/cli/node-advice.ts'
import {NodeError, type NodeFailure} from '../../src/lib/errors.ts'

const NOTHING_GIVEN = {hasPassword: false, usesTls: false, isDefaultSeed: false}

function advice(failure: NodeFailure, facts: Partial<typeof NOTHING_GIVEN> = {}): string {
  return adviceOn(new NodeError(failure, 'h:1', 'no'), {...NOTHING_GIVEN, ...facts}).join('\n')
}

describe('the next step after a node failed', () => {
  test.each<{name: string; failure: NodeFailure; facts?: Partial<typeof NOTHING_GIVEN>; says: string}>([
    {name: 'nobody there', failure: 'refused', says: 'Start the server'},
    {name: 'nobody there, and no node was named', failure: 'refused', facts: {isDefaultSeed: true}, says: '--seed'},
    {name: 'a password is wanted', failure: 'auth', says: 'RCLUSTER_PASSWORD'},
    {name: 'the password is wrong', failure: 'auth', facts: {hasPassword: true}, says: 'Correct the password'},
    {name: 'silence', failure: 'timeout', says: '--command-timeout'},
    {name: 'a TLS port hangs up on plain words', failure: 'closed', says: 'add --tls'},
    {name: 'a plain port hangs up on TLS', failure: 'closed', facts: {usesTls: true}, says: 'leave --tls out'},
    {name: 'an unknown authority', failure: 'tls', facts: {usesTls: true}, says: '--cacert'},
    {name: 'no cluster mode', failure: 'not-cluster', says: 'cluster-enabled yes'},
  ])('$name', ({failure, facts, says}) => expect(advice(failure, facts)).toContain(says))

  test('nothing is made up where the message says it all', () => expect(advice('rejected')).toBe(''))
})
