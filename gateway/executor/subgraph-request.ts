/**
 * A fetch as a request for a subgraph. In process its document and variables are taken as objects, over HTTP its body
 * as text; each is made only when asked for.
 */
import type { DocumentNode } from 'graphql'
import type { ParseRepeats } from '../../core/json/parse-repeats.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import type { RequestContext } from '../../core/request.ts'
import type { SubgraphRequest } from '../../core/subgraph-executor.ts'
import type { BatchedOperations } from './batched-operation.ts'
import type { FetchCall, JoinedCall } from './dispatch.ts'
import type { JsonObject } from './json.ts'
import type { CompiledFetch } from './plan.ts'

class FetchRequest implements SubgraphRequest {
  readonly subgraph: string
  readonly kind: SubgraphRequest['kind']
  readonly query: string
  readonly operationName?: string
  readonly isPublic: boolean
  readonly parse?: (text: string) => unknown
  readonly context: RequestContext
  readonly #parts: RequestParts

  constructor(fetch: CompiledFetch, context: RequestContext, parts: RequestParts) {
    this.subgraph = fetch.subgraph
    this.kind = fetch.operationKind
    this.query = parts.query
    if (parts.operationName !== undefined) this.operationName = parts.operationName
    this.isPublic = parts.isPublic
    if (parts.parse !== undefined) this.parse = parts.parse
    this.context = context
    this.#parts = parts
  }

  get document(): DocumentNode {
    return this.#parts.document()
  }

  get variables(): JsonObject {
    return this.#parts.variables()
  }

  get body(): string {
    return this.#parts.body()
  }
}

interface RequestParts {
  readonly isPublic: boolean
  readonly query: string
  readonly operationName: string | undefined
  readonly parse: ParseRepeats | undefined
  document(): DocumentNode
  variables(): JsonObject
  body(): string
}

export function fetchRequest(call: FetchCall, context: RequestContext): SubgraphRequest {
  const { fetch, variables, texts, objects } = call
  return new FetchRequest(fetch, context, {
    isPublic: fetch.isPublic,
    query: fetch.query,
    operationName: fetch.operationName,
    parse: fetch.parse,
    document: fetch.document,
    variables: () => (objects === undefined ? variables : { ...variables, representations: objects() }),
    body: () =>
      texts === undefined
        ? `${fetch.bodyHead}${members(variables)}}}`
        : `${fetch.bodyHead}"representations":[${texts.join(',')}]${following(variables)}}}`,
  })
}

/** Several calls as one operation: one part keeps its own operation, more stand side by side. */
export function joinedRequest(
  parts: readonly JoinedCall[],
  context: RequestContext,
  batched: BatchedOperations | undefined,
): SubgraphRequest {
  const [first] = parts
  if (first === undefined) throw new Error('There is nothing to send.')
  const variables: JsonObject = Object.assign({}, ...parts.map((part) => part.variables))
  const batch =
    parts.length === 1 || batched === undefined ? undefined : batched.operation(parts.map(({ fetch }) => fetch))
  // What goes to several places is told apart there.
  const isForOne = parts.every(({ members: { length } }) => length === 1)
  const name = (index: number): string => (batch === undefined ? 'representations' : `_r${index}`)
  const texts = parts.map(({ texts }, index) => `"${name(index)}":[${texts.join(',')}]`).join(',')
  return new FetchRequest(first.fetch, context, {
    isPublic: parts.every(({ fetch }) => fetch.isPublic),
    query: batch?.query ?? first.fetch.query,
    operationName: batch === undefined ? first.fetch.operationName : undefined,
    parse: isForOne ? (batch ?? first.fetch).parse : undefined,
    document: batch?.document ?? first.fetch.document,
    variables: () => ({ ...variables, ...(parseJsonText(`{${texts}}`) as JsonObject) }),
    body: () => `${batch?.bodyHead ?? first.fetch.bodyHead}${texts}${following(variables)}}}`,
  })
}

const members = (variables: JsonObject): string => JSON.stringify(variables).slice(1, -1)

function following(variables: JsonObject): string {
  const text = members(variables)
  return text === '' ? '' : `,${text}`
}
