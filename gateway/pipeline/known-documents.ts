/**
 * What Apollo Server has let through, learned from watching it: documents that it parsed and validated against the schema
 * in service, and which content type it answers an `accept` header with. A request made of nothing but such parts can be
 * answered by `known-operation.ts`; every other request is Apollo Server's own, which is how the rest becomes known.
 */
import type { ApolloServerPlugin, HTTPGraphQLRequest, HTTPGraphQLResponse } from '@apollo/server'
import { type DocumentNode, getOperationAST, type GraphQLSchema, type OperationDefinitionNode } from 'graphql'
import { LRUCache } from 'lru-cache'

export interface KnownDocument {
  readonly source: string
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  /** Apollo Server's name for the text. */
  readonly queryHash: string
}

export interface KnownRequest {
  readonly known: KnownDocument
  readonly contentType: string
  readonly operation: OperationDefinitionNode
  readonly operationName: string | undefined
  readonly variables: Record<string, unknown> | undefined
  readonly extensions: Record<string, unknown> | undefined
}

export interface KnownDocuments {
  /** For Apollo Server, before all plugins that could refuse an operation. */
  readonly plugin: ApolloServerPlugin
  /** `undefined` when anything about the request is not known yet, or is for Apollo Server to judge. */
  read(request: HTTPGraphQLRequest): KnownRequest | undefined
  /** To be told of what Apollo Server answered. */
  observe(request: HTTPGraphQLRequest, response: HTTPGraphQLResponse): void
}

const charactersMax = 20_000_000
const acceptHeadersMax = 500

export function createKnownDocuments(): KnownDocuments {
  const documents = new LRUCache<string, KnownDocument>({
    maxSize: charactersMax,
    sizeCalculation: (_known, source) => source.length + 200,
  })
  const contentTypes = new LRUCache<string, string>({ max: acceptHeadersMax })
  let serving: GraphQLSchema | undefined

  return {
    plugin: {
      serverWillStart: async () => ({
        schemaDidLoadOrUpdate({ apiSchema }) {
          serving = apiSchema
        },
        async drainServer() {
          serving = undefined
        },
      }),
      requestDidStart: async () => ({
        async didResolveOperation({ source, schema, document, queryHash }) {
          documents.set(source, { source, schema, document, queryHash })
        },
      }),
    },

    read({ method, headers, search, body }) {
      if (method !== 'POST' || search !== '' || !isRecord(body)) return undefined
      const { query, operationName, variables, extensions } = body
      if (typeof query !== 'string') return undefined
      const known = documents.get(query)
      if (known === undefined || known.schema !== serving) return undefined
      const contentType = contentTypes.get(headers.get('accept') ?? '')
      if (contentType === undefined || !isJson(headers.get('content-type'))) return undefined
      if (operationName != null && typeof operationName !== 'string') return undefined
      if (variables != null && !isRecord(variables)) return undefined
      if (extensions != null && (!isRecord(extensions) || 'persistedQuery' in extensions)) return undefined
      const operation = getOperationAST(known.document, operationName)
      if (operation == null) return undefined
      return {
        known,
        contentType,
        operation,
        operationName: operationName ?? undefined,
        variables: variables ?? undefined,
        extensions: extensions ?? undefined,
      }
    },

    observe({ headers }, { status = 200, headers: answered }) {
      // A refusal of the request itself is written as JSON even to those who do not accept it.
      const contentType = answered.get('content-type')
      if (status === 200 && contentType !== undefined && jsonTypes.has(contentType)) {
        contentTypes.set(headers.get('accept') ?? '', contentType)
      }
    },
  }
}

const jsonTypes: ReadonlySet<string> = new Set([
  'application/json; charset=utf-8',
  'application/graphql-response+json; charset=utf-8',
])

/** Such a request cannot have been sent by another site's page without asking first, so Apollo Server lets it through. */
function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json *(?:;|$)/i.test(contentType)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
