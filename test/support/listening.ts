import { once } from 'node:events'
import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../app/embedded/free-port.ts'

const isTaken = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'

/** Listens on a port that nobody is given unasked, so that it is still there to be listened on again. */
export async function listenOnOwnPort(server: Server): Promise<number> {
  for (;;) {
    const port = await freePort()
    try {
      await listen(server, port)
      return port
    } catch (error) {
      if (!isTaken(error)) throw error
    }
  }
}

/** Listens where it did before. Another may have been given the port meanwhile: most hold theirs for moments only. */
export async function listenAgain(server: Server, port: number): Promise<void> {
  for (const giveUp = performance.now() + 90_000; ; await sleep(50)) {
    try {
      await listen(server, port)
      return
    } catch (error) {
      if (!isTaken(error) || performance.now() > giveUp) throw error
    }
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}
