import type { Duplex } from 'node:stream'
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

/**
 * Frames are made here and written to the connection below `ws`, in one piece: `ws` writes head and text apart, which is a
 * dearer call to the system for each event. Both write at once and in the order they are asked to, as long as there is no
 * compression, for which `ws` would hold messages back.
 * @param connection what the WebSocket speaks over
 */
export function createOutbox(socket: WebSocket, connection: Duplex): Outbox {
  let waiting = 0
  let sinceMs = 0
  return {
    send(text) {
      if (socket.readyState !== socket.OPEN) return Promise.resolve()
      if (waiting === 0) sinceMs = performance.now()
      waiting += 1
      return new Promise((resolve) => {
        // An error here is the connection's end, which is told by its close event.
        connection.write(textFrame(text), () => {
          waiting -= 1
          sinceMs = performance.now()
          resolve()
        })
      })
    },
    stalledMs: () => (waiting === 0 ? 0 : performance.now() - sinceMs),
  }
}

/** One unmasked text frame, as servers send them (RFC 6455, section 5.2). */
function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(head + length)
  frame[0] = 0x81
  if (head === 2) frame[1] = length
  else if (head === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, head)
  return frame
}
