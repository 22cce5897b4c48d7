/**
 * A cluster that is only spoken, not kept: ports that answer as its nodes would, each command by a few lines, so that any
 * answer can be made a lie. What changes the slots and the members is believed by all nodes at once; there are no keys but
 * those that GETKEYSINSLOT makes up.
 */
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net'
import {ReplyReader} from '../../src/lib/redis/replies.ts'
import {formatSlots, rangesFromSlots} from '../../src/lib/slots/slot-ranges.ts'

export interface ImpostorNode {
  readonly id: string
  readonly address: string
  readonly port: number
  /** The slots that it owns. */
  readonly slots: Set<number>
  /** Slot to what stands in its mark: ">-ID", "<-ID". */
  readonly marks: Map<number, string>
  primaryId: string | undefined
  epoch: number
  /** Nodes of one name know each other. */
  cluster: string
}

/** A reply as it is sent. undefined: the honest one. */
export type Lie = (words: readonly string[], node: ImpostorNode, socket: Socket) => string | Buffer | undefined

export interface Impostor {
  readonly nodes: readonly ImpostorNode[]
  /** Every kind of command that was heard, "CLUSTER NODES" or "PING". */
  readonly heard: ReadonlySet<string>
  lie: Lie
  close(): void
}

export interface ImpostorOptions {
  /** Slots of each primary of the cluster "a": ['0-5460', …]. */
  readonly shards: readonly (readonly [from: number, to: number])[]
  /** One more node for each: whose replica, by index. */
  readonly replicas?: readonly number[]
  /** Nodes that know nobody. */
  readonly strangers?: number
  /** No cluster at all: a server with a few keys. */
  readonly isStandalone?: boolean
  /** Fields of INFO and lines of other texts, for names that are no names. */
  readonly texts?: Partial<Texts>
}

interface Texts {
  version: string
  zone: string
  hostname: string
  user: string
  library: string
  client: string
  key: string
  setting: string
  error: string
}

const DEFAULT_TEXTS: Texts = {
  version: '7.0.15',
  zone: '',
  hostname: '',
  user: 'user default on nopass ~* &* +@all',
  library: 'lib',
  client: 'cli',
  key: 'k',
  setting: 'yes',
  error: 'ERR unknown command',
}

const EMPTY_RDB = Buffer.from('REDIS0011\xfa\x09redis-ver\x067.0.15\xff\0\0\0\0\0\0\0\0', 'latin1')

export async function openImpostor(options: ImpostorOptions): Promise<Impostor> {
  const {shards, replicas = [], strangers = 0} = options
  const texts = {...DEFAULT_TEXTS, ...options.texts}
  const count = shards.length + replicas.length + strangers
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  const nodes: ImpostorNode[] = []
  const heard = new Set<string>()
  for (let index = 0; index < count; index++) {
    const server = createServer((socket) => serve(socket, nodes[index]!))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.push(server)
    const {port} = server.address() as AddressInfo
    const [from, to] = shards[index] ?? [0, -1]
    const slots = new Set(Array.from({length: to - from + 1}, (_, n) => from + n))
    const isStranger = index >= shards.length + replicas.length
    nodes.push({
      id: (index + 10).toString(16).repeat(40).slice(0, 40),
      address: `127.0.0.1:${port}`,
      port,
      slots,
      marks: new Map(),
      primaryId: undefined,
      epoch: isStranger ? 0 : index + 1,
      cluster: isStranger ? `alone ${index}` : 'a',
    })
  }
  for (const [index, of] of replicas.entries()) nodes[shards.length + index]!.primaryId = nodes[of]!.id
  const impostor: Impostor = {
    nodes,
    heard,
    lie: () => undefined,
    close: () => {
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return impostor

  function serve(socket: Socket, node: ImpostorNode): void {
    const reader = new ReplyReader()
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const command of reader.read(chunk)) {
        const words = (command as readonly Buffer[]).map(String)
        heard.add(kindOf(words))
        const reply = impostor.lie(words, node, socket) ?? answer(words, node)
        // Texts are bytes in strings here, since those can be put together.
        if (!socket.destroyed) socket.write(typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply)
      }
    })
  }

  function answer([name = '', ...rest]: readonly string[], node: ImpostorNode): string | Buffer {
    const [sub = '', ...more] = rest
    switch (name.toUpperCase()) {
      case 'CLUSTER':
        return options.isStandalone
          ? error('ERR This instance has cluster support disabled')
          : answerCluster(sub.toUpperCase(), more, node)
      case 'CLIENT':
        if (sub === 'INFO') return bulk(`id=1 addr=127.0.0.1:1 laddr=${node.address} name= user=default`)
        if (sub === 'LIST') return bulk(`id=3 addr=127.0.0.1:9 laddr=x name=${texts.client} idle=0 flags=N cmd=get\n`)
        return ok
      case 'INFO':
        return bulk(info(node))
      case 'CONFIG':
        return sub === 'GET' ? list(more.flatMap((one) => [one, settingOf(one)]).map(bulk)) : ok
      case 'COMMAND':
        return list(more.map(() => '$-1\r\n'))
      case 'FUNCTION':
        if (sub === 'LIST')
          return list([
            list([
              bulk('library_name'),
              bulk(texts.library),
              bulk('library_code'),
              bulk('#!lua'),
              bulk('functions'),
              list([]),
            ]),
          ])
        return sub === 'DUMP' ? bulk(Buffer.from('payload')) : ok
      case 'ACL':
        return sub === 'LIST' ? list([bulk(texts.user)]) : ok
      case 'TIME':
        return list([bulk(String(Math.floor(Date.now() / 1000))), bulk('0')])
      case 'DBSIZE':
        return options.isStandalone ? ':1\r\n' : ':0\r\n'
      case 'MEMORY':
      case 'DEL':
        return ':1\r\n'
      case 'TYPE':
        return '+string\r\n'
      case 'SCAN':
        return list([bulk('0'), list([bulk(texts.key)])])
      case 'DUMP':
        return bulk(Buffer.from('\0\xc0\x01\x0b\0\0\0\0\0\0\0\0\0', 'latin1'))
      case 'PTTL':
      case 'PEXPIRETIME':
        return ':-1\r\n'
      case 'PING':
        return '+PONG\r\n'
      case 'BOGUS':
        return error(texts.error)
      case 'GET':
        return bulk(texts.key)
      case 'PSYNC': {
        const mark = 'm'.repeat(40)
        return Buffer.concat([
          Buffer.from(`+FULLRESYNC ${node.id} 1\r\n$EOF:${mark}\r\n`),
          EMPTY_RDB,
          Buffer.from(mark),
        ])
      }
      default:
        return ok
    }
  }

  function answerCluster(sub: string, words: readonly string[], node: ImpostorNode): string {
    const [first = '', second = '', third = ''] = words
    const known = nodes.filter(({cluster}) => cluster === node.cluster)
    switch (sub) {
      case 'MYID':
        return bulk(node.id)
      case 'NODES':
        return bulk(known.map((one) => nodeLine(one, node)).join(''))
      case 'INFO':
        return bulk(clusterInfo(known, node))
      case 'SLOTS':
        return list(
          known.flatMap((one) =>
            rangesFromSlots([...one.slots].sort((a, b) => a - b)).map(({start, end}) =>
              list([
                `:${start}\r\n`,
                `:${end}\r\n`,
                ...[one, ...known.filter(({primaryId}) => primaryId === one.id)].map(placeOf),
              ]),
            ),
          ),
        )
      case 'COUNTKEYSINSLOT':
        return ':0\r\n'
      case 'GETKEYSINSLOT':
        return list([])
      case 'SETSLOT':
        node.marks.delete(Number(first))
        if (second === 'MIGRATING') node.marks.set(Number(first), `>-${third}`)
        if (second === 'IMPORTING') node.marks.set(Number(first), `<-${third}`)
        if (second === 'NODE') {
          for (const one of known) one.slots.delete(Number(first))
          known.find(({id}) => id === third)?.slots.add(Number(first))
        }
        return ok
      case 'ADDSLOTS':
        for (const slot of words) node.slots.add(Number(slot))
        return ok
      case 'MEET': {
        const other = nodes.find(({port}) => port === Number(second))
        if (other) for (const one of nodes) if (one.cluster === other.cluster) one.cluster = node.cluster
        return ok
      }
      case 'FORGET': {
        const other = nodes.find(({id}) => id === first)
        if (other) other.cluster = `forgotten ${first}`
        return ok
      }
      case 'REPLICATE':
        node.primaryId = first
        return ok
      case 'SET-CONFIG-EPOCH':
        node.epoch = Number(first)
        return ok
      case 'FAILOVER': {
        const former = nodes.find(({id}) => id === node.primaryId)
        if (!former) return ok
        for (const slot of former.slots) node.slots.add(slot)
        former.slots.clear()
        former.primaryId = node.id
        node.primaryId = undefined
        node.epoch = Math.max(...nodes.map(({epoch}) => epoch)) + 1
        return ok
      }
      case 'BUMPEPOCH':
        return '+STILL 1\r\n'
      default:
        return ok
    }
  }

  function placeOf({port, id}: ImpostorNode): string {
    return list([bulk(texts.hostname || '127.0.0.1'), `:${port}\r\n`, bulk(id), list([])])
  }

  function nodeLine(one: ImpostorNode, teller: ImpostorNode): string {
    const flags = `${one === teller ? 'myself,' : ''}${one.primaryId === undefined ? 'master' : 'slave'}`
    const ranges = formatSlots([...one.slots].sort((a, b) => a - b)).replaceAll(',', ' ')
    const marks = one === teller ? [...one.marks].map(([slot, mark]) => `[${slot}-${mark}]`) : []
    const endpoint = `${one.address}@${one.port + 10_000}${texts.hostname === '' ? '' : `,${texts.hostname}`}`
    return `${`${one.id} ${endpoint} ${flags} ${one.primaryId ?? '-'} 0 0 ${one.epoch} connected ${ranges} ${marks.join(' ')}`.trim()}\n`
  }

  function clusterInfo(known: readonly ImpostorNode[], node: ImpostorNode): string {
    const epoch = Math.max(...known.map((one) => one.epoch))
    return [
      'cluster_state:ok',
      `cluster_known_nodes:${known.length}`,
      `cluster_current_epoch:${epoch}`,
      `cluster_my_epoch:${node.epoch}`,
      '',
    ].join('\r\n')
  }

  function info({primaryId, epoch}: ImpostorNode): string {
    const primary = nodes.find(({id}) => id === primaryId)
    return [
      `redis_version:${texts.version}`,
      `run_id:${String(epoch % 10).repeat(40)}`,
      `availability_zone:${texts.zone}`,
      `cluster_enabled:${options.isStandalone ? 0 : 1}`,
      'used_memory:1000000',
      'maxmemory:0',
      'maxmemory_policy:noeviction',
      `role:${primary ? 'slave' : 'master'}`,
      ...(primary
        ? [`master_host:127.0.0.1`, `master_port:${primary.port}`, 'master_link_status:up', 'slave_repl_offset:1']
        : ['connected_slaves:0', 'master_repl_offset:1']),
      ...(options.isStandalone ? ['db0:keys=1,expires=0,avg_ttl=0'] : []),
      '',
    ].join('\r\n')
  }

  function settingOf(name: string): string {
    return name === 'cluster-databases' ? '1' : /timeout/.test(name) ? '15000' : texts.setting
  }
}

/** "CLUSTER NODES", "MIGRATE": what of a command is not about a key. */
export function kindOf([name = '', sub = '']: readonly string[]): string {
  return ['ACL', 'CLIENT', 'CLUSTER', 'CONFIG', 'FUNCTION'].includes(name) ? `${name} ${sub}` : name
}

const ok = '+OK\r\n'

function error(text: string): string {
  return `-${Buffer.from(text).toString('latin1')}\r\n`
}

function bulk(value: string | Buffer): string {
  const bytes = Buffer.from(value as string)
  return `$${bytes.length}\r\n${bytes.toString('latin1')}\r\n`
}

function list(items: readonly string[]): string {
  return `*${items.length}\r\n${items.join('')}`
}
