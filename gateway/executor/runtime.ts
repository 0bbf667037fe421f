/**
 * A supergraph in service: with the operations compiled for it. A reload makes a new one and warms it with what is used
 * most; requests that were validated against the old one finish on the old one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { QueryPlan } from '@apollo/query-planner'
import { LRUCache } from 'lru-cache'
import { isAppError } from '../../core/errors.ts'
import { print, validate, visit, type DocumentNode } from 'graphql'
import { buildSupergraph, type PlannableSupergraph } from '../planner/supergraph.ts'
import { planOperation } from '../planner/plan-operation.ts'
import type { PlanningThread } from '../planner/planning-thread.ts'
import { compileOperation, prepareOperation, type CompiledOperation } from './operation.ts'

export interface Runtime {
  readonly supergraph: PlannableSupergraph
  /** Compiles on first use; what is planned in the thread is a promise. `key` names the document's text, for example by its hash. */
  operation(
    key: string,
    document: DocumentNode,
    operationName: string | undefined,
  ): CompiledOperation | Promise<CompiledOperation>
  /** Most used first. */
  operations(): readonly { readonly key: string; readonly operation: CompiledOperation }[]
}

export interface RuntimeOptions {
  /** Compiled operations kept; the least recently used go first. */
  readonly operationsMax: number
  /** Answers with more list items than this are written in slices. */
  readonly itemsMax: number
  /** Where operations are planned that are not small; absent: here. */
  readonly planning: PlanningThread | undefined
}

/** Operations with no more fields than this are planned at once: that takes less than the way to the thread. */
const smallMax = 40
/** Operations known to be too complex. */
const refusedMax = 500

/** @throws Error when the text is no good supergraph. */
export function createRuntime(sdl: string, { operationsMax, itemsMax, planning }: RuntimeOptions): Runtime {
  const supergraph = buildSupergraph(sdl)
  const operations = new LRUCache<string, CompiledOperation>({ max: operationsMax })
  const refused = new LRUCache<string, Error>({ max: refusedMax })
  const underWay = new Map<string, Promise<CompiledOperation>>()

  async function planned(key: string, plan: () => Promise<CompiledOperation>): Promise<CompiledOperation> {
    try {
      return await plan()
    } catch (error) {
      // Asked again it would take as long again.
      if (isAppError(error, 'QUERY_TOO_COMPLEX')) refused.set(key, error)
      throw error
    } finally {
      underWay.delete(key)
    }
  }

  return {
    supergraph,
    operation(key, document, operationName) {
      const known = operations.get(key)
      if (known !== undefined) {
        known.uses += 1
        return known
      }
      const refusal = refused.get(key)
      if (refusal !== undefined) throw refusal
      const waiting = underWay.get(key)
      if (waiting !== undefined) return waiting
      const prepared = prepareOperation(supergraph, document, operationName)
      const compile = (plan: QueryPlan): CompiledOperation => {
        const operation = compileOperation(supergraph, prepared, plan, itemsMax)
        operations.set(key, operation)
        return operation
      }
      const asked = prepared.names.document
      if (planning === undefined || isSmall(asked)) return compile(planOperation(supergraph, asked, operationName))
      const making = planned(key, async () => compile(await planning.plan(supergraph, print(asked), operationName)))
      underWay.set(key, making)
      return making
    },
    operations: () =>
      [...operations.entries()]
        .map(([key, operation]) => ({ key, operation }))
        .sort((a, b) => b.operation.uses - a.operation.uses),
  }
}

/** Whatever a fragment is spread into, it is written once: what is spread often is not small. */
function isSmall(document: DocumentNode): boolean {
  let count = 0
  visit(document, { Field: () => void (count += 1), FragmentSpread: () => void (count += 5) })
  return count <= smallMax
}

/** Compiles what was used most before, one operation a turn, so that requests are answered meanwhile. */
export async function warmUp(next: Runtime, previous: Runtime, count: number): Promise<number> {
  let warmed = 0
  for (const { key, operation } of previous.operations().slice(0, count)) {
    await turn()
    if (validate(next.supergraph.schema, operation.document).length > 0) continue
    try {
      await next.operation(key, operation.document, operation.operationName)
      warmed += 1
    } catch {
      // An operation that the new supergraph cannot plan fails when a client asks it, with that client's error.
    }
  }
  return warmed
}
