import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { adminKey } from './product.ts'

/** A client that follows one ledger from its first record and, whenever it is cut off, goes on behind its last cursor. */
export interface Subscriber extends AsyncDisposable {
  /** Positions in the order of arrival. */
  readonly positions: readonly number[]
  reconnects(): number
}

interface NextMessage {
  readonly type: string
  readonly payload?: { data?: { recordAppended: { cursor: string; record: { position: number } } }; errors?: unknown }
}

export function startSubscriber(companyId: string, urls: () => readonly string[]): Subscriber {
  const positions: number[] = []
  const stop = new AbortController()
  let cursor = Buffer.from(`${companyId}:`).toString('base64url')
  let reconnects = -1

  /** Until the connection ends, however. */
  function connect(url: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', { handshakeTimeout: 20_000 })
      const leave = (): void => socket.terminate()
      stop.signal.addEventListener('abort', leave)
      socket.on('error', leave)
      socket.on('close', () => {
        stop.signal.removeEventListener('abort', leave)
        resolve()
      })
      socket.on('open', () =>
        socket.send(JSON.stringify({ type: 'connection_init', payload: { 'x-api-key': adminKey } })),
      )
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as NextMessage
        if (message.type === 'connection_ack') {
          // In a variable, as clients do: then those who come from different cursors are served together.
          const query = `subscription ($after: String) { recordAppended(companyId: "${companyId}", after: $after) { cursor record { position } } }`
          socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { after: cursor } } }))
        } else if (message.type === 'ping') {
          socket.send('{"type":"pong"}')
        } else if (message.type === 'next' && message.payload?.data != null) {
          const { cursor: next, record } = message.payload.data.recordAppended
          positions.push(record.position)
          cursor = next
        } else if (message.type === 'error' || message.type === 'complete' || message.type === 'next') {
          leave()
        }
      })
    })
  }

  const running = (async () => {
    while (!stop.signal.aborted) {
      reconnects += 1
      const all = urls()
      await connect(all[Math.floor(Math.random() * all.length)] ?? '')
      await sleep(50 + Math.random() * 200, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  })()

  return {
    positions,
    reconnects: () => reconnects,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
