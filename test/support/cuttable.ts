import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { listenAgain, listenOnOwnPort } from './listening.ts'

/** A way to a server that can be cut and mended, like a network cable. */
export interface Cuttable extends AsyncDisposable {
  /** The same URL by this way. */
  readonly url: string
  /** Closes what is open; what comes is refused. */
  cut(): Promise<void>
  mend(): Promise<void>
  /** Nothing comes through what is open until `resume`. */
  stall(): void
  resume(): void
}

export async function cuttable(url: string): Promise<Cuttable> {
  const target = new URL(url)
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    const onward = connect(Number(target.port === '' ? 5432 : target.port), target.hostname)
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  const port = await listenOnOwnPort(server)
  const here = new URL(url)
  here.hostname = '127.0.0.1'
  here.port = String(port)
  const cut = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of open) socket.destroy()
    await closed
  }
  return {
    url: here.href,
    cut,
    mend: () => listenAgain(server, port),
    stall: () => open.forEach((socket) => socket.pause()),
    resume: () => open.forEach((socket) => socket.resume()),
    [Symbol.asyncDispose]: cut,
  }
}
