import type { FastifyInstance } from 'fastify'
import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { parseShardId } from '../../core/ids.ts'
import type { OutsideFeed } from '../../events/outside-feed.ts'
import { type Authenticator, keyInHeaders, principalOf } from '../credentials.ts'
import type { ErrorFormatter } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'
import { sendError } from './send-error.ts'

/** What stands in the address twice arrives as a list. */
type Parameter = string | readonly string[]

interface FeedQuery {
  readonly after?: Parameter
  readonly limit?: Parameter
  readonly wait?: Parameter
}

const defaultWaitMs = 20_000

/**
 * `GET /feed/<shard>?after=CURSOR&limit=N&wait=SECONDS`: CloudEvents 1.0 as NDJSON, for administrators. Waits (20 s unless
 * told otherwise, 30 at most) while there is nothing; 204 then. The header `Ledgerway-Feed-Next` and each event's
 * `feedcursor` are what to go on from. A parameter that is no number is refused: a guess would read on at another pace
 * than was asked for, and nobody would know.
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
      const { after = '0', limit, wait } = request.query
      const { lines, next } = await feed.read(parseShardId(request.params.shard), {
        after: oneOf('after', after),
        ...(limit === undefined ? {} : { limit: limitOf(limit) }),
        waitMs: wait === undefined ? defaultWaitMs : secondsOf(wait) * 1_000,
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

function oneOf(name: string, value: Parameter): string {
  if (typeof value === 'string') return value
  throw new AppError('BAD_USER_INPUT', `"${name}" stands in the address more than once.`)
}

function limitOf(value: Parameter): number {
  const text = oneOf('limit', value)
  if (/^[0-9]{1,9}$/.test(text) && Number(text) > 0) return Number(text)
  throw new AppError('BAD_USER_INPUT', '"limit" must be a whole number from 1.')
}

function secondsOf(value: Parameter): number {
  const text = oneOf('wait', value)
  if (/^[0-9]{1,9}(?:\.[0-9]{1,9})?$/.test(text)) return Number(text)
  throw new AppError('BAD_USER_INPUT', '"wait" must be a number of seconds.')
}
