import { decodePosition, encodePosition, mergePositions, noPosition, type PositionToken } from '../core/position.ts'
import type { Principal, RequestContext } from '../core/request.ts'
import { createLoaderRegistry, type LoaderRegistry } from '../loaders/registry.ts'
import type { Store, StoreScope } from '../store/store.ts'
import { createListBudget, type ListBudget } from './list-budget.ts'

/** What the resolvers of one subgraph share during one client operation. */
export interface SubgraphContext {
  readonly request: RequestContext
  readonly principal: Principal
  readonly scope: StoreScope
  readonly loaders: LoaderRegistry
  /** Who, for the ledger. */
  readonly actor: string
  readonly lists: ListBudget
  /** After every write: later reads of this operation see it, its answer names it, and nothing loaded before is used. */
  wrote(position: PositionToken): string
}

export function createSubgraphContext(
  deps: { subgraph: string; store: Store; batching: boolean },
  request: RequestContext,
): SubgraphContext {
  const asked = request.position === undefined ? noPosition : decodePosition(request.position)
  let required = asked
  let seen = 0
  const scope: StoreScope = {
    signal: request.signal,
    deadlineMs: request.deadlineMs,
    onStatement: (shard) => request.statements.count(deps.subgraph, shard),
    /** Grows with what this operation writes, in whichever subgraph. */
    get position() {
      for (; seen < request.written.length; seen++) {
        required = mergePositions(required, decodePosition(request.written[seen] ?? ''))
      }
      return required
    },
  }
  const loaders = createLoaderRegistry({ store: deps.store, scope, batching: deps.batching })
  return {
    request,
    principal: request.principal,
    scope,
    loaders,
    actor: actorOf(request.principal),
    lists: createListBudget(),
    wrote(position) {
      const token = encodePosition(position)
      request.written.push(token)
      loaders.clear()
      return token
    },
  }
}

function actorOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? 'anonymous' : `key:${principal.keyId}`
}
