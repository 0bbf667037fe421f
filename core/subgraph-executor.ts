import type { DocumentNode, ExecutionResult } from 'graphql'
import type { RequestContext } from './request.ts'

/** One operation for one subgraph. `query` and `document` are the same operation; an executor uses whichever it needs. */
export interface SubgraphRequest {
  readonly subgraph: string
  readonly kind: 'query' | 'mutation' | 'subscription'
  readonly query: string
  readonly document?: DocumentNode
  readonly operationName?: string
  readonly variables?: Readonly<Record<string, unknown>>
  /** The JSON of query, operation name and variables, where the caller has it as text: what goes over HTTP as it is. */
  readonly body?: string
  /** Reads the JSON of its answer, where the caller has a better way than `parseJsonText`. */
  readonly parse?: (text: string) => unknown
  /** Whether everybody with the same rights (kind of principal, scopes) gets the same answer. Absent: no. */
  readonly isPublic?: boolean
  readonly context: RequestContext
}

/**
 * The seam between the gateway and its subgraphs, implemented in process and over HTTP and WebSocket. Answers with one
 * result, or for a subscription with a stream of them (a single result there means that it could not start). MUST reject
 * only when the subgraph could not be asked; what the subgraph itself says is in `errors`. In process the result is the
 * caller's to change.
 */
export type SubgraphExecutor = (
  request: SubgraphRequest,
  signal: AbortSignal,
) => Promise<ExecutionResult | AsyncIterable<ExecutionResult>>
