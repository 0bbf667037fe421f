import type { Logger } from '../core/log.ts'
import type { Metrics } from '../core/metrics.ts'
import type { SubgraphExecutor } from '../core/subgraph-executor.ts'
import { createFederatedGateway, type FederatedGateway } from '../gateway/executor/gateway.ts'
import { createSharing, type Sharing } from '../gateway/executor/sharing.ts'
import type { PartHealth, Readiness } from '../gateway/http/health.ts'
import type { HeaderOptions } from '../gateway/transport/headers.ts'
import { identify, type Identity } from '../gateway/transport/identify.ts'
import { createPlanningThread } from '../gateway/planner/planning-thread.ts'
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
  const planning = createPlanningThread({ limitMs: config.planLimitMs })
  const gateway = createFederatedGateway({
    planning,
    supergraph: supergraphSource(config, logger),
    executor: measured(route.execute, metrics),
    sharing,
    // Plans tell how a network is built: in production only administrators see them.
    explain: ({ principal }) => config.debugExtensions && (!config.production || principal.kind === 'admin'),
    logger,
  })
  return {
    gateway,
    route,
    sharing,
    async [Symbol.asyncDispose]() {
      await planning[Symbol.asyncDispose]()
      await route[Symbol.asyncDispose]()
    },
  }
}

/**
 * Ready with a supergraph. Subgraphs elsewhere that do not answer, or are not asked just now, are told: their fields are
 * null meanwhile. One that is another than its name says is no passing trouble: whoever sent requests here would get errors.
 * @param named the URLs of our own subgraphs, which say who they are
 */
export async function federationReadiness(
  { gateway, route }: Pick<Federation, 'gateway' | 'route'>,
  named: ReadonlyMap<string, string> = new Map(),
): Promise<Readiness> {
  const { refused, supergraphId } = gateway.health()
  const supergraph = {
    ok: supergraphId !== undefined,
    ...(refused === undefined ? {} : { detail: 'a newer supergraph was refused; the last good one goes on' }),
  }
  const states = route.states()
  const subgraphs = await Promise.all(
    [...new Set([...Object.keys(states), ...named.keys()])].map(async (name): Promise<[string, SubgraphHealth]> => {
      const url = named.get(name)
      const identity = url === undefined ? undefined : await identify(url)
      return [`subgraph ${name}`, subgraphHealth(name, states[name], identity)]
    }),
  )
  return {
    ready: supergraph.ok && subgraphs.every(([, { isAnother }]) => !isAnother),
    parts: { supergraph, ...Object.fromEntries(subgraphs.map(([name, { health }]) => [name, health])) },
  }
}

interface SubgraphHealth {
  readonly health: PartHealth
  readonly isAnother: boolean
}

function subgraphHealth(
  name: string,
  state: 'closed' | 'open' | undefined,
  identity: Identity | undefined,
): SubgraphHealth {
  const bad = (detail: string, isAnother = false): SubgraphHealth => ({ health: { ok: false, detail }, isAnother })
  if (identity?.kind === 'answers' && identity.name !== undefined && identity.name !== name) {
    return bad(`its URL leads to the subgraph "${identity.name}"`, true)
  }
  if (state === 'open') return bad('it failed too often and is not asked for a while')
  if (identity?.kind === 'silent') return bad('it does not answer')
  return { health: { ok: true }, isAnother: false }
}
