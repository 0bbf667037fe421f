import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { listenAgain, listenOnOwnPort } from '../support/listening.ts'

/** Stands between a client and a server, to take the server away without touching it. */
export interface TcpProxy extends AsyncDisposable {
  /** The URL with this proxy as its host. */
  readonly url: string
  /** Ends all connections and refuses new ones. */
  cut(): Promise<void>
  /** Takes connections and answers nothing, as a host behind a broken network does. */
  freeze(): void
  /** Takes connections and drops them at once, as a proxy without a server behind it does. */
  drop(): void
  resume(): Promise<void>
  connections(): number
}

export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl)
  const pairs = new Set<[Socket, Socket]>()
  let frozen = false
  let dropping = false
  const server = createServer((client) => {
    client.on('error', () => {})
    if (dropping) {
      client.destroy()
      return
    }
    const upstream = connect({ host: target.hostname, port: Number(target.port) })
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('data', (chunk: Buffer) => {
        if (!frozen) to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
    }
  })
  const port = await listenOnOwnPort(server)
  const url = new URL(targetUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)

  const destroyAll = (): void => {
    for (const [client, upstream] of pairs) {
      client.destroy()
      upstream.destroy()
    }
  }
  return {
    url: url.href,
    async cut() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      destroyAll()
      await closed
    },
    freeze() {
      frozen = true
    },
    drop() {
      dropping = true
      destroyAll()
    },
    async resume() {
      frozen = false
      dropping = false
      // What was swallowed cannot be made up for.
      destroyAll()
      if (server.listening) return
      await listenAgain(server, port)
    },
    connections: () => pairs.size,
    async [Symbol.asyncDispose]() {
      destroyAll()
      if (server.listening) server.close()
    },
  }
}
