/**
 * Published ports, as Docker's userland proxy makes them: what connects to the first end is joined to the second.
 *
 *   node forward.js 127.0.0.1:7000=172.17.0.2:6379 /tmp/socket=127.0.0.1:6379 ...
 *
 * An end is host:port or the path of a Unix socket. Says "ready" when all listen.
 */
import {once} from 'node:events'
import net from 'node:net'

const endOf = (text) => {
  const colon = text.lastIndexOf(':')
  return text.startsWith('/') ? {path: text} : {host: text.slice(0, colon), port: Number(text.slice(colon + 1))}
}

function join(inner, outer) {
  inner.pipe(outer)
  inner.on('error', () => outer.destroy())
  inner.on('close', () => outer.destroy())
}

process.on('disconnect', () => process.exit(0))
for (const pair of process.argv.slice(2)) {
  const [front = '', back = ''] = pair.split('=')
  const server = net.createServer((client) => {
    const node = net.connect(endOf(back))
    client.setNoDelay(true)
    node.setNoDelay(true)
    join(client, node)
    join(node, client)
  })
  server.listen(endOf(front))
  await once(server, 'listening')
}
process.send('ready')
