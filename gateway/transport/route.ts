/**
 * Which subgraph is where: in this process, or at a URL. The gateway calls the one executor that this makes and never
 * learns which it was.
 */
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import { createHttpExecutor, type HttpExecutor, type HttpExecutorOptions } from './http.ts'
import { unavailable } from './wire.ts'

export interface RouteOptions {
  readonly local?: Readonly<Record<string, SubgraphExecutor>>
  /** Subgraph name -> URL; wins over the URLs of the supergraph. */
  readonly urls?: Readonly<Record<string, string>>
  /** The URL the supergraph itself names, for subgraphs found in neither. */
  readonly urlOf?: (subgraph: string) => string | undefined
  /** Everything else about the HTTP way, by subgraph. */
  readonly http?: (subgraph: string) => Omit<HttpExecutorOptions, 'subgraph' | 'url'>
}

export interface Route extends AsyncDisposable {
  readonly execute: SubgraphExecutor
  /** The subgraphs that were asked over HTTP, and whether each is being asked. */
  states(): Readonly<Record<string, 'closed' | 'open'>>
}

export function createRoute({ local = {}, urls = {}, urlOf, http = () => ({}) }: RouteOptions): Route {
  const remote = new Map<string, { url: string; executor: HttpExecutor }>()

  function executorFor(subgraph: string): SubgraphExecutor | undefined {
    const inProcess = local[subgraph]
    if (inProcess !== undefined) return inProcess
    const url = urls[subgraph] ?? urlOf?.(subgraph)
    if (url === undefined || !/^https?:/.test(url)) return undefined
    const known = remote.get(subgraph)
    if (known?.url === url) return known.executor.execute
    // A new supergraph moved the subgraph: requests under way end with the old connections.
    void known?.executor[Symbol.asyncDispose]()
    const executor = createHttpExecutor({ ...http(subgraph), subgraph, url })
    remote.set(subgraph, { url, executor })
    return executor.execute
  }

  return {
    execute(request, signal) {
      const execute = executorFor(request.subgraph)
      return execute === undefined ? Promise.reject(unavailable(request.subgraph)) : execute(request, signal)
    },
    states: () => Object.fromEntries([...remote].map(([name, { executor }]) => [name, executor.state()])),
    async [Symbol.asyncDispose]() {
      await Promise.all([...remote.values()].map(({ executor }) => executor[Symbol.asyncDispose]()))
    },
  }
}
