import type { Metrics, Sample } from '../../core/metrics.ts'
import type { Sharing } from '../../gateway/executor/sharing.ts'
import type { GatewayLoad, GatewayServer } from '../../gateway/server.ts'
import type { Route } from '../../gateway/transport/route.ts'

type Connections = GatewayLoad['webSockets']

/** What the gateway holds open just now, what it need not do twice, and whether its subgraphs are asked at all. */
export function addGatewayMetrics(
  metrics: Metrics,
  deps: { server: Pick<GatewayServer, 'load'>; route: Pick<Route, 'states'>; sharing: Sharing },
): void {
  const { server, route, sharing } = deps
  metrics.observed(
    {
      type: 'gauge',
      name: 'ledgerway_requests_in_flight',
      help: 'Queries and mutations under way.',
      labels: [],
    },
    () => [[{}, server.load().operations]],
  )
  const connected = (name: string, help: string, value: (load: Connections) => number): void =>
    metrics.observed({ type: 'gauge', name: `ledgerway_${name}`, help, labels: ['transport'] }, () => {
      const { webSockets, eventStreams } = server.load()
      return [
        [{ transport: 'websocket' }, value(webSockets)],
        [{ transport: 'sse' }, value(eventStreams)],
      ]
    })
  connected('connections', 'Open WebSockets and event streams.', ({ connections }) => connections)
  connected('subscriptions', 'Open subscriptions.', ({ subscriptions }) => subscriptions)
  connected('buffered_bytes', 'Written to clients and not yet taken.', ({ bufferedBytes }) => bufferedBytes)
  metrics.observed(
    {
      type: 'counter',
      name: 'ledgerway_requests_shared_total',
      help: 'Queries of clients, and reads of subgraphs, that were given the answer of one already under way.',
      labels: ['what'],
    },
    () => [
      [{ what: 'query' }, sharing.queries?.joined ?? 0],
      [{ what: 'read' }, sharing.reads?.joined ?? 0],
    ],
  )
  metrics.observed(
    {
      type: 'gauge',
      name: 'ledgerway_subgraph_breaker_open',
      help: '1 while a subgraph in another process failed too often and is not asked.',
      labels: ['subgraph'],
    },
    () =>
      Object.entries(route.states()).map(([subgraph, state]): Sample<'subgraph'> => [
        { subgraph },
        Number(state === 'open'),
      ]),
  )
}

/** @returns to be called for every further attempt */
export function addSubgraphRetries(metrics: Metrics): (labels: { readonly subgraph: string }) => void {
  return metrics.counter({
    name: 'ledgerway_subgraph_retries_total',
    help: 'Further attempts of reads that did not reach a subgraph.',
    labels: ['subgraph'],
  })
}
