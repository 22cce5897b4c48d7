// Do imports point one way? Between the rooms of src/lib, without cycles, and with packages only where they belong.
// Also: nothing in src/lib but cli prints or exits, nor does the library.
import {readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

/** What each room sees beside itself. A single file stands for a room's one open window. */
const SEES = {
  errors: [],
  'make-folder': [],
  'nearest-word': [],
  slots: ['errors'],
  rdb: [],
  topology: ['errors', 'nearest-word', 'slots'],
  findings: ['errors', 'slots', 'topology'],
  plan: ['errors', 'slots', 'topology', 'findings'],
  watch: ['slots', 'topology', 'findings'],
  engine: ['errors', 'make-folder', 'slots', 'rdb', 'topology', 'findings', 'plan', 'watch'],
  redis: ['errors', 'slots', 'topology', 'engine'],
  state: ['errors', 'make-folder', 'nearest-word', 'slots', 'topology', 'plan'],
  local: ['errors', 'make-folder', 'slots', 'topology', 'state/state-folder.ts'],
  render: ['errors', 'slots', 'topology', 'findings', 'plan', 'watch', 'engine/events.ts', 'state/contexts.ts'],
  cli: [
    'errors',
    'nearest-word',
    'slots',
    'topology',
    'findings',
    'plan',
    'watch',
    'engine',
    'redis',
    'state',
    'local',
    'render',
  ],
  library: [
    'errors',
    'slots',
    'topology',
    'findings',
    'plan',
    'engine',
    'redis',
    'state',
    'cli/address-rules.ts',
    'cli/lock-owner.ts',
    'cli/node-argument.ts',
  ],
}

/** Packages that one room alone may import. */
const PACKAGE_ROOMS = {
  ioredis: ['redis'],
  'cli-table3': ['render'],
  chalk: ['render'],
  ora: ['cli'],
  ajv: ['state'],
  yaml: ['state'],
}

const complaints = []
const sources = readdirSync('src', {recursive: true, encoding: 'utf8'})
  .filter((name) => name.endsWith('.ts'))
  .map((name) => path.posix.join('src', name.split(path.sep).join('/')))
  .sort()
const edges = new Map()

for (const file of sources) {
  // Comments may speak of imports and of console.
  const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  const specifiers = [...code.matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)'([^']+)'/gm)].map((match) => match[1])
  const targets = []
  for (const specifier of specifiers) {
    if (specifier.startsWith('.')) {
      const target = path.posix.join(path.posix.dirname(file), specifier)
      targets.push(target)
      checkRoom(file, target)
    } else {
      checkPackage(file, specifier)
    }
  }
  edges.set(file, targets)
  if (roomOf(file) !== undefined && roomOf(file) !== 'cli') checkSilence(file, code)
}
findCycles()

for (const complaint of complaints) console.error(complaint)
process.exitCode = complaints.length > 0 ? 1 : 0

/** "src/lib/plan/create.ts" -> "plan"; undefined for commands and what starts the program. */
function roomOf(file) {
  if (file === 'src/index.ts' || file.startsWith('src/library/')) return 'library'
  return /^src\/lib\/([^/.]+)/.exec(file)?.[1]
}

function checkRoom(file, target) {
  const from = roomOf(file)
  const to = roomOf(target)
  if (from === undefined || from === to) return
  if (SEES[from] === undefined) complaints.push(`${file}: the room "${from}" is not in scripts/check-imports.js`)
  else if (target.startsWith('schemas/')) return
  else if (to === undefined) complaints.push(`${file}: lib must not see ${target}`)
  else if (!SEES[from].includes(to) && !SEES[from].includes(target.replace('src/lib/', ''))) {
    complaints.push(`${file}: "${from}" must not see ${target}`)
  }
}

function checkPackage(file, specifier) {
  const rooms = PACKAGE_ROOMS[specifier]
  if (rooms && !rooms.includes(roomOf(file))) {
    complaints.push(`${file}: only src/lib/${rooms.join(', src/lib/')} may import ${specifier}`)
  }
}

function checkSilence(file, code) {
  const match = /\bconsole\.\w+|\bprocess\.(?:exit|exitCode|stdout|stderr)\b/.exec(code)
  if (match) complaints.push(`${file}: ${match[0]}: lib neither prints nor exits`)
}

function findCycles() {
  const done = new Set()
  const visit = (file, trail) => {
    const at = trail.indexOf(file)
    if (at >= 0) complaints.push(`cycle: ${[...trail.slice(at), file].join(' -> ')}`)
    if (at >= 0 || done.has(file)) return
    for (const target of edges.get(file) ?? []) visit(target, [...trail, file])
    done.add(file)
  }
  for (const file of sources) visit(file, [])
}
