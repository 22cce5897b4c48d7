/** Servers that are none, or no longer: what a port may do to who connects to it. */
import {randomBytes} from 'node:crypto'
import type {AddressInfo} from 'node:net'
import {createServer, type Server, type Socket} from 'node:net'

export interface Manner {
  readonly name: string
  /** What it does to a connection. */
  readonly greet: (socket: Socket) => void
}

export interface HostileServer {
  readonly address: string
  close(): void
}

const ID = 'a'.repeat(40)

/** At each command, as far as one can tell. */
const answering =
  (reply: string | Buffer): Manner['greet'] =>
  (socket) => {
    socket.on('data', (chunk) => {
      for (let n = countCommands(chunk); n > 0; n--) socket.write(reply)
    })
  }

function countCommands(chunk: Buffer): number {
  return chunk.toString('latin1').match(/^\*\d+\r$/gm)?.length ?? 0
}

/** As fast as the other end takes it. */
const flooding =
  (head: string | Buffer, endless: string | Buffer): Manner['greet'] =>
  (socket) => {
    socket.once('data', () => {
      const piece = Buffer.alloc(64 * 1024, endless)
      const pour = (): void => {
        while (!socket.destroyed && socket.write(piece));
      }
      socket.write(head)
      socket.on('drain', pour)
      pour()
    })
  }

/** By the byte, so slowly that no deadline lasts for it. */
const dripping =
  (text: string): Manner['greet'] =>
  (socket) => {
    socket.once('data', () => {
      let at = 0
      const timer = setInterval(() => {
        socket.write(text.charAt(at++ % text.length))
      }, 50)
      socket.on('close', () => clearInterval(timer))
    })
  }

const once =
  (text: string | Buffer, then: (socket: Socket) => void = () => {}): Manner['greet'] =>
  (socket) => {
    socket.once('data', () => {
      socket.write(text, () => then(socket))
    })
  }

export const MANNERS: readonly Manner[] = [
  {name: 'never answers', greet: (socket) => socket.resume()},
  {name: 'reads nothing', greet: (socket) => socket.pause()},
  {name: 'closes at once', greet: (socket) => socket.end()},
  {name: 'resets at once', greet: (socket) => socket.resetAndDestroy()},
  {name: 'closes when asked', greet: (socket) => socket.once('data', () => socket.end())},
  {name: 'resets when asked', greet: (socket) => socket.once('data', () => socket.resetAndDestroy())},
  {name: 'is a web server', greet: once('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', (s) => s.end())},
  {name: 'greets as SSH', greet: (socket) => socket.resume().write('SSH-2.0-OpenSSH_9.2\r\n')},
  {name: 'greets as a mail server', greet: (socket) => socket.resume().write('220 mail.example.com ESMTP\r\n')},
  {name: 'wants TLS', greet: once(Buffer.from([21, 3, 1, 0, 2, 2, 40]), (socket) => socket.end())},
  {name: 'says a TLS hello', greet: once(Buffer.from([22, 3, 3, 0, 49, 2, 0, 0, 45, 3, 3, ...randomBytes(40)]))},
  {name: 'sends noise', greet: once(randomBytes(4096))},
  {name: 'sends noise without end', greet: flooding('', randomBytes(65_536))},
  {name: 'sends a line without end', greet: flooding('+', 'x')},
  {name: 'sends answers without end', greet: flooding('', '+OK\r\n')},
  {name: 'announces 100 GB', greet: once('$99999999999\r\n')},
  {name: 'announces more than numbers go', greet: once(`$${'9'.repeat(400)}\r\n`)},
  {name: 'announces 2 GB, and sends', greet: flooding('$2000000000\r\n', 'x')},
  {name: 'announces a list without end', greet: flooding('*4000000000\r\n', ':1\r\n')},
  {name: 'nests without end', greet: flooding('', '*1\r\n')},
  {name: 'speaks a byte at a time', greet: dripping(`$40\r\n${ID}\r\n`)},
  {name: 'says half and no more', greet: once(`$40\r\n${ID.slice(20)}`)},
  {name: 'says half and closes', greet: once(`$40\r\n${ID.slice(20)}`, (socket) => socket.end())},
  {name: 'ends a value wrongly', greet: once(`$40\r\n${ID}xx`)},
  {name: 'echoes', greet: (socket) => socket.on('data', (chunk) => socket.write(chunk))},
  {name: 'refuses every command', greet: answering("-ERR unknown command 'CLUSTER', with args beginning with: \r\n")},
  {name: 'says OK to everything', greet: answering('+OK\r\n')},
  {name: 'says nothing to everything', greet: answering('$-1\r\n')},
  {name: 'says 1 to everything', greet: answering(':1\r\n')},
  {name: 'says a list to everything', greet: answering('*2\r\n:1\r\n*1\r\n$-1\r\n')},
  {name: 'says its ID to everything', greet: answering(`$40\r\n${ID}\r\n`)},
  {name: 'answers twice', greet: answering(`$40\r\n${ID}\r\n$40\r\n${ID}\r\n`)},
  {name: 'speaks RESP3', greet: answering('%1\r\n+a\r\n#t\r\n')},
]

/** On a free port of the loopback interface. */
export async function openHostile({greet}: Manner): Promise<HostileServer> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    greet(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
