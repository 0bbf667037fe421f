import type { FastifyInstance } from 'fastify'
import { AppError } from '../../core/errors.ts'

/** How much of a body that is too large is read before the connection is cut, as a multiple of the limit. */
const drainedTimes = 4

/**
 * Answers a body that says it is too large with PAYLOAD_TOO_LARGE after reading it to nowhere: a client that still writes
 * when the server closes gets a broken pipe instead of the answer. Far larger ones are cut off all the same.
 */
export function drainLargeBodies(app: FastifyInstance, deps: { bodyBytes: number }): void {
  const { bodyBytes } = deps
  app.addHook('onRequest', async ({ raw }) => {
    const length = Number(raw.headers['content-length'] ?? 0)
    if (length <= bodyBytes) return
    if (length <= bodyBytes * drainedTimes) {
      raw.resume()
      await new Promise<void>((resolve) => raw.once('end', resolve).once('close', resolve))
    }
    throw new AppError('PAYLOAD_TOO_LARGE', `The body has more than ${bodyBytes} bytes.`)
  })
}
