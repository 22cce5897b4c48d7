// Bundles src into dist/ (one entry per command, the library apart) with the library's types, writes oclif.manifest.json and THIRD-PARTY-LICENSES.
// `--if-possible` is for `prepare`: where esbuild is not installed (npm ci --omit=dev) it does nothing and succeeds.
import {existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {writeDeclarations} from './declarations.js'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const esbuild = await import('esbuild').catch((error) => {
  if (!process.argv.includes('--if-possible')) throw error
})
if (!esbuild) {
  console.error('esbuild is not installed: dist/ is left as it is')
  process.exit(0)
}

const metafiles = await bundle()
await writeManifest()
writeFileSync('THIRD-PARTY-LICENSES', licences(Object.assign({}, ...metafiles.map(({inputs}) => inputs))))

async function bundle() {
  const commands = readdirSync('src/commands', {recursive: true, encoding: 'utf8'}).filter((name) =>
    name.endsWith('.ts'),
  )
  // Built aside and swapped in: a program that is running meanwhile still finds its chunks for all but an instant.
  const fresh = `dist.${process.pid}`
  const shared = {
    outbase: 'src',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    legalComments: 'none',
    plugins: [withoutIoredisCluster()],
    metafile: true,
    logLevel: 'warning',
    // The CommonJS packages inside the bundle expect what an ES module does not have.
    banner: {
      js: [
        "import {createRequire as __createRequire} from 'node:module'",
        "import {fileURLToPath as __fileURLToPath} from 'node:url'",
        "import {dirname as __pathDirname} from 'node:path'",
        'const require = __createRequire(import.meta.url)',
        'const __filename = __fileURLToPath(import.meta.url)',
        'const __dirname = __pathDirname(__filename)',
      ].join('\n'),
    },
  }
  const [program, library] = await Promise.all([
    esbuild.build({
      ...shared,
      // scripts/demo.js starts its servers through local/instances.
      entryPoints: [
        'src/cli.ts',
        'src/complete.ts',
        'src/lib/local/instances.ts',
        ...commands.map((name) => path.join('src/commands', name)),
      ],
      outdir: fresh,
      // Not below dist/commands, where oclif would take each chunk for a command.
      chunkNames: 'chunks/[name]-[hash]',
      splitting: true,
      // Less to read and to parse at every start; names are kept, so that stack traces can be read.
      minifySyntax: true,
      minifyWhitespace: true,
    }),
    // Apart: another way into the same chunks would cut them smaller, and the program would start more slowly.
    esbuild.build({...shared, entryPoints: ['src/index.ts'], outdir: `${fresh}/library`, keepNames: true}),
    writeDeclarations(`${fresh}/library`),
  ])
  const stale = `${fresh}.old`
  if (existsSync('dist')) renameSync('dist', stale)
  renameSync(fresh, 'dist')
  rmSync(stale, {recursive: true, force: true})
  return [program.metafile, library.metafile]
}

/** ioredis loads its cluster client with every connection, 12 ms that nobody here has any use for. */
function withoutIoredisCluster() {
  return {
    name: 'without-ioredis-cluster',
    setup(build) {
      build.onResolve({filter: /^\.\/cluster$/}, ({importer}) =>
        /node_modules\/ioredis\/built\/(Redis|index)\.js$/.test(importer)
          ? {path: 'cluster', namespace: 'left-out'}
          : undefined,
      )
      build.onLoad({filter: /.*/, namespace: 'left-out'}, () => ({contents: 'exports.default = class Cluster {}'}))
    },
  }
}

async function writeManifest() {
  const {Plugin} = await import('@oclif/core/config')
  const plugin = new Plugin({
    root,
    type: 'core',
    isRoot: true,
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  })
  await plugin.load()
  writeFileSync(`dist.${process.pid}.json`, `${JSON.stringify(plugin.manifest)}\n`)
  renameSync(`dist.${process.pid}.json`, 'oclif.manifest.json')
}

/** The licence texts of all packages of which the bundle holds code. */
function licences(inputs) {
  const folders = new Set()
  for (const input of Object.keys(inputs)) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (match) folders.add(match[1])
  }
  const sections = [...folders].sort().map((folder) => {
    const {name, version, license, author} = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
    const holder = typeof author === 'string' ? author : author?.name
    const text = file
      ? readFileSync(path.join(folder, file), 'utf8').trim()
      : `Licensed under ${license}${holder ? `, by ${holder}` : ''}. The package ships no licence text.`
    return `${name} ${version} (${license})\n\n${text}`
  })
  const head = 'rcluster contains code of the packages below, each under its own licence.'
  return `${[head, ...sections].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
