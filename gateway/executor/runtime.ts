/**
 * A supergraph in service: with the operations compiled for it. A reload makes a new one and warms it with what is used
 * most; requests that were validated against the old one finish on the old one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { validate, type DocumentNode } from 'graphql'
import { buildSupergraph, type PlannableSupergraph } from '../planner/supergraph.ts'
import { compileOperation, type CompiledOperation } from './operation.ts'

export interface Runtime {
  readonly supergraph: PlannableSupergraph
  /** Compiles on first use. `key` names the document's text, for example by its hash. */
  operation(key: string, document: DocumentNode, operationName: string | undefined): CompiledOperation
  /** Most used first. */
  operations(): readonly { readonly key: string; readonly operation: CompiledOperation }[]
}

export interface RuntimeOptions {
  /** Compiled operations kept; the least recently used go first. */
  readonly operationsMax: number
  /** Answers with more list items than this are written in slices. */
  readonly itemsMax: number
}

/** @throws Error when the text is no good supergraph. */
export function createRuntime(sdl: string, { operationsMax, itemsMax }: RuntimeOptions): Runtime {
  const supergraph = buildSupergraph(sdl)
  const operations = new LRUCache<string, CompiledOperation>({ max: operationsMax })
  return {
    supergraph,
    operation(key, document, operationName) {
      const known = operations.get(key)
      if (known !== undefined) {
        known.uses += 1
        return known
      }
      const operation = compileOperation(supergraph, document, operationName, itemsMax)
      operations.set(key, operation)
      return operation
    },
    operations: () =>
      [...operations.entries()]
        .map(([key, operation]) => ({ key, operation }))
        .sort((a, b) => b.operation.uses - a.operation.uses),
  }
}

/** Compiles what was used most before, one operation a turn, so that requests are answered meanwhile. */
export async function warmUp(next: Runtime, previous: Runtime, count: number): Promise<number> {
  let warmed = 0
  for (const { key, operation } of previous.operations().slice(0, count)) {
    await turn()
    if (validate(next.supergraph.schema, operation.document).length > 0) continue
    try {
      next.operation(key, operation.document, operation.operationName)
      warmed += 1
    } catch {
      // An operation that the new supergraph cannot plan fails when a client asks it, with that client's error.
    }
  }
  return warmed
}
