// Types of the library, for build.js: what src/index.ts leads to, as declarations that a consumer's compiler can follow.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** Writes them to `folder`, with index.d.ts as the door. Resolves when all are there. */
export async function writeDeclarations(folder) {
  const aside = mkdtempSync(path.join(os.tmpdir(), 'rcluster-types-'))
  try {
    const tsc = spawn('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json', '--outDir', aside], {stdio: 'inherit'})
    const [status] = await once(tsc, 'close')
    if (status !== 0) throw new Error(`tsc ended with ${status}: the library has no types`)
    copyReachable(aside, folder)
  } finally {
    rmSync(aside, {recursive: true, force: true})
  }
}

/** The compiler writes one for every module; most are nobody's business outside. */
function copyReachable(from, to) {
  const seen = new Set(['index.d.ts'])
  for (const file of seen) {
    const text = readFileSync(path.join(from, file), 'utf8')
    // The source names its modules by .ts, which leads nowhere from a declaration.
    const linked = text.replace(/(\bfrom |\bimport\()(['"])(\.[^'"]+)\.ts\2/g, (_, word, quote, specifier) => {
      seen.add(path.posix.join(path.posix.dirname(file), `${specifier}.d.ts`))
      return `${word}${quote}${specifier}.js${quote}`
    })
    mkdirSync(path.dirname(path.join(to, file)), {recursive: true})
    writeFileSync(path.join(to, file), linked)
  }
}
