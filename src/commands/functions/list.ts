import {AdminCommand} from '../../lib/cli/admin-command.ts'
import {word} from '../../lib/cli/args.ts'
import {seedFromWords} from '../../lib/cli/cluster-command.ts'
import {chooseNodes} from '../../lib/engine/asked-nodes.ts'
import {readLibraries} from '../../lib/engine/cluster-functions.ts'
import {functionDrift} from '../../lib/findings/drift-rules.ts'
import {groupNodes} from '../../lib/findings/group-nodes.ts'
import {plural} from '../../lib/render/amounts.ts'
import {renderFinding} from '../../lib/render/findings.ts'
import {renderLibraries} from '../../lib/render/libraries.ts'
import {formatAddress, type NodeId} from '../../lib/topology/model.ts'
import {NO_DETAILS, type NodeDetails, toldValue} from '../../lib/topology/node-details.ts'

interface LibraryDocument {
  readonly name: string
  readonly isAlike: boolean
  /** SHA-256 of the code; that of most nodes first. */
  readonly codes: readonly {readonly digest: string; readonly nodes: readonly NodeId[]}[]
  readonly missingOn: readonly NodeId[]
}

interface FunctionsListReport {
  readonly libraries: readonly LibraryDocument[]
  /** Nodes that did not tell, and why. */
  readonly notTold: readonly {readonly address: string; readonly reason: string}[]
}

export default class FunctionsList extends AdminCommand<typeof FunctionsList> {
  static override summary = 'Show the function libraries of all nodes, and who differs where.'
  static override description = [
    'Each shard has libraries of its own: FUNCTION LOAD goes to one primary, and from there to its replicas alone. Code is compared by its SHA-256.',
    'Exit codes: 0 all nodes are alike; 1 a library differs or is missing somewhere, or a node could not be asked; 2 the words make no sense; 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'functions list [SEED]'
  static override examples = [
    '<%= config.bin %> functions list 127.0.0.1:7000',
    '<%= config.bin %> functions list --json',
  ]
  static override args = {seed: word({description: 'any node of the cluster', multiple: true})}

  async run(): Promise<FunctionsListReport> {
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const {topology} = session
    const told = await this.stoppable(readLibraries(session, chooseNodes(session)))
    const byId = new Map(told.map(({node, libraries}) => [node.id, toldValue(libraries)]))
    const telling = told.map(({node}) => node).filter(({id}) => byId.get(id) !== undefined)
    const names = [...new Set([...byId.values()].flatMap((libraries) => [...(libraries?.keys() ?? [])]))].sort()
    const libraries = names.map((name) => {
      const groups = groupNodes(telling, ({id}) => byId.get(id)?.get(name))
      return {name, groups, missing: telling.filter(({id}) => !byId.get(id)?.has(name))}
    })
    const unknown = {unknown: 'it was not asked'}
    const details = told.map(({node, libraries: own}): [NodeId, NodeDetails] => {
      return [node.id, {settings: unknown, libraries: own, users: unknown}]
    })
    const findings = functionDrift(topology, {...NO_DETAILS, nodes: new Map(details)})
    const notTold = told.flatMap(({node, libraries: own}) =>
      'unknown' in own ? [{address: formatAddress(node.address), reason: own.unknown}] : [],
    )
    this.requireTold(told.length, notTold)
    if (names.length === 0) this.print(`No function library on ${plural(telling.length, 'node')}.`)
    else this.print(renderLibraries(libraries, telling.length, this.style))
    for (const finding of findings) this.print(renderFinding(finding, topology, this.style))
    for (const {address, reason} of notTold.slice(0, 4)) this.warnOperator(`Not told by ${address}: ${reason}`)
    if (findings.length > 0 || notTold.length > 0) process.exitCode = 1
    return {
      libraries: libraries.map(({name, groups, missing}) => ({
        name,
        isAlike: groups.length === 1 && missing.length === 0,
        codes: groups.map(({value, nodes}) => ({digest: value, nodes: nodes.map(({id}) => id)})),
        missingOn: missing.map(({id}) => id),
      })),
      notTold,
    }
  }
}
