/**
 * The pods of examples/kubernetes as network namespaces: the servers run with the lines of valkey.yaml, and scale.sh as the
 * job runs it, where the pods' names resolve as the cluster's DNS does it. It creates, grows, finds the pods again when all
 * come back at new addresses, and shrinks; and changes nothing when it runs once more.
 */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'vitest'
import {parseAllDocuments} from 'yaml'
import {examplePath, readExample, settingsIn} from '../support/examples.ts'
import {compareDigests, digestDataSet, loadDataSet} from '../support/live-load.ts'
import {networkTest, openNetwork} from '../support/network.ts'
import {type RunResult, runProgram} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers} from '../support/servers.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const DOMAIN = 'valkey.default.svc.cluster.local'
const PASSWORD = 'not for production'
const PODS = 8

interface Manifests {
  readonly conf: string
  /** After valkey-server. */
  readonly args: readonly string[]
}

function readManifests(): Manifests {
  const all = parseAllDocuments(readExample('kubernetes/valkey.yaml')).map((document) => document.toJS())
  const [config, set] = ['ConfigMap', 'StatefulSet'].map((kind) => all.find((one) => one.kind === kind))
  return {conf: config.data['valkey.conf'], args: set.spec.template.spec.containers[0].args}
}

/** "--name", "value", ... as settings, with what Kubernetes puts in for $(NAME). */
function settingsOf(args: readonly string[], values: Readonly<Record<string, string>>): Record<string, string> {
  const filled = args.map((word) => word.replace(/\$\((\w+)\)/g, (_, name: string) => values[name] ?? `no ${name}`))
  const names = filled.flatMap((word, index) => (word.startsWith('--') ? [index] : []))
  return Object.fromEntries(names.map((index) => [(filled[index] ?? '').slice(2), filled[index + 1] ?? '']))
}

forEachKind(
  'examples/kubernetes',
  (kind) => {
    networkTest('the job creates, grows, repairs and shrinks the cluster, and may run at any time', async () => {
      const {conf, args} = readManifests()
      const network = await openNetwork(PODS + 1)
      const pods = network.hosts.slice(0, PODS)
      const [job] = network.hosts.slice(PODS)
      if (!job) throw new Error('no host for the job')
      const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-job-'))
      writeFileSync(path.join(folder, 'rcluster'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, {
        mode: 0o755,
      })
      const servers = await startServers(kind, PODS, {
        hosts: pods,
        config: settingsIn(conf),
        configOf: (index) =>
          settingsOf(args, {
            ...{POD_NAME: `valkey-${index}`, POD_IP: pods[index]?.address ?? ''},
            ...{NAMESPACE: 'default', REDISCLI_AUTH: PASSWORD},
          }),
      })
      /** As the job does it; only pods that run have names. */
      const scale = async (nodes: number, podCount: number, runningCount = podCount): Promise<RunResult> => {
        const running = pods.slice(0, runningCount)
        network.setNames(job, new Map(running.map(({address}, index) => [`valkey-${index}.${DOMAIN}`, address])))
        const [program = '', ...prefix] = job.prefix
        return runProgram(program, [...prefix, 'sh', examplePath('kubernetes/scale.sh')], {
          env: {
            ...{PATH: `${folder}:${process.env['PATH']}`, XDG_STATE_HOME: folder, NO_COLOR: '1', DOMAIN},
            ...{RCLUSTER_PASSWORD: PASSWORD, NODES: String(nodes), PODS: String(podCount)},
          },
        })
      }
      const scaled = async (nodes: number, podCount: number, runningCount = podCount): Promise<string> => {
        const {code, stdout, stderr} = await scale(nodes, podCount, runningCount)
        expect(code, `${nodes} of ${podCount}:\n${stdout}\n${stderr}`).toBe(0)
        return stdout
      }
      const login = {password: PASSWORD}
      const digest = () => digestDataSet(servers.addresses.slice(0, 6), 0, login)
      const seen = async () =>
        String(await rawCommand(servers.addresses[0] ?? '', ['CLUSTER', 'NODES'], login))
          .trim()
          .split('\n')
      try {
        expect(await scaled(6, 6)).toContain('Created a cluster of 3 primaries and 3 replicas')
        expect((await seen()).every((line) => /,valkey-\d\.valkey\.default/.test(line))).toBe(true)
        await loadDataSet(servers.addresses.slice(0, 6), {keys: 1000, access: login})
        const before = await digest()

        expect((await scale(8, 6)).code).toBe(2)
        const grown = await scaled(8, 8)
        for (const words of ['Joined', 'as replica', 'Moved 4096 slots']) expect(grown).toContain(words)
        const again = await scaled(8, 8)
        expect(again).toContain('these 6 nodes are in a healthy cluster of 8 nodes already')
        expect(again).not.toMatch(/Joined|Moved|Removed/)

        // All pods are made anew at once: their names lead to new addresses, of which no node knows.
        await Promise.all(pods.map((_, index) => servers.kill(index)))
        for (const pod of pods) await network.move(pod)
        await Promise.all(pods.map((_, index) => servers.restart(index)))
        const found = await scaled(8, 8)
        expect(found).toContain('introduce valkey-')
        expect(found).not.toMatch(/data-loss|disruptive|Moved/)
        const known = (await seen()).map((line) => line.split(' ')[1]?.split(':')[0])
        expect(known.sort()).toEqual(pods.map(({address}) => address).sort())

        expect(await scaled(6, 8)).toContain('Removed')
        await Promise.all([servers.kill(6), servers.kill(7)])
        const after = await scaled(6, 8, 6)
        expect(after).toMatch(/Nothing to do: valkey-6\S+, valkey-7\S+ are no nodes of this cluster/)
        expect(after).not.toMatch(/Joined|Moved|Removed/)
        expect(compareDigests(before, await digest())).toEqual({missing: [], changed: [], added: [], duplicates: []})
      } finally {
        await servers.stop()
        await network.close()
        rmSync(folder, {recursive: true, force: true})
      }
    })
  },
  ['valkey-9.1'],
)
