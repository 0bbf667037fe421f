import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below what systems hand out to whoever asks for any port (from 32768 on Linux, 49152 elsewhere): a server that was
 * stopped or killed finds its port free when it comes back.
 */
const [lowest, highest] = [20_000, 32_000]
const attempts = 50

/** The preferred port if it is free on 127.0.0.1, else any that is. Another process may still be quicker: retry. */
export async function freePort(preferred?: number): Promise<number> {
  const kept = preferred === undefined ? undefined : await tryPort(preferred)
  if (kept !== undefined) return kept
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = await tryPort(randomInt(lowest, highest))
    if (port !== undefined) return port
  }
  return (await tryPort(0)) ?? 0
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
