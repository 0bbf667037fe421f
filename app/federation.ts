import type { Logger } from '../core/log.ts'
import type { Metrics } from '../core/metrics.ts'
import type { SubgraphExecutor } from '../core/subgraph-executor.ts'
import { createFederatedGateway, type FederatedGateway } from '../gateway/executor/gateway.ts'
import { createSharing, type Sharing } from '../gateway/executor/sharing.ts'
import type { PartHealth, Readiness } from '../gateway/http/health.ts'
import type { HeaderOptions } from '../gateway/transport/headers.ts'
import { measured } from '../gateway/transport/measured.ts'
import { createRoute, type Route } from '../gateway/transport/route.ts'
import type { Config } from './config.ts'
import { addSubgraphRetries } from './metrics/gateway-metrics.ts'
import { supergraphSource } from './supergraph.ts'

/** One supergraph and the ways to its subgraphs. Disposing it closes those; the gateway is its server's to stop. */
export interface Federation extends AsyncDisposable {
  readonly gateway: FederatedGateway
  readonly route: Route
  readonly sharing: Sharing
}

/** @param deps.local the subgraphs of this process; all others are asked over HTTP */
export function composeFederation(deps: {
  config: Config
  logger: Logger
  metrics: Metrics
  local?: Readonly<Record<string, SubgraphExecutor>>
  authorize?: NonNullable<HeaderOptions['authorize']>
}): Federation {
  const { config, logger, metrics, local = {}, authorize } = deps
  const passOn = config.subgraphHeaders
  const sharing = createSharing({ queries: true, reads: true, headers: passOn })
  const retried = addSubgraphRetries(metrics)
  const route = createRoute({
    local,
    urls: Object.fromEntries(config.subgraphUrls),
    urlOf: (subgraph) => gateway.urlOf(subgraph),
    http: (subgraph) => ({
      sharing,
      passOn,
      onRetry: () => retried({ subgraph }),
      onState: (state, reason) =>
        state === 'open'
          ? logger.warn({ subgraph, reason }, 'a subgraph failed too often and is not asked for a while')
          : logger.info({ subgraph }, 'a subgraph answers again'),
      ...(authorize === undefined ? {} : { authorize }),
    }),
  })
  const gateway = createFederatedGateway({
    supergraph: supergraphSource(config, logger),
    executor: measured(route.execute, metrics),
    sharing,
    // Plans tell how a network is built: in production only administrators see them.
    explain: ({ principal }) => config.debugExtensions && (!config.production || principal.kind === 'admin'),
    logger,
  })
  return { gateway, route, sharing, [Symbol.asyncDispose]: () => route[Symbol.asyncDispose]() }
}

/** Ready with a supergraph. Subgraphs elsewhere that are not asked just now are told: their fields are null meanwhile. */
export function federationReadiness({ gateway, route }: Pick<Federation, 'gateway' | 'route'>): Readiness {
  const { refused, supergraphId } = gateway.health()
  const supergraph = {
    ok: supergraphId !== undefined,
    ...(refused === undefined ? {} : { detail: 'a newer supergraph was refused; the last good one goes on' }),
  }
  const subgraphs = Object.entries(route.states()).map(([name, state]): [string, PartHealth] => [
    `subgraph ${name}`,
    state === 'closed' ? { ok: true } : { ok: false, detail: 'it failed too often and is not asked for a while' },
  ])
  return { ready: supergraph.ok, parts: { supergraph, ...Object.fromEntries(subgraphs) } }
}
