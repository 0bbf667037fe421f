import { HeaderMap } from '@apollo/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { GraphQLError } from 'graphql'
import type { Admission } from '../admission.ts'
import { type Apollo, positionHeader } from '../apollo.ts'
import { type Authenticator, keyInHeaders, mustBeKnown, principalKey, principalOf } from '../credentials.ts'
import type { Documents } from '../documents.ts'
import { clientGone, type ErrorFormatter } from '../errors.ts'
import type { GatewayLimits } from '../limits.ts'
import type { RateGuard } from '../rates.ts'
import type { RequestMetrics } from '../request-metrics.ts'
import type { OwnWrites } from '../own-writes.ts'
import { createRequestScope, passedOn, requestIdOf, withinScope } from '../request-scope.ts'
import { isRecord, checkSearch, readBody } from './body.ts'
import { sendError } from './send-error.ts'
import { sendPieces } from './send-pieces.ts'

export const graphqlPath = '/graphql'

export interface GraphqlRouteDeps {
  apollo: Apollo
  authenticator: Authenticator
  admission: Admission
  rates: RateGuard
  documents: Documents
  errors: ErrorFormatter
  ownWrites: OwnWrites
  passOnHeaders: readonly string[]
  limits: GatewayLimits
  development: boolean
  metrics: RequestMetrics
}

/** Queries and mutations over HTTP, by the GraphQL-over-HTTP specification; Apollo Server does what it says. */
export function addGraphqlRoutes(app: FastifyInstance, deps: GraphqlRouteDeps): void {
  app.route({ method: ['GET', 'POST'], url: graphqlPath, handler: (request, reply) => answer(deps, request, reply) })
}

async function answer(deps: GraphqlRouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { errors, limits } = deps
  const requestId = requestIdOf(request.headers['ledgerway-request-id'])
  const startedMs = performance.now()
  void reply.header('ledgerway-request-id', requestId)
  try {
    const body = request.method === 'POST' ? readBody(request.headers, request.body, limits) : undefined
    const search = request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : ''
    if (request.method === 'GET') checkSearch(search, limits)
    const principal = await principalOf(deps.authenticator, keyInHeaders(request.headers))
    if (!deps.development) mustBeKnown(principal, deps.authenticator)
    checkDocument(deps.documents, body, search)
    await deps.rates.check(principal)
    using _place = deps.admission.enter(principalKey(principal))
    using scope = createRequestScope({
      requestId,
      principal,
      position: deps.ownWrites.needed(principal, positionIn(request.headers[positionHeader])),
      headers: passedOn(request.headers, deps.passOnHeaders),
      limitMs: limits.requestMs,
    })
    const gone = (): void => scope.cancel(clientGone())
    reply.raw.once('close', gone)
    try {
      const asked = { method: request.method, headers: headersOf(request), search, body }
      const work = deps.apollo.answerHttp(asked, scope.context)
      const { status, headers, body: answered } = await withinScope(scope, work)
      void reply.code(status ?? 200)
      for (const [name, value] of headers) void reply.header(name, value)
      if (answered.kind === 'complete') return reply.send(answered.string)
      return await sendPieces(reply, answered.asyncIterator, limits.slowClientMs)
    } finally {
      reply.raw.off('close', gone)
    }
  } catch (error) {
    deps.metrics.failed(undefined, error, startedMs)
    return sendError(reply, errors, error, requestId)
  }
}

/** Documents over the limits are refused before Apollo Server parses them; what is no GraphQL it reports itself. */
function checkDocument(documents: Documents, body: unknown, search: string): void {
  const text = isRecord(body) ? body['query'] : new URLSearchParams(search).get('query')
  if (typeof text !== 'string' || text === '') return
  try {
    documents.prepare(text)
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
  }
}

function positionIn(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header : undefined
}

function headersOf(request: FastifyRequest): HeaderMap {
  const headers = new HeaderMap()
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return headers
}
