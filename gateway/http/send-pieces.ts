import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'

/**
 * Sends a text piece by piece, each when the client has taken the last, and resolves when all is sent or the client is
 * gone. One that takes nothing for `slowMs` is disconnected: until then the whole text waits for it.
 */
export async function sendPieces(
  reply: FastifyReply,
  pieces: AsyncIterable<string>,
  slowMs: number,
): Promise<FastifyReply> {
  const slow = setTimeout(() => reply.raw.destroy(), slowMs)
  async function* taken(): AsyncGenerator<string, void, void> {
    for await (const piece of pieces) {
      yield piece
      slow.refresh()
    }
  }
  void reply.send(Readable.from(taken(), { objectMode: false }))
  // A client that leaves is no error of ours.
  await finished(reply.raw).catch(() => undefined)
  clearTimeout(slow)
  return reply
}
