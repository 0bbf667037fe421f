import type { WebSocket } from 'ws'

/**
 * What is sent on a connection and not yet taken by the network. Each event is sent when the one before it has been taken,
 * so at most one event a subscription waits here; how long it does so tells a slow client from a fast one.
 */
export interface Outbox {
  /** Resolves when the text has been taken, or cannot be any more. */
  send(text: string): Promise<void>
  /** How long nothing has been taken although something waits; zero where nothing waits. */
  stalledMs(): number
}

export function createOutbox(socket: WebSocket): Outbox {
  let waiting = 0
  let sinceMs = 0
  return {
    send(text) {
      if (socket.readyState !== socket.OPEN) return Promise.resolve()
      if (waiting === 0) sinceMs = performance.now()
      waiting += 1
      return new Promise((resolve) => {
        // An error here is the connection's end, which is told by its close event.
        socket.send(text, () => {
          waiting -= 1
          sinceMs = performance.now()
          resolve()
        })
      })
    },
    stalledMs: () => (waiting === 0 ? 0 : performance.now() - sinceMs),
  }
}
