/**
 * What may the word at the cursor become? Shells ask it at every Tab, so it is a program of its own that starts at once:
 * without oclif, without a network, and without a word when anything is amiss.
 */
import {readFileSync} from 'node:fs'
import {type CommandTable, complete, type Memory} from './lib/cli/completion/candidates.ts'
import {formatAnswer, parseQuestion} from './lib/cli/completion/protocol.ts'
import {NO_CONTEXT, readContexts} from './lib/state/contexts.ts'
import {readSeenClusters} from './lib/state/seen-nodes.ts'

const question = parseQuestion(process.argv[3], readFileSync(0, 'utf8'))
if (question) {
  const {words, current, cut} = question
  process.stdout.write(formatAnswer(complete(readTable(), readMemory(), words, current), cut))
}

function readTable(): CommandTable {
  try {
    const manifest = readFileSync(new URL('../oclif.manifest.json', import.meta.url), 'utf8')
    return (JSON.parse(manifest) as {commands: CommandTable}).commands
  } catch {
    return {}
  }
}

function readMemory(): Memory {
  // As the flag of that variable is read.
  const isRemembering = /^(1|true|yes|y)$/i.test(process.env['RCLUSTER_REMEMBER'] ?? '1')
  const clusters = isRemembering ? readSeenClusters(process.env, new Date()) : []
  try {
    const {byName, standard} = readContexts(process.env)
    const chosen = process.env['RCLUSTER_CONTEXT'] || standard
    return {contexts: [...byName.keys()].sort(), defaultContext: chosen === NO_CONTEXT ? undefined : chosen, clusters}
  } catch {
    return {contexts: [], defaultContext: undefined, clusters}
  }
}
