import type { RateLimiter } from '../access/rate-limits.ts'
import type { Logger } from '../core/log.ts'
import { createGatewayServer, type GatewayServer, type GatewayServerDeps } from '../gateway/server.ts'
import type { Config } from './config.ts'
import type { Federation } from './federation.ts'
import { addGatewayMetrics } from './metrics/gateway-metrics.ts'
import type { MetricsRegistry } from './metrics/registry.ts'
import { startStatusServer } from './status-server.ts'
import { followKeyPair, readKeyPair } from './tls.ts'

/** What an edge is told by who composes it; all else follows from the configuration. */
export type EdgeParts = Pick<
  GatewayServerDeps,
  'authenticator' | 'tickets' | 'caching' | 'feed' | 'openExport' | 'readPublished' | 'checkReady' | 'limits'
> & { readonly limiter: RateLimiter }

/** The server in front of a federation, over TLS where there is a certificate; `stack` stops it. It does not listen yet. */
export async function composeEdge(
  deps: { config: Config; logger: Logger; metrics: MetricsRegistry; federation: Federation; parts: EdgeParts },
  stack: AsyncDisposableStack,
): Promise<GatewayServer> {
  const { config, logger, metrics, federation } = deps
  const { limiter, ...parts } = deps.parts
  const tls = config.tls === undefined ? undefined : await readKeyPair(config.tls)
  const server = stack.use(
    createGatewayServer({
      ...parts,
      gateway: federation.gateway,
      metrics,
      metricsPage: { page: metrics, token: config.metricsToken },
      logger,
      host: config.host,
      port: config.port,
      ...(tls === undefined ? {} : { tls }),
      development: !config.production,
      debugExtensions: config.debugExtensions,
      corsOrigins: config.corsOrigins,
      rates: { limiter, rates: config.rates },
      passOnHeaders: config.subgraphHeaders,
      passForeignErrors: config.supergraph !== undefined,
    }),
  )
  if (config.tls !== undefined) {
    stack.use(followKeyPair({ files: config.tls, replace: (pair) => server.replaceKeyPair(pair), logger }))
  }
  addGatewayMetrics(metrics, { ...federation, server })
  return server
}

/** Health and metrics on a port of their own, where one is configured. @returns its address */
export async function composeStatus(
  deps: { config: Config; logger: Logger; out: NodeJS.WriteStream; metrics: MetricsRegistry } & Pick<
    EdgeParts,
    'authenticator' | 'checkReady'
  >,
  stack: AsyncDisposableStack,
): Promise<string | undefined> {
  const { config, out, ...parts } = deps
  if (config.statusPort === undefined) return undefined
  const { host, statusPort: port, metricsToken } = config
  const { url } = stack.use(await startStatusServer({ ...parts, host, port, metricsToken }))
  out.write(`status ${url}\n`)
  return url
}
