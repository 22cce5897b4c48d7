/** How often was this cluster healed from this machine of late? The files of the state before tell, also after a restart. */
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Topology} from '../topology/model.ts'
import type {BeforeState} from './before-state.ts'
import {stateFolder} from './state-folder.ts'

const FILE = /^before-heal-.*\.json$/

/** Files that cannot be read count: rather too few acts than too many. */
export function countHealings(env: NodeJS.ProcessEnv, topology: Topology, since: Date): number {
  const folder = stateFolder(env)
  return readdirSync(folder).filter((name) => {
    if (!FILE.test(name)) return false
    try {
      const {writtenAt, nodes} = JSON.parse(readFileSync(join(folder, name), 'utf8')) as BeforeState
      return Date.parse(writtenAt) >= since.getTime() && nodes.some(({id}) => topology.nodesById.has(id))
    } catch {
      return true
    }
  }).length
}
