import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { RateLimiter } from '../access/rate-limits.ts'
import type { Tickets } from '../access/tickets.ts'
import type { AnswerCache } from '../cache/answer-cache.ts'
import type { Logger } from '../core/log.ts'
import { type Metrics, silentMetrics } from '../core/metrics.ts'
import type { ChangeStream } from '../events/change-stream.ts'
import type { OutsideFeed } from '../events/outside-feed.ts'
import { createAdmission } from './admission.ts'
import { createAnswerCaching } from './answer-caching.ts'
import { createApollo } from './apollo.ts'
import { createCacheInvalidation } from './cache-invalidation.ts'
import type { Authenticator } from './credentials.ts'
import { createDocuments } from './documents.ts'
import { createErrorFormatter } from './errors.ts'
import type { FederatedGateway } from './executor/gateway.ts'
import { addCompression } from './http/compression.ts'
import { addConsole } from './http/console.ts'
import { addCors } from './http/cors.ts'
import { drainLargeBodies } from './http/drain-large-body.ts'
import { addExportRoute, type OpenExport } from './http/exports.ts'
import { addFeedRoute } from './http/feed.ts'
import { addGraphqlRoutes } from './http/graphql.ts'
import { addHealthRoutes, type Readiness } from './http/health.ts'
import { createListener, type Listener, type TlsKeyPair } from './http/listener.ts'
import { addMetricsRoute, type MetricsPage } from './http/metrics.ts'
import { addPublishedRoutes, type ReadPublishedFile } from './http/published.ts'
import { addErrorHandlers, ofFastify, refuseBadRequest, refuseSecondHosts, sendError } from './http/send-error.ts'
import { defaultLimits, type GatewayLimits } from './limits.ts'
import { createOperations } from './operations.ts'
import { createOwnWrites } from './own-writes.ts'
import { createRateGuard, type OperationRates, unlimited } from './rates.ts'
import { createRequestMetrics } from './request-metrics.ts'
import { requestIdOf } from './request-scope.ts'
import { createCurrentSchema } from './schema.ts'
import { type ConnectionLoad, createSocketServer } from './subscriptions/socket-server.ts'
import { addStreamRoutes } from './subscriptions/stream-routes.ts'

export interface GatewayServerDeps {
  /** Owned: it is loaded and stopped with the server. */
  readonly gateway: Pick<FederatedGateway, 'gateway' | 'answer' | 'subscribe'>
  readonly authenticator: Authenticator
  readonly tickets: Tickets
  /** Absent: nothing is cached. None of its parts is owned. */
  readonly caching?: {
    readonly cache: AnswerCache
    readonly changes: Pick<ChangeStream, 'subscribe' | 'health'>
    /** Of the placement that this process knows. */
    readonly epoch: () => number
  }
  /** Absent: there is no `/feed`. Not owned. */
  readonly feed?: OutsideFeed
  /** Files of published ledgers, for everybody; absent: there is no `/ledger`. */
  readonly readPublished?: ReadPublishedFile
  /** Exported bundles, for those with the right to them; absent: there is no `/exports`. */
  readonly openExport?: OpenExport
  /** Whether queries answer, part by part. */
  readonly checkReady: () => Promise<Readiness>
  readonly logger: Logger
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Absent: neither TLS nor HTTP/2. */
  readonly tls?: TlsKeyPair
  /** The console page, and introspection without a key. */
  readonly development: boolean
  readonly debugExtensions?: boolean
  /** Origins whose pages may read answers; `*` for all. */
  readonly corsOrigins?: readonly string[]
  /** Names, in lower case, of the client's headers that the executor may pass on to subgraphs. Default none. */
  readonly passOnHeaders?: readonly string[]
  /** Show errors of subgraphs as they are: for supergraphs of the user's own. */
  readonly passForeignErrors?: boolean
  readonly limits?: Partial<GatewayLimits>
  /** Absent: as many operations as the other limits let through. */
  readonly rates?: { readonly limiter: RateLimiter; readonly rates: OperationRates }
  /** Absent: nothing is counted. */
  readonly metrics?: Metrics
  /** Absent: there is no `/metrics`. */
  readonly metricsPage?: { readonly page: MetricsPage; readonly token: string | undefined }
}

export interface GatewayServer extends AsyncDisposable {
  /** Loads the schema, then listens. @returns the address of the GraphQL endpoint */
  listen(): Promise<{ url: string; port: number }>
  /** For metrics. */
  load(): GatewayLoad
  /** A renewed certificate, for the connections that come. @throws Error where it is no key pair */
  replaceKeyPair(tls: TlsKeyPair): void
}

export interface GatewayLoad {
  /** Queries and mutations under way. */
  readonly operations: number
  readonly webSockets: ConnectionLoad
  readonly eventStreams: ConnectionLoad
}

/** How long HTTP/2 connections may take the answers that were written last. */
const lastAnswersMs = 2_000

/** What answers depend on besides address and body: caches outside keep them apart. */
const vary = 'Origin, Accept, Accept-Encoding, Authorization, X-Api-Key, Ledgerway-Position'

/**
 * The edge: HTTP, WebSocket and event streams in front of Apollo Server and the executor. Disposing it drains: it says that
 * it is not ready, closes streams with a code that sends their clients elsewhere, waits for what is in flight, and stops.
 */
export function createGatewayServer(deps: GatewayServerDeps): GatewayServer {
  const { authenticator, logger, development, passOnHeaders = [] } = deps
  const limits: GatewayLimits = { ...defaultLimits, ...deps.limits }
  const schema = createCurrentSchema()
  const documents = createDocuments({ limits })
  const ownWrites = createOwnWrites()
  const requestMetrics = createRequestMetrics(deps.metrics ?? silentMetrics)
  const errors = createErrorFormatter({ logger, passForeign: deps.passForeignErrors ?? false })
  const admission = createAdmission('operations', limits.operations, limits.operationsPerPrincipal)
  const connections = createAdmission('connections', limits.connections, limits.connectionsPerPrincipal)
  const subscriptions = createAdmission(
    'subscriptions',
    limits.connections * limits.subscriptionsPerConnection,
    limits.subscriptionsPerPrincipal,
  )
  const invalidation = deps.caching === undefined ? undefined : createCacheInvalidation(deps.caching)
  const caching =
    deps.caching === undefined || invalidation === undefined
      ? undefined
      : createAnswerCaching({ cache: deps.caching.cache, schema, trusted: invalidation.trusted })
  const apollo = createApollo({
    authenticator,
    gateway: deps.gateway,
    schema,
    caching,
    ownWrites,
    errors,
    limits,
    logger,
    development,
    debugExtensions: deps.debugExtensions ?? false,
    metrics: requestMetrics,
  })
  const rates = deps.rates === undefined ? unlimited : createRateGuard(deps.rates)
  const operations = createOperations({
    apollo: apollo.server,
    authenticator,
    gateway: deps.gateway,
    schema,
    documents,
    errors,
    ownWrites,
    operations: admission,
    rates,
    subscriptions,
    limits,
    metrics: requestMetrics,
  })

  let draining = false
  let listener: Listener | undefined
  const app = Fastify({
    serverFactory(handler) {
      listener = createListener(handler, { tls: deps.tls, limits })
      return listener.server
    },
    bodyLimit: limits.bodyBytes,
    clientErrorHandler: refuseBadRequest,
    // Idle connections are closed at once, busy ones after their answer.
    forceCloseConnections: 'idle',
    // What fails before there is a route, such as an address that cannot be decoded.
    frameworkErrors: (error, request, reply) =>
      void sendError(reply, errors, ofFastify(error), requestIdOf(request.headers['ledgerway-request-id'])),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  addErrorHandlers(app, errors, '. GraphQL is at /graphql.')
  app.addHook('onSend', async (request, reply) => {
    void reply.header('x-content-type-options', 'nosniff')
    // HTTP/2 has no such header, also where Fastify sets it; its connections are told when the server stops.
    if (request.raw.httpVersionMajor === 2) void reply.removeHeader('connection')
    else if (draining) void reply.header('connection', 'close')
  })
  refuseSecondHosts(app)
  drainLargeBodies(app, limits)
  app.addHook('onRequest', async (_request, reply) => void reply.header('vary', vary))
  addCompression(app)
  addCors(app, { origins: deps.corsOrigins ?? [] })
  if (development) addConsole(app)
  addHealthRoutes(app, { check: deps.checkReady, draining: () => draining, logger })
  addGraphqlRoutes(app, {
    apollo,
    authenticator,
    admission,
    rates,
    documents,
    errors,
    ownWrites,
    passOnHeaders,
    limits,
    development,
    metrics: requestMetrics,
  })
  if (deps.metricsPage !== undefined) addMetricsRoute(app, { ...deps.metricsPage, authenticator, errors })
  if (deps.feed !== undefined) addFeedRoute(app, { feed: deps.feed, authenticator, errors })
  if (deps.readPublished !== undefined) addPublishedRoutes(app, { read: deps.readPublished, errors })
  const downloads =
    deps.openExport === undefined
      ? undefined
      : addExportRoute(app, {
          open: deps.openExport,
          authenticator,
          downloads: createAdmission('downloads', limits.downloads, limits.downloadsPerPrincipal),
          errors,
          logger,
        })
  const streams = addStreamRoutes(app, {
    operations,
    authenticator,
    tickets: deps.tickets,
    connections,
    errors,
    passOnHeaders,
    limits,
  })
  const sockets = createSocketServer({
    server: app.server,
    operations,
    authenticator,
    connections,
    documents,
    schema,
    errors,
    passOnHeaders,
    limits,
    logger,
  })

  async function idle(): Promise<void> {
    const until = performance.now() + limits.drainMs
    while (admission.count > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  let serving = false
  return {
    async listen() {
      await apollo.server.start()
      serving = true
      await invalidation?.start()
      await app.listen({ host: deps.host, port: deps.port })
      const { port } = app.server.address() as AddressInfo
      const host = deps.host.includes(':') ? `[${deps.host}]` : deps.host
      return { url: `${deps.tls === undefined ? 'http' : 'https'}://${host}:${port}/graphql`, port }
    },
    load: () => ({ operations: admission.count, webSockets: sockets.load(), eventStreams: streams.load() }),
    replaceKeyPair: (tls) => listener?.replaceKeyPair(tls),
    async [Symbol.asyncDispose]() {
      if (draining) return
      draining = true
      listener?.sendAway()
      downloads?.drain()
      await Promise.all([streams.drain(), sockets.drain(), idle()])
      const cutting = setTimeout(() => listener?.cut(), lastAnswersMs)
      await app.close()
      clearTimeout(cutting)
      await invalidation?.[Symbol.asyncDispose]()
      // A server that never started cannot be stopped, but the gateway may have been loaded for it.
      await (serving ? apollo.server.stop() : deps.gateway.gateway.stop())
    },
  }
}
