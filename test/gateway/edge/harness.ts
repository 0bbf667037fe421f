import { EventEmitter, on } from 'node:events'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { composeServices } from '@apollo/composition'
import { execute, type ExecutionResult, GraphQLError, parse, subscribe } from 'graphql'
import type { Tickets } from '../../../access/tickets.ts'
import { unauthenticated } from '../../../access/rights.ts'
import { createMemoryAnswerCache } from '../../../cache/drivers/memory.ts'
import type { AnswerCache } from '../../../cache/answer-cache.ts'
import { AppError } from '../../../core/errors.ts'
import { parseCompanyId, parseShardId } from '../../../core/ids.ts'
import { type Logger, silentLogger } from '../../../core/log.ts'
import { encodePosition, formatLsn } from '../../../core/position.ts'
import type { Principal, RequestContext } from '../../../core/request.ts'
import type { SubgraphExecutor } from '../../../core/subgraph-executor.ts'
import type { Change } from '../../../events/change.ts'
import type { ChangeListener } from '../../../events/change-stream.ts'
import type { Authenticator } from '../../../gateway/credentials.ts'
import { createFederatedGateway } from '../../../gateway/executor/gateway.ts'
import type { GatewayLimits } from '../../../gateway/limits.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { createGatewayServer, type GatewayServerDeps } from '../../../gateway/server.ts'

/** A small graph of two subgraphs in this process: everything between the client and the subgraphs is the real thing. */
const header = `
  extend schema
    @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@composeDirective"])
    @link(url: "https://ledgerway.dev/cache-control/v0.1", import: ["@cacheControl"])
    @composeDirective(name: "@cacheControl")
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT
  enum CacheControlScope { PUBLIC PRIVATE }
`
const companiesSdl = `${header}
  scalar JSON
  type Query {
    company(id: ID!): Company
    companies: [Company!]!
    uncached: String
    echo(value: JSON): JSON
    sum(numbers: [Int!]!): Int!
    slow: String
    broken: String
    refused: String
    whoAmI: String!
  }
  type Mutation { rename(id: ID!, name: String!): Company! }
  type Company @key(fields: "id") @cacheControl(maxAge: 60) {
    id: ID!
    name: String!
    secret: String @cacheControl(maxAge: 60, scope: PRIVATE)
  }
`
const recordsSdl = `${header}
  type Query { record(id: ID!): Record }
  type Subscription {
    recordAppended(companyId: ID!, after: String): RecordAppended!
    ticks: Int!
  }
  type RecordAppended { cursor: String! record: Record! }
  type Record @key(fields: "id") { id: ID! position: Int! company: Company! }
  type Company @key(fields: "id") { id: ID! size: Int! @cacheControl(maxAge: 60) }
`

export const keys = { admin: 'lwa_admin', acme: 'lwk_acme', acmeReader: 'lwk_acme_reader', other: 'lwk_other' } as const
const principals: Record<string, Principal> = {
  [keys.admin]: { kind: 'admin', keyId: 'key-admin', scopes: ['*'] },
  [keys.acme]: { kind: 'company', companyId: parseCompanyId('acme'), keyId: 'key-acme', scopes: ['*'] },
  [keys.acmeReader]: {
    kind: 'company',
    companyId: parseCompanyId('acme'),
    keyId: 'key-acme-reader',
    scopes: ['ledger.read'],
  },
  [keys.other]: { kind: 'company', companyId: parseCompanyId('other'), keyId: 'key-other', scopes: ['*'] },
}

export interface Edge extends AsyncDisposable {
  readonly url: string
  readonly server: ReturnType<typeof createGatewayServer>
  /** What the subgraphs hold and were asked; change it at will. */
  readonly world: World
  post(body: unknown, headers?: Record<string, string>): Promise<EdgeAnswer>
  /** Announces that a company changed, as the change feed does. */
  announce(companyId: string, kinds?: readonly string[]): void
  append(companyId?: string): void
  revoke(keyId: string): void
}

export interface EdgeAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    data?: Record<string, unknown> | null
    errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[]
    extensions?: Record<string, unknown>
  }
}

class World {
  readonly companies = new Map([
    ['acme', { id: 'acme', name: 'Acme', secret: 'acme’s own' }],
    ['other', { id: 'other', name: 'Other', secret: 'other’s own' }],
  ])
  readonly records: { id: string; position: number; company: { id: string } }[] = []
  readonly events = new EventEmitter().setMaxListeners(0)
  readonly contexts: RequestContext[] = []
  /** How often a company or a list of them was loaded. */
  loads = 0
  subscribers = 0
  /** Awaited by every load after it has read, and before it answers. */
  afterRead: () => Promise<void> = () => Promise.resolve()
}

/**
 * The way that requests are answered: `as it comes` (by Apollo Server until document and headers are known, then by the
 * shorter pipeline), or `known`, where both are made known before each request.
 */
let way: 'as it comes' | 'known' = 'as it comes'

export function useWay(chosen: typeof way): void {
  way = chosen
}

/** `fetch`, by the way that was chosen. */
export async function send(url: string, init: RequestInit): Promise<Response> {
  if (way === 'known') await makeKnown(url, init)
  return fetch(url, init)
}

/** An operation that does not exist is refused after its document was looked at, and before anything is done. */
async function makeKnown(url: string, { body, headers: given }: RequestInit): Promise<void> {
  if (typeof body !== 'string' || !body.startsWith('{"query":"')) return
  const headers = new Headers(given)
  headers.set('authorization', `Bearer ${keys.admin}`)
  headers.delete('x-api-key')
  const { query } = JSON.parse(body) as { query: string }
  for (const first of [{ query: '{ __typename }' }, { query, operationName: 'Nobody' }]) {
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(first) })
    await response.arrayBuffer()
  }
}

export interface EdgeOptions {
  readonly limits?: Partial<GatewayLimits>
  readonly deps?: Partial<GatewayServerDeps>
  /** `false`: none. */
  readonly cache?: AnswerCache | false
  readonly logger?: Logger
}

export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const logger = options.logger ?? silentLogger
  const world = new World()
  const composed = composeServices([
    { name: 'companies', url: 'inproc://companies', typeDefs: parse(companiesSdl) },
    { name: 'records', url: 'inproc://records', typeDefs: parse(recordsSdl) },
  ])
  if (composed.errors !== undefined) throw new AggregateError(composed.errors)
  const gateway = createFederatedGateway({
    supergraph: textSource(composed.supergraphSdl),
    executor: executorOf(world),
    logger,
  })
  const revoked = new Set<string>()
  const onRevoked = new Set<(keyId: string) => void>()
  const authenticator: Authenticator = {
    async authenticate(key) {
      const principal = principals[key]
      if (principal === undefined || principal.kind === 'anonymous' || revoked.has(principal.keyId)) {
        throw unauthenticated()
      }
      return principal
    },
    valid: (keyId) => !revoked.has(keyId),
    onRevoked(handler) {
      onRevoked.add(handler)
      return () => onRevoked.delete(handler)
    },
  }
  const listeners = new Set<ChangeListener>()
  const shard = parseShardId('one')
  let feedPosition = 0
  const cache = options.cache ?? createMemoryAnswerCache()
  const server = createGatewayServer({
    gateway: gateway,
    authenticator,
    tickets: ticketsOf(principals),
    ...(cache === false
      ? {}
      : {
          caching: {
            cache,
            changes: {
              subscribe(listener) {
                listeners.add(listener)
                return { [Symbol.dispose]: () => void listeners.delete(listener) }
              },
              health: () => ({ bus: true, unreachable: [] }),
            },
            epoch: () => 1,
          },
        }),
    checkReady: async () => ({ ready: true, parts: { companies: { ok: true } } }),
    logger,
    host: '127.0.0.1',
    port: 0,
    development: true,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...options.deps,
  })
  const { url } = await server.listen()
  return {
    url,
    server,
    world,
    async post(body, headers = { authorization: `Bearer ${keys.acme}` }) {
      const response = await send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      return {
        status: response.status,
        headers: response.headers,
        body: (await response.json()) as EdgeAnswer['body'],
      }
    },
    announce(companyId, kinds = ['company.updated']) {
      feedPosition += 1
      const lsn = formatLsn(BigInt(feedPosition))
      const change: Change = {
        shard,
        feedPosition,
        companyId: parseCompanyId(companyId),
        from: 0,
        count: 1,
        kinds,
        lsn,
      }
      for (const listener of listeners) listener.change(change)
    },
    append(companyId = 'acme') {
      const position = world.records.filter((record) => record.company.id === companyId).length
      const record = { id: `${companyId}:${position}`, position, company: { id: companyId } }
      world.records.push(record)
      world.events.emit('record', record)
    },
    revoke(keyId) {
      revoked.add(keyId)
      for (const handler of onRevoked) handler(keyId)
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
    },
  }
}

function ticketsOf(principals: Record<string, Principal>): Tickets {
  const used = new Map<string, string>()
  const principalOf = (ticket: string): Principal => {
    const principal = principals[ticket.replace('ticket-', '').split('/')[0] ?? '']
    if (principal === undefined) throw unauthenticated()
    return principal
  }
  return {
    issue: async () => ({ ticket: 'ticket', expiresAt: new Date() }),
    async redeem(ticket) {
      if (used.has(ticket)) throw unauthenticated()
      used.set(ticket, `resume${used.size}`)
      return { principal: principalOf(ticket), resumeToken: used.get(ticket) ?? '' }
    },
    async resume(ticket, token) {
      if (used.get(ticket) !== token) throw unauthenticated()
      return principalOf(ticket)
    },
  }
}

function executorOf(world: World): SubgraphExecutor {
  const schemas = {
    companies: buildSubgraphSchema([{ typeDefs: parse(companiesSdl), resolvers: companyResolvers(world) }]),
    records: buildSubgraphSchema([{ typeDefs: parse(recordsSdl), resolvers: recordResolvers(world) }]),
  }
  return async (request, signal) => {
    world.contexts.push(request.context)
    request.context.statements.count(request.subgraph, 'one')
    const args = {
      schema: schemas[request.subgraph as keyof typeof schemas],
      document: request.document ?? parse(request.query),
      variableValues: { ...request.variables },
      contextValue: { ...request.context, signal },
    }
    const result = request.kind === 'subscription' ? await subscribe(args) : await execute(args)
    return result as ExecutionResult | AsyncIterable<ExecutionResult>
  }
}

function companyResolvers(world: World) {
  const load = async <T>(read: () => T): Promise<T> => {
    world.loads += 1
    const value = read()
    await world.afterRead()
    return value
  }
  const copy = (id: string) => {
    const company = world.companies.get(id)
    return company === undefined ? null : { ...company }
  }
  return {
    Query: {
      company: (_: unknown, { id }: { id: string }) => load(() => copy(id)),
      companies: () => load(() => [...world.companies.values()].map((company) => ({ ...company }))),
      uncached: () => 'fresh',
      echo: (_: unknown, { value }: { value: unknown }) => value,
      sum: (_: unknown, { numbers }: { numbers: number[] }) => numbers.reduce((a, b) => a + b, 0),
      slow: (_: unknown, _args: unknown, { signal }: RequestContext) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      broken: () => {
        throw new Error('select * from secrets where password = /etc/passwd')
      },
      refused: () => {
        throw new AppError('NOT_FOUND', 'There is no such thing.', { details: { thing: 7 } })
      },
      whoAmI: (_: unknown, _args: unknown, { principal }: RequestContext) =>
        principal.kind === 'company' ? principal.companyId : principal.kind,
    },
    Mutation: {
      rename(_: unknown, { id, name }: { id: string; name: string }, { written }: RequestContext) {
        const company = world.companies.get(id)
        if (company === undefined) throw new GraphQLError('no company', { extensions: { code: 'NOT_FOUND' } })
        company.name = name
        written.push(encodePosition({ epoch: 1, shards: new Map([[parseShardId('one'), 5n]]) }))
        return company
      },
    },
    Company: { __resolveReference: ({ id }: { id: string }) => load(() => copy(id)) },
  }
}

function recordResolvers(world: World) {
  const eventOf = (record: World['records'][number]) => ({
    recordAppended: { cursor: `c${record.position}`, record },
  })
  return {
    Query: { record: (_: unknown, { id }: { id: string }) => world.records.find((record) => record.id === id) },
    Subscription: {
      recordAppended: {
        async *subscribe(
          _: unknown,
          { companyId, after }: { companyId: string; after?: string },
          { signal, principal }: RequestContext,
        ) {
          if (principal.kind === 'company' && principal.companyId !== companyId) {
            throw new AppError('FORBIDDEN', 'Not yours.')
          }
          const live = on(world.events, 'record', { signal })
          world.subscribers += 1
          try {
            let next = after === undefined ? world.records.length : Number(after.slice(1)) + 1
            const own = () => world.records.filter((record) => record.company.id === companyId)
            if (after === undefined) next = own().length
            for (; next < own().length; next++) yield eventOf(own()[next]!)
            for await (const _event of live) {
              for (; next < own().length; next++) yield eventOf(own()[next]!)
            }
          } catch (error) {
            if (!signal.aborted) throw error
          } finally {
            world.subscribers -= 1
          }
        },
      },
      ticks: {
        async *subscribe() {
          for (let tick = 1; tick <= 3; tick++) yield { ticks: tick }
        },
      },
    },
    Company: { size: ({ id }: { id: string }) => world.records.filter((record) => record.company.id === id).length },
  }
}
