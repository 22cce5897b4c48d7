#!/usr/bin/env node
import module from 'node:module'

const words = process.argv.slice(2)
if (words.length === 1 && ['--version', '-v'].includes(words[0])) {
  // What oclif prints, without the 60 ms that it takes to load.
  const {name, version} = module.createRequire(import.meta.url)('../package.json')
  process.stdout.write(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}\n`)
} else if (words[0] === '__complete') {
  module.enableCompileCache?.()
  await import('../dist/complete.js')
} else {
  // Libraries would trace the command line, and passwords in it. `--verbose` tells what rcluster does.
  delete process.env.DEBUG
  // From Node 22.8 on: must be called before the rest is loaded, hence the dynamic import below.
  module.enableCompileCache?.()
  await import('../dist/cli.js')
}
