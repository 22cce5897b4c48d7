/** How do function libraries get to the primaries of a cluster? Those that are there already, the same, are left alone. */
import {RefusedError} from '../errors.ts'
import {functionPayload, librariesIn} from '../rdb/payload.ts'
import {libraryName} from '../topology/library-name.ts'
import {formatAddress} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {BusyKeyPolicy} from './load-outcome.ts'
import type {CheckedFile} from './read-backup.ts'
import {mapBounded} from './waiting.ts'

export interface Library {
  readonly name: string
  readonly code: Buffer
}

export interface LibraryPlan {
  readonly libraries: readonly Library[]
  readonly rdbVersion: number
  /** What each primary lacks, or has with other code and is to be given. */
  readonly work: readonly {readonly port: NodePort; readonly lacking: readonly Library[]}[]
}

/** @throws RefusedError when files hold different libraries of one name. */
export function librariesOf(files: readonly CheckedFile[]): {libraries: Library[]; rdbVersion: number} {
  const byName = new Map<string, Library>()
  let rdbVersion = 0
  for (const {census, rdbVersion: version, source} of files) {
    for (const code of census.libraries) {
      const name = libraryName(code)
      const known = byName.get(name)
      if (known && !known.code.equals(code)) {
        throw new RefusedError(
          'damaged-backup',
          `the function library ${name} differs between the files, as in ${source.path}`,
          {
            suggestions: ['Add --no-functions, and load the library that is right with FUNCTION LOAD'],
          },
        )
      }
      byName.set(name, {name, code})
      rdbVersion = Math.max(rdbVersion, version)
    }
  }
  return {libraries: [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), rdbVersion}
}

/** Reads only. @throws RefusedError 'target-unfit' for a library of the same name with other code, unless it may be dealt with. */
export async function planFunctions(
  ports: readonly NodePort[],
  files: readonly CheckedFile[],
  conflicts: BusyKeyPolicy,
): Promise<LibraryPlan> {
  const {libraries, rdbVersion} = librariesOf(files)
  if (libraries.length === 0) return {libraries, rdbVersion, work: []}
  const work = await mapBounded(ports, 64, async (port) => {
    const address = formatAddress(port.address)
    const names = await port.listFunctions()
    if (!names) {
      throw new RefusedError(
        'target-unfit',
        `the backup has function libraries, and ${address} is too old to have any`,
        {
          suggestions: ['Add --no-functions to restore the keys alone'],
        },
      )
    }
    const present = names.length === 0 ? [] : (librariesIn(await port.dumpFunctions()) ?? [])
    const isThere = ({code}: Library) => present.some((other) => other.equals(code))
    const lacking = libraries.filter((library) => !isThere(library))
    const clash = lacking.find(({name}) => names.includes(name))
    if (clash && conflicts === 'fail') {
      throw new RefusedError('target-unfit', `${address} has another function library ${clash.name}`, {
        suggestions: ['Add --on-conflict replace to overwrite it, --on-conflict skip to keep it, or --no-functions'],
      })
    }
    return {port, lacking: conflicts === 'skip' ? lacking.filter(({name}) => !names.includes(name)) : lacking}
  })
  return {libraries, rdbVersion, work: work.filter(({lacking}) => lacking.length > 0)}
}

/** Safe to run again, after another plan. */
export async function restoreLibraries({work, rdbVersion}: LibraryPlan, conflicts: BusyKeyPolicy): Promise<void> {
  await mapBounded(work, 64, ({port, lacking}) => {
    const payload = functionPayload(
      lacking.map(({code}) => code),
      rdbVersion,
    )
    return port.restoreFunctions(payload, conflicts === 'replace')
  })
}
