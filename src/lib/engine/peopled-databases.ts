/** Which databases of a node may hold keys? */
import type {ServerInfo} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'

/** Those that INFO tells of; all that there are where INFO is forbidden, since its silence means nothing then. */
export async function peopledDatabases(port: NodePort, info: ServerInfo | undefined): Promise<readonly number[]> {
  if (info && info.version !== '') return [...info.keysByDatabase.keys()]
  return Array.from({length: await port.readDatabaseCount()}, (_, database) => database)
}
