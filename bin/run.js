#!/usr/bin/env node
import module from 'node:module'

// From Node 22.8 on: must be called before the rest is loaded, hence the dynamic import below.
module.enableCompileCache?.()
await import('../dist/cli.js')
