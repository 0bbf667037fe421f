/** Every bound of the edge. What is over one is answered with a code, never with slowness. `docs/configuration.md` names them. */
export interface GatewayLimits {
  /** Of an HTTP body or a WebSocket message. */
  readonly bodyBytes: number
  /** Nesting of the JSON of a body: a payload's own 64 and what is around it. */
  readonly jsonDepth: number
  /** Length of a GraphQL document: comments and commas are no tokens, and read all the same. */
  readonly documentCharacters: number
  /** Lexical tokens of a GraphQL document. */
  readonly documentTokens: number
  /** Nesting of fields, fragments followed. */
  readonly documentDepth: number
  /** Fields of an operation, fragments followed. */
  readonly documentFields: number
  readonly documentAliases: number
  readonly documentRootFields: number
  /** Fields with one response name in one selection set: validation compares each with each. */
  readonly documentRepeats: number
  /** Items of a list in variables, where its type is not a custom scalar. */
  readonly listItems: number
  /** From a request's arrival to its answer. */
  readonly requestMs: number
  /** Operations at once, of the process and of one principal. */
  readonly operations: number
  readonly operationsPerPrincipal: number
  /** WebSocket connections and event streams at once, of the process and of one principal. */
  readonly connections: number
  readonly connectionsPerPrincipal: number
  readonly subscriptionsPerConnection: number
  readonly subscriptionsPerPrincipal: number
  /** Exports being sent at once, by the process and to one principal. */
  readonly downloads: number
  readonly downloadsPerPrincipal: number
  /** How long a client may leave an event untaken before its connection is closed; it resumes by its cursor. */
  readonly slowClientMs: number
  readonly connectionInitMs: number
  readonly keepAliveMs: number
  /** How long stopping waits for operations in flight. */
  readonly drainMs: number
}

export const defaultLimits: GatewayLimits = {
  bodyBytes: 16 * 1024 * 1024,
  jsonDepth: 80,
  documentCharacters: 2_000_000,
  documentTokens: 10_000,
  documentDepth: 25,
  documentFields: 5_000,
  documentAliases: 500,
  documentRootFields: 50,
  documentRepeats: 100,
  listItems: 1_000,
  requestMs: 30_000,
  operations: 10_000,
  operationsPerPrincipal: 1_000,
  connections: 10_000,
  connectionsPerPrincipal: 10_000,
  subscriptionsPerConnection: 100,
  subscriptionsPerPrincipal: 20_000,
  downloads: 200,
  downloadsPerPrincipal: 8,
  slowClientMs: 15_000,
  connectionInitMs: 5_000,
  keepAliveMs: 15_000,
  drainMs: 5_000,
}
