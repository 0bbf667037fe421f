import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { Logger } from '../core/log.ts'
import type { Authenticator } from '../gateway/credentials.ts'
import { createErrorFormatter } from '../gateway/errors.ts'
import { addHealthRoutes, type Readiness } from '../gateway/http/health.ts'
import { addMetricsRoute, type MetricsPage } from '../gateway/http/metrics.ts'
import { addErrorHandlers } from '../gateway/http/send-error.ts'

export interface StatusServer extends AsyncDisposable {
  readonly url: string
}

/**
 * Health and metrics on a port of their own, for processes of every role: workers listen on nothing else, and where the
 * gateway's port is open to the world this one need not be.
 */
export async function startStatusServer(deps: {
  host: string
  /** 0: any free one. */
  port: number
  checkReady: () => Promise<Readiness>
  metrics: MetricsPage
  metricsToken: string | undefined
  authenticator: Authenticator
  logger: Logger
}): Promise<StatusServer> {
  const { host, logger, authenticator } = deps
  const errors = createErrorFormatter({ logger })
  const app = Fastify({ bodyLimit: 1_024, requestTimeout: 10_000, forceCloseConnections: true })
  addErrorHandlers(app, errors, ' but /health/live, /health/ready and /metrics.')
  addHealthRoutes(app, { check: deps.checkReady, draining: () => false, logger })
  addMetricsRoute(app, { page: deps.metrics, token: deps.metricsToken, authenticator, errors })
  await app.listen({ host, port: deps.port })
  const { port } = app.server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    [Symbol.asyncDispose]: () => app.close(),
  }
}
