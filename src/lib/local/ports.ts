/** Which ports can cluster nodes have on this machine's loopback address? Binds for a moment, keeps nothing. */
import {createServer} from 'node:net'
import {RefusedError} from '../errors.ts'

export const LOOPBACK = '127.0.0.1'

/** A cluster node listens for its peers here, counted from its client port. */
export const BUS_OFFSET = 10_000

const HIGHEST_NODE_PORT = 65_535 - BUS_OFFSET

export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({host: LOOPBACK, port, exclusive: true}, () => server.close(() => resolve(true)))
  })
}

/** Is the port free, and the bus port that belongs to it? */
export async function isNodePortFree(port: number): Promise<boolean> {
  return (await isPortFree(port)) && (await isPortFree(port + BUS_OFFSET))
}

/**
 * The `count` lowest node ports from `from` (inclusive) on, ascending.
 * @throws RefusedError 'busy' when there are not that many.
 */
export async function findNodePorts(count: number, from: number): Promise<number[]> {
  const ports: number[] = []
  for (let port = from; ports.length < count; port++) {
    if (port > HIGHEST_NODE_PORT) {
      throw new RefusedError(
        'busy',
        `only ${ports.length} of ${count} ports are free between ${from} and ${HIGHEST_NODE_PORT}`,
        {
          suggestions: ['Give a lower --port'],
        },
      )
    }
    if (await isNodePortFree(port)) ports.push(port)
  }
  return ports
}
