/** How does the hook of a roll restart servers that belong to the test? It asks the test, which does it. */
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import path from 'node:path'

export interface RestartService {
  /** For --exec. */
  readonly command: string
  /** Ports of the nodes that it was asked to restart, in order. */
  readonly asked: readonly number[]
  close(): void
}

/** `restart` is told the port of the node; what it throws is the failure of the command. */
export async function openRestartService(
  folder: string,
  restart: (port: number) => Promise<void>,
): Promise<RestartService> {
  const asked: number[] = []
  const server = createServer((request, response) => {
    const port = Number(request.url?.slice(1))
    asked.push(port)
    restart(port).then(
      () => response.end('done\n'),
      (error: Error) => response.writeHead(500).end(`${error.message}\n`),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  const script = path.join(folder, 'restart.mjs')
  writeFileSync(
    script,
    `const answer = await fetch('http://127.0.0.1:${port}/' + process.env.RCLUSTER_NODE_PORT)
console.log((await answer.text()).trim())
process.exitCode = answer.ok ? 0 : 3\n`,
  )
  return {command: `${process.execPath} ${script}`, asked, close: () => void server.close()}
}
