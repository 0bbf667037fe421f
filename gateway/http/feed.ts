import type { FastifyInstance } from 'fastify'
import { authorize } from '../../access/rights.ts'
import { parseShardId } from '../../core/ids.ts'
import type { OutsideFeed } from '../../events/outside-feed.ts'
import { type Authenticator, keyInHeaders, principalOf } from '../credentials.ts'
import type { ErrorFormatter } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'
import { sendError } from './send-error.ts'

interface FeedQuery {
  readonly after?: string
  readonly limit?: string
  readonly wait?: string
}

/**
 * `GET /feed/<shard>?after=CURSOR&limit=N&wait=SECONDS`: CloudEvents 1.0 as NDJSON, for administrators. Waits (20 s unless
 * told otherwise, 30 at most) while there is nothing; 204 then. The header `Ledgerway-Feed-Next` and each event's
 * `feedcursor` are what to go on from.
 */
export function addFeedRoute(
  app: FastifyInstance,
  deps: { feed: OutsideFeed; authenticator: Authenticator; errors: ErrorFormatter },
): void {
  const { feed, authenticator, errors } = deps
  app.get<{ Params: { shard: string }; Querystring: FeedQuery }>('/feed/:shard', async (request, reply) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    try {
      authorize(await principalOf(authenticator, keyInHeaders(request.headers)), 'ops.read')
      const { after = '0', limit, wait = '20' } = request.query
      const { lines, next } = await feed.read(parseShardId(request.params.shard), {
        after,
        ...(limit === undefined ? {} : { limit: Number.parseInt(limit, 10) || 1 }),
        waitMs: (Number.parseFloat(wait) || 0) * 1_000,
        signal: gone.signal,
      })
      void reply.header('cache-control', 'no-store').header('ledgerway-feed-next', next)
      if (lines.length === 0) return await reply.code(204).send()
      return await reply.type('application/x-ndjson').send(`${lines.join('\n')}\n`)
    } catch (error) {
      return sendError(reply, errors, error, requestIdOf(request.headers['ledgerway-request-id']))
    }
  })
}
