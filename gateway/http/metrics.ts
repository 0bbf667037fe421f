import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { authorize, unauthenticated } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type Authenticator, keyInHeaders, principalOf } from '../credentials.ts'
import type { ErrorFormatter } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'
import { sendError } from './send-error.ts'

export interface MetricsPage {
  text(): Promise<string>
  readonly contentType: string
}

/**
 * `GET /metrics` for administrators' keys, and for who holds the token that was configured for scrapers: it opens this page
 * and nothing else, so that no administrator's key need lie on a monitoring server.
 */
export function addMetricsRoute(
  app: FastifyInstance,
  deps: { page: MetricsPage; token: string | undefined; authenticator: Authenticator; errors: ErrorFormatter },
): void {
  const { page, token, authenticator, errors } = deps
  app.get('/metrics', async (request, reply) => {
    try {
      const key = keyInHeaders(request.headers)
      if (authenticator.open === true) checkToken(key, token)
      else if (key === undefined) throw unauthenticated()
      else if (token === undefined || !isSame(key, token)) authorize(await principalOf(authenticator, key), 'ops.read')
      return await reply
        .header('content-type', page.contentType)
        .header('cache-control', 'no-store')
        .send(await page.text())
    } catch (error) {
      return sendError(reply, errors, error, requestIdOf(request.headers['ledgerway-request-id']))
    }
  })
}

/** Where nobody has a key, the token alone opens the page: what it tells of a deployment is not for everybody. */
function checkToken(key: string | undefined, token: string | undefined): void {
  if (token === undefined) {
    throw new AppError('FORBIDDEN', 'Nobody may read the metrics of this server: it was started without METRICS_TOKEN.')
  }
  if (key === undefined || !isSame(key, token)) {
    throw new AppError(
      'UNAUTHENTICATED',
      'Metrics are for the holder of METRICS_TOKEN: send "authorization: Bearer TOKEN".',
    )
  }
}

/** In a time that does not tell how much of it is right. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}
