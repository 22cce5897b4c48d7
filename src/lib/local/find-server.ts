/** Which redis-server or valkey-server can this machine run? Starts each candidate with `--version` and nothing else. */
import {execFile} from 'node:child_process'
import {accessSync, constants, readdirSync, readFileSync, statSync} from 'node:fs'
import {homedir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {RefusedError, UsageError} from '../errors.ts'

export interface LocalServer {
  /** Absolute path of the program. */
  readonly path: string
  readonly family: 'redis' | 'valkey'
  /** "7.0.15" */
  readonly version: string
}

const NAMES = ['redis-server', 'valkey-server']

/** Environment variables that name a server's program; the first that is set counts. */
const VARIABLES = ['RCLUSTER_SERVER', 'REDIS_SERVER']

const run = promisify(execFile)

/**
 * What there is, best first: named by `RCLUSTER_SERVER` or `REDIS_SERVER`, on PATH, unpacked beside the project by
 * scripts/servers.sh, unpacked in the user's cache folder. Each program once.
 * @throws UsageError when a variable names something that is not a server.
 */
export async function findServers(env: NodeJS.ProcessEnv, project = projectFolder()): Promise<LocalServer[]> {
  const variable = VARIABLES.find((name) => env[name])
  const named = variable === undefined ? [] : [await requireServerAt(env[variable] as string, variable)]
  const found = await Promise.all([...onPath(env), ...unpacked(env, project)].map(identify))
  const servers = [...named, ...found.filter((server) => server !== undefined)]
  return servers.filter((server, index) => servers.findIndex((other) => other.path === server.path) === index)
}

/**
 * The server to start: the program at `given` (a path, or a name on PATH), else the best that is found.
 * @throws UsageError when `given` is no server, RefusedError when there is none at all.
 */
export async function requireServer(
  env: NodeJS.ProcessEnv,
  given?: string,
  project = projectFolder(),
): Promise<LocalServer> {
  if (given !== undefined) {
    const programs = given.includes('/') ? [given] : onPath(env, [given])
    return requireServerAt(programs[0] ?? given, '--server')
  }
  const [best] = await findServers(env, project)
  if (best) return best
  throw new RefusedError(
    'target-unfit',
    'this machine has no redis-server and no valkey-server that could be started',
    {
      suggestions: [
        `${path.join(project ?? '.', 'scripts/servers.sh')} ${userCache(env)} --one   (unpacks one there, installs nothing)`,
        'Or install redis-server or valkey-server with the package manager',
        'Or set RCLUSTER_SERVER to the path of one',
      ],
    },
  )
}

async function requireServerAt(program: string, saidBy: string): Promise<LocalServer> {
  const server = await identify(path.resolve(program))
  if (server) return server
  throw new UsageError(`${saidBy} says "${program}", which is not a redis-server or valkey-server that runs here`)
}

/** undefined when it does not run, or is something else. */
async function identify(program: string): Promise<LocalServer | undefined> {
  try {
    const {stdout} = await run(program, ['--version'], {timeout: 5000})
    // "Redis server v=7.0.15 sha=…", "Valkey server v=8.1.1 sha=…"
    const match = /^(redis|valkey) server v=(\S+)/i.exec(stdout)
    if (!match) return undefined
    return {path: program, family: match[1]?.toLowerCase() as LocalServer['family'], version: match[2] as string}
  } catch {
    return undefined
  }
}

function onPath(env: NodeJS.ProcessEnv, names: readonly string[] = NAMES): string[] {
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder))
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name)).filter(isExecutable))
}

function unpacked(env: NodeJS.ProcessEnv, project: string | undefined): string[] {
  const homes = [...(project === undefined ? [] : [path.join(project, '.servers')]), userCache(env)]
  return homes.flatMap((home) =>
    entriesOf(home)
      .map((name) => path.join(home, name, 'bin/server'))
      .filter(isExecutable),
  )
}

function userCache(env: NodeJS.ProcessEnv): string {
  return path.join(env['XDG_CACHE_HOME'] || path.join(env['HOME'] || homedir(), '.cache'), 'rcluster/servers')
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** Where package.json is: the source and the bundle lie at different depths below it. */
function projectFolder(): string | undefined {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    try {
      const {name} = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {name?: string}
      if (name === 'rcluster') return folder
    } catch {
      // Not this folder.
    }
    if (folder === path.dirname(folder)) return undefined
  }
}
