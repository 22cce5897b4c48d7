/**
 * Servers in "containers" and a host that has nothing of them but published ports: 127.0.0.1:7000 leads to the first,
 * 7001 to the second. Network namespaces stand in for both. Three ways as people have them:
 *
 * - proxy: a process forwards each port, and the host has a route to the containers (Docker on Linux, userland proxy);
 * - dnat: the kernel rewrites the addresses, and there is a route (Docker on Linux, as it mostly is);
 * - no-route: a process forwards each port, and the host has nothing else (Docker Desktop, SSH tunnels).
 */
import {type ChildProcess, execFile, fork} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {openNetwork, type TestHost} from './network.ts'
import {serversPrefix, splitAddress} from './servers.ts'

const run = promisify(execFile)
const FORWARD = fileURLToPath(new URL('forward.js', import.meta.url))
const FIRST_PORT = 7000

export const WAYS = ['proxy', 'dnat', 'no-route'] as const
export type Way = (typeof WAYS)[number]

export interface DockerHost {
  /** Where the servers run; they listen on port 6379 each. */
  readonly containers: readonly TestHost[]
  /** What stands before a command that is to run on the host. */
  readonly prefix: readonly string[]
  /** The container's port on the host: "127.0.0.1:7000". */
  readonly published: readonly string[]
  /** From now on the port of the first container leads to `order[0]`, and so on. Not with dnat. */
  republish(order: readonly number[]): Promise<void>
  /** Announced address -> published one, as clients on the host need it. */
  readonly natMap: Readonly<Record<string, {readonly host: string; readonly port: number}>>
  close(): Promise<void>
}

export interface PublishOptions {
  /** Where on the host, by the container's index; \`own\` is an address of the host that the containers reach. */
  readonly at?: (index: number, own: string) => string
  /** Bus ports, too: at the published port + 10000. Not by dnat. */
  readonly hasBusPorts?: boolean
}

export async function openDockerHost(
  way: Way,
  containerCount: number,
  {at = (index) => `127.0.0.1:${FIRST_PORT + index}`, hasBusPorts = false}: PublishOptions = {},
): Promise<DockerHost> {
  const hasRoute = way !== 'no-route'
  const network = await openNetwork(containerCount + (hasRoute ? 1 : 0))
  const containers = network.hosts.slice(0, containerCount)
  const published = containers.map((_, index) => at(index, network.hosts[containerCount]?.address ?? '127.0.0.1'))
  const fronts = [...published, ...(hasBusPorts ? published.map(busOf) : [])]
  const clientBacks = containers.map(({address}) => `${address}:6379`)
  const backs = [...clientBacks, ...(hasBusPorts ? clientBacks.map(busOf) : [])]
  const children: ChildProcess[] = []
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-ports-'))
  let entrance: ChildProcess | undefined
  const island = hasRoute ? undefined : `rc${process.pid}-${path.basename(folder).slice(-6)}`
  const close = async (): Promise<void> => {
    for (const child of [...children, entrance]) child?.kill('SIGKILL')
    if (island !== undefined) await run('ip', ['netns', 'del', island]).catch(() => undefined)
    await network.close()
    rmSync(folder, {recursive: true, force: true})
  }
  try {
    const prefix = network.hosts[containerCount]?.prefix ?? ['ip', 'netns', 'exec', island ?? '']
    let exits = backs
    if (island !== undefined) {
      await run('ip', ['netns', 'add', island])
      await run('ip', ['-n', island, 'link', 'set', 'lo', 'up'])
      exits = fronts.map((_, index) => path.join(folder, String(index)))
      children.push(await forward([], exits, backs))
    }
    const republish = async (order: readonly number[]): Promise<void> => {
      if (entrance) {
        entrance.kill('SIGKILL')
        await once(entrance, 'exit')
      }
      const ways = hasBusPorts ? [...order, ...order.map((container) => container + containerCount)] : order
      const behind = ways.map((index) => exits[index] ?? '')
      entrance = await forward(prefix, fronts, behind)
    }
    if (way === 'dnat') await rewrite(prefix, published, backs)
    else await republish([...containers.keys()])
    const natMap = Object.fromEntries(clientBacks.map((back, index) => [back, splitAddress(published[index] ?? '')]))
    return {containers, prefix, published, republish, natMap, close}
  } catch (error) {
    await close()
    throw error
  }
}

/** "127.0.0.1:17000" */
function busOf(address: string): string {
  const colon = address.lastIndexOf(':')
  return `${address.slice(0, colon)}:${Number(address.slice(colon + 1)) + 10_000}`
}

async function forward(
  prefix: readonly string[],
  fronts: readonly string[],
  backs: readonly string[],
): Promise<ChildProcess> {
  const pairs = fronts.map((front, index) => `${front}=${backs[index]}`)
  const [execPath, ...execArgv] = [...prefix, process.execPath]
  const child = fork(FORWARD, pairs, {execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc']})
  await once(child, 'message')
  return child
}

/** As Docker does it: what is sent to a published port goes to the container, and comes from the host's own address. */
async function rewrite(prefix: readonly string[], fronts: readonly string[], backs: readonly string[]): Promise<void> {
  const rules = fronts.map(
    (front, index) => `ip daddr 127.0.0.1 tcp dport ${front.split(':')[1]} dnat to ${backs[index]}`,
  )
  const table = `table ip nat {
    chain output { type nat hook output priority -100; ${rules.join('; ')}; }
    chain postrouting { type nat hook postrouting priority 100; ip saddr 127.0.0.0/8 oif != "lo" masquerade; }
  }`
  const [program = '', ...words] = prefix
  await run(program, [
    ...words,
    'sh',
    '-c',
    'for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 > "$f"; done',
  ])
  await run(program, [...words, nft(), table])
}

/** Debian's, unpacked beside the servers; see scripts/servers.sh. */
function nft(): string {
  return path.join(serversPrefix(), 'nft/bin/nft')
}
