import type { DocumentNode, ExecutionResult } from 'graphql'
import { withoutStart } from '../core/starting-place.ts'
import type { SubgraphRequest } from '../core/subgraph-executor.ts'

/**
 * What an event comes to is worked out once for all subscribers with the same document, variables (but for where they began) and principal, or with
 * the same rights where all that is selected is public: readers of one ledger at the same place are given the same record
 * object (`events/follow.ts`), and by that they are found. Kept no longer than the record itself. Results are shared: they
 * are to be read only.
 */
export function createSharedEvents(): {
  resultOf(request: SubgraphRequest, event: unknown, run: () => Promise<ExecutionResult>): Promise<ExecutionResult>
} {
  const byDocument = new WeakMap<DocumentNode, WeakMap<object, Map<string, Promise<ExecutionResult>>>>()
  return {
    resultOf(request, event, run) {
      const record = (event as { record?: unknown } | null | undefined)?.record
      const { document, variables, context } = request
      // Without a document of its own a request comes from another process, where nothing is shared.
      if (document === undefined || typeof record !== 'object' || record === null) return run()
      let byRecord = byDocument.get(document)
      if (byRecord === undefined) byDocument.set(document, (byRecord = new WeakMap()))
      let results = byRecord.get(record)
      if (results === undefined) byRecord.set(record, (results = new Map()))
      // Everything rights may follow from; of what is public, everything but who it is.
      const { principal } = context
      const who =
        request.isPublic === true && principal.kind !== 'anonymous' ? [principal.kind, principal.scopes] : principal
      const key = JSON.stringify([who, request.operationName ?? '', withoutStart(document, variables ?? {})])
      const known = results.get(key)
      if (known !== undefined) return known
      const result = run()
      results.set(key, result)
      const kept = results
      result.catch(() => kept.delete(key))
      return result
    },
  }
}
