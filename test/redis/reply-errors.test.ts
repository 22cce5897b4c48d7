import {describe, expect, it} from 'vitest'
import type {NodeFailure} from '../../src/lib/errors.ts'
import {replyError} from '../../src/lib/redis/reply-errors.ts'

const ADDRESS = '127.0.0.1:7000'
const FROM_TARGET = 'ERR Target instance replied with error: '

interface Reply {
  readonly text: string
  readonly failure: NodeFailure
  /** What is shown of it; all of it by default. */
  readonly shown?: string
}

const replies: readonly Reply[] = [
  {text: 'NOAUTH Authentication required.', failure: 'auth'},
  {text: 'WRONGPASS invalid username-password pair or user is disabled.', failure: 'auth'},
  {text: 'ERR invalid password', failure: 'auth'},
  {text: "NOPERM User op has no permissions to run the 'cluster|setslot' command", failure: 'permission'},
  {
    text: 'DENIED Running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect …',
    failure: 'protected',
    shown:
      'DENIED Running in protected mode because protected mode is enabled and no password is set for the default user',
  },
  {text: 'ERR This instance has cluster support disabled', failure: 'not-cluster'},
  {text: 'LOADING Redis is loading the dataset in memory', failure: 'loading'},
  {text: 'CLUSTERDOWN The cluster is down', failure: 'cluster-down'},
  {text: 'CLUSTERDOWN Hash slot not served', failure: 'cluster-down'},
  {text: 'TRYAGAIN Multiple keys request during rehashing of slot', failure: 'try-again'},
  {text: 'MASTERDOWN Link with MASTER is down', failure: 'try-again'},
  {text: 'BUSY Redis is busy running a script', failure: 'try-again'},
  {text: 'MOVED 0 127.0.0.1:7001', failure: 'moved'},
  {text: 'ASK 0 127.0.0.1:7001', failure: 'ask'},
  {text: 'BUSYKEY Target key name already exists.', failure: 'busy-key'},
  {text: 'IOERR error or timeout writing to target instance', failure: 'io'},
  {text: 'IOERR error or timeout reading to target instance', failure: 'io'},
  {text: 'IOERR error or timeout connecting to the client', failure: 'io'},
  {text: "OOM command not allowed when used memory > 'maxmemory'.", failure: 'out-of-memory'},
  {text: "READONLY You can't write against a read only replica.", failure: 'read-only'},
  {text: 'NOREPLICAS Not enough good replicas to write.', failure: 'no-replicas'},
  {
    text: 'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
    failure: 'unblocked',
  },
  {text: "CROSSSLOT Keys in request don't hash to the same slot", failure: 'cross-slot'},
  {text: 'ERR Please use SETSLOT only with masters.', failure: 'not-primary'},
  {text: 'ERR Target node is not a master', failure: 'not-primary'},
  {text: `ERR Unknown node ${'0'.repeat(40)}`, failure: 'unknown-node'},
  {text: `ERR I don't know about node ${'0'.repeat(40)}`, failure: 'unknown-node'},
  {
    text: "ERR unknown command 'MIGRATE', with args beginning with: '127.0.0.1' '7001' '' '0' '100' 'AUTH' 'secret' 'KEYS' 'a' ",
    failure: 'unknown-command',
    shown: "ERR unknown command 'MIGRATE'",
  },
  {
    // Redis 5 and 6.
    text: 'ERR unknown command `AUTH`, with args beginning with: `sec\r\nret`, ',
    failure: 'unknown-command',
    shown: 'ERR unknown command `AUTH`',
  },
  {
    text: "ERR Unknown subcommand or wrong number of arguments for 'INFO'. Try CLIENT HELP.",
    failure: 'unknown-command',
  },
  {
    text: "ERR Can't assign hashslot 0 to a different node while I still hold keys for this hash slot.",
    failure: 'keys-left',
  },
  {text: "ERR I'm not the owner of hash slot 0", failure: 'moved'},
  {text: "ERR I'm already the owner of hash slot 0", failure: 'moved'},
  {text: 'ERR DB index is out of range', failure: 'rejected'},
  {text: 'ERR SELECT is not allowed in cluster mode', failure: 'rejected'},
  {text: 'ERR Invalid node address specified: node2.lab:7261', failure: 'rejected'},
  {text: 'ERR Library mylib already exists', failure: 'rejected'},
]

const fromTarget: readonly {readonly text: string; readonly failure: NodeFailure}[] = [
  {text: 'BUSYKEY Target key name already exists.', failure: 'busy-key'},
  {text: 'MOVED 0 127.0.0.1:7000', failure: 'moved'},
  {text: 'ASK 0 127.0.0.1:7000', failure: 'ask'},
  {text: 'CLUSTERDOWN The cluster is down', failure: 'cluster-down'},
  {text: 'NOAUTH Authentication required.', failure: 'auth'},
  {text: 'WRONGPASS invalid username-password pair or user is disabled.', failure: 'auth'},
  {text: "NOPERM this user has no permissions to run the 'select' command", failure: 'permission'},
  {text: "OOM command not allowed when used memory > 'maxmemory'.", failure: 'out-of-memory'},
  {text: 'NOREPLICAS Not enough good replicas to write.', failure: 'no-replicas'},
  {text: 'ERR DUMP payload version or checksum are wrong', failure: 'rejected'},
  {text: 'ERR DB index is out of range', failure: 'rejected'},
]

describe('error replies', () => {
  it.each(replies)('reads $text as $failure', ({text, failure, shown = text}) => {
    const error = replyError(ADDRESS, text)
    expect([error.failure, error.isFromTarget, error.address]).toEqual([failure, false, ADDRESS])
    expect(error.message).toBe(`${ADDRESS} answered: ${shown}`)
  })

  it.each(fromTarget)('reads $text as $failure when the target of a MIGRATE said it', ({text, failure}) => {
    const error = replyError(ADDRESS, FROM_TARGET + text)
    expect([error.failure, error.isFromTarget]).toEqual([failure, true])
  })

  it('hides what a target repeats of a login that it does not know', () => {
    const error = replyError(ADDRESS, `${FROM_TARGET}ERR unknown command 'AUTH', with args beginning with: 'secret' `)
    expect([error.failure, error.isFromTarget]).toEqual(['unknown-command', true])
    expect(error.message).toBe(`${ADDRESS} answered: ${FROM_TARGET}ERR unknown command 'AUTH'`)
  })

  it('keeps control characters of a server away from the terminal', () => {
    expect(replyError(ADDRESS, 'ERR \u001b[31mred\r\n\u0007').message).toBe(`${ADDRESS} answered: ERR  [31mred`)
  })
})
