/**
 * Hosts that can be cut off from one another: network namespaces around a router, each with an address of its own that
 * this machine reaches. Needs root and `ip`. All of it ends with close(), and with the process that made it at the latest
 * when the machine restarts; nothing outside of the namespaces but one link and one route is touched.
 */
import {execFile, execFileSync} from 'node:child_process'
import {mkdirSync, rmSync, writeFileSync} from 'node:fs'
import {promisify} from 'node:util'
import {test} from 'vitest'
import {isMatrixRequired} from './servers.ts'

const run = promisify(execFile)

export interface TestHost {
  /** As it is now: see `move`. */
  readonly address: string
  /** A second address, by which we reach it; by the first one only the other hosts do, and they only by that. */
  readonly outerAddress?: string
  /** What stands before a command that is to run there. */
  readonly prefix: readonly string[]
}

export interface TestNetwork {
  readonly hosts: readonly TestHost[]
  /** What one sends to the other is dropped without a word, both ways. */
  cut(a: TestHost, b: TestHost): Promise<void>
  heal(a: TestHost, b: TestHost): Promise<void>
  /** As `cut`, between a host and ourselves. */
  cutFromUs(host: TestHost): Promise<void>
  healToUs(host: TestHost): Promise<void>
  /** Gives a host an address that nobody had before, and takes the old one away, as when a container is made anew. */
  move(host: TestHost): Promise<void>
  /** Gives a host an /etc/hosts of its own: what is started there from now on resolves these names, and no others. */
  setNames(host: TestHost, addresses: ReadonlyMap<string, string>): void
  /** Ends it; what still runs on its hosts has no network any more. */
  close(): Promise<void>
}

/** For tests that need a network: listed as not run where there can be none, but in CI, where that is a failure. */
export const networkTest = canMakeNetworks() || isMatrixRequired() ? test : test.skip

export function canMakeNetworks(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync('ip', ['-V'], {stdio: 'ignore'})
    return true
  } catch {
    return false
  }
}

/** What \`ip netns exec\` shows there as /etc. */
function filesOf(namespace: string): string {
  return `/etc/netns/${namespace}`
}

/** Private addresses: 10.<of this process>.<of this network>.<host>. */
let networksMade = 0
const ROUTER = 1
const OURSELVES = 2
const FIRST_HOST = 11
const FIRST_OUTER = 111

/** @throws what `ip` says when it cannot be made. */
export async function openNetwork(
  hostCount: number,
  {areMultiHomed = false}: {readonly areMultiHomed?: boolean} = {},
): Promise<TestNetwork> {
  const name = `rc${process.pid}-${networksMade}`
  const subnet = `10.${128 + (process.pid % 127)}.${(Math.floor(process.pid / 127) + 16 * networksMade++) % 256}`
  const router = `${name}-r`
  const ours = `${name}-u`.slice(-15)
  const at = (host: number): string => `${subnet}.${host}`
  const hosts = Array.from({length: hostCount}, (_, index) => {
    const namespace = `${name}-${index}`
    const outer = areMultiHomed ? {outerAddress: at(FIRST_OUTER + index)} : {}
    return {
      namespace,
      link: `h${index}`,
      address: at(FIRST_HOST + index),
      ...outer,
      prefix: ['ip', 'netns', 'exec', namespace],
    }
  })
  let nextHost = FIRST_HOST + hostCount
  const insider = (host: TestHost): (typeof hosts)[number] => {
    const found = hosts.find((one) => one === host)
    if (!found) throw new Error(`${host.address} is no host of this network`)
    return found
  }
  const ip = (...words: string[]): Promise<unknown> => run('ip', words)
  const close = async (): Promise<void> => {
    await ip('link', 'del', ours).catch(() => undefined)
    for (const namespace of [...hosts.map((host) => host.namespace), router]) {
      await ip('netns', 'del', namespace).catch(() => undefined)
      rmSync(filesOf(namespace), {recursive: true, force: true})
    }
  }
  const rule = (verb: 'add' | 'del', a: string, b: string): Promise<unknown> =>
    Promise.all([
      ip('-n', router, 'rule', verb, 'from', a, 'to', b, 'blackhole'),
      ip('-n', router, 'rule', verb, 'from', b, 'to', a, 'blackhole'),
    ])
  try {
    await ip('netns', 'add', router)
    await run('ip', ['netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
    await ip('link', 'add', ours, 'type', 'veth', 'peer', 'name', 'us', 'netns', router)
    await connect([], ours, at(OURSELVES), `${subnet}.0/24`)
    await attach('us', at(OURSELVES))
    for (const {namespace, link, address, outerAddress} of hosts) {
      await ip('netns', 'add', namespace)
      await ip('-n', namespace, 'link', 'set', 'lo', 'up')
      await ip('-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', link, 'netns', router)
      await connect(['-n', namespace], 'eth0', address, 'default')
      await attach(link, address)
      if (outerAddress !== undefined) {
        await ip('-n', namespace, 'address', 'add', `${outerAddress}/32`, 'dev', 'eth0')
        await ip('-n', router, 'route', 'add', `${outerAddress}/32`, 'dev', link)
        await rule('add', address, at(OURSELVES))
        for (const other of hosts) await rule('add', other.address, outerAddress)
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    hosts,
    cut: async (a, b) => void (await rule('add', a.address, b.address)),
    heal: async (a, b) => void (await rule('del', a.address, b.address)),
    cutFromUs: async (host) => void (await rule('add', host.address, at(OURSELVES))),
    healToUs: async (host) => void (await rule('del', host.address, at(OURSELVES))),
    move: async (host) => {
      const one = insider(host)
      const [before, now] = [one.address, at(nextHost++)]
      one.address = now
      await ip('-n', one.namespace, 'address', 'add', `${now}/32`, 'dev', 'eth0')
      await ip('-n', one.namespace, 'route', 'change', 'default', 'via', at(ROUTER), 'src', now)
      await ip('-n', one.namespace, 'address', 'del', `${before}/32`, 'dev', 'eth0')
      await ip('-n', router, 'route', 'del', `${before}/32`)
      await ip('-n', router, 'route', 'add', `${now}/32`, 'dev', one.link)
    },
    setNames: (host, addresses) => {
      const folder = filesOf(insider(host).namespace)
      mkdirSync(folder, {recursive: true})
      writeFileSync(`${folder}/hosts`, [...addresses].map(([name, address]) => `${address} ${name}\n`).join(''))
      // The name server is this host itself, where nobody is.
      writeFileSync(`${folder}/resolv.conf`, 'nameserver 127.0.0.1\n')
    },
    close,
  }

  /** A host's end of a link: everything in `destination` goes through the router. */
  async function connect(where: readonly string[], link: string, address: string, destination: string): Promise<void> {
    await ip(...where, 'address', 'add', `${address}/32`, 'dev', link)
    await ip(...where, 'link', 'set', link, 'up')
    await ip(...where, 'route', 'add', `${at(ROUTER)}/32`, 'dev', link)
    await ip(...where, 'route', 'add', destination, 'via', at(ROUTER), 'src', address)
  }

  /** The router's end of it. */
  async function attach(link: string, address: string): Promise<void> {
    await ip('-n', router, 'address', 'add', `${at(ROUTER)}/32`, 'dev', link)
    await ip('-n', router, 'link', 'set', link, 'up')
    await ip('-n', router, 'route', 'add', `${address}/32`, 'dev', link)
  }
}
