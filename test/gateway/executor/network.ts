import { composeServices } from '@apollo/composition'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { execute, parse, subscribe, validate, type DocumentNode, type ExecutionResult } from 'graphql'
import { anonymous, createStatementCounter, type RequestContext } from '../../../core/request.ts'
import { silentLogger } from '../../../core/log.ts'
import type { SubgraphExecutor, SubgraphRequest } from '../../../core/subgraph-executor.ts'
import {
  createFederatedGateway,
  type FederatedGateway,
  type FederatedGatewayOptions,
} from '../../../gateway/executor/gateway.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'

type Modules = Extract<Parameters<typeof buildSubgraphSchema>[0], unknown[]>[number]
type Resolvers = NonNullable<Exclude<Modules, DocumentNode>['resolvers']>

export interface SubgraphDefinition {
  sdl: string
  resolvers?: Resolvers
}

export type Subgraphs = Record<string, SubgraphDefinition>

const link =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@requires", "@provides", "@external", "@shareable", "@interfaceObject", "@inaccessible", "@override", "@context", "@fromContext", "@composeDirective"])\n'

/** For subgraphs that mark what is public. */
export const cacheControl = `
  extend schema
    @link(url: "https://ledgerway.dev/cache-control/v0.1", import: ["@cacheControl"])
    @composeDirective(name: "@cacheControl")
  directive @cacheControl(maxAge: Int, scope: CacheControlScope) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
  enum CacheControlScope { PUBLIC PRIVATE }
`

const withLink = (sdl: string): DocumentNode => parse(link + sdl)

const composed = new WeakMap<Subgraphs, string>()

export function composeText(subgraphs: Subgraphs): string {
  const known = composed.get(subgraphs)
  if (known !== undefined) return known
  const result = composeServices(
    Object.entries(subgraphs).map(([name, { sdl }]) => ({ name, url: `inproc://${name}`, typeDefs: withLink(sdl) })),
  )
  if (result.errors !== undefined) throw new Error(result.errors.map(({ message }) => message).join('\n'))
  composed.set(subgraphs, result.supergraphSdl)
  return result.supergraphSdl
}

/** Real subgraphs in this process; `asked` holds every request they got. */
export function localSubgraphs(subgraphs: Subgraphs): { executor: SubgraphExecutor; asked: SubgraphRequest[] } {
  const asked: SubgraphRequest[] = []
  const schemas = new Map(
    Object.entries(subgraphs).map(([name, { sdl, resolvers }]) => [
      name,
      buildSubgraphSchema([{ typeDefs: withLink(sdl), ...(resolvers === undefined ? {} : { resolvers }) }]),
    ]),
  )
  const executor: SubgraphExecutor = async (request) => {
    asked.push(request)
    const schema = schemas.get(request.subgraph)
    if (schema === undefined) throw new Error(`no subgraph ${request.subgraph}`)
    const document = request.document ?? parse(request.query)
    const [invalid] = validate(schema, document)
    if (invalid !== undefined) return { errors: [invalid] }
    const run = request.kind === 'subscription' ? subscribe : execute
    const result = await run({
      schema,
      document,
      variableValues: request.variables ?? {},
      contextValue: request.context,
    })
    if (Symbol.asyncIterator in result) return result
    // What crosses a process boundary is plain JSON; here the same, so that merging may change it.
    return {
      ...result,
      ...(result.data == null ? {} : { data: plain(result.data, request.parse !== undefined) as object }),
    } as ExecutionResult
  }
  return { executor, asked }
}

/** Plain JSON; where that is allowed, with everything made one object that may be. */
function plain(data: unknown, mayShare: boolean): unknown {
  const known = new Map<string, unknown>()
  function shared(value: unknown, place: string): unknown {
    if (typeof value !== 'object' || value === null) return value
    const key = `${place} ${JSON.stringify(value)}`
    const made =
      known.get(key) ??
      (Array.isArray(value)
        ? value.map((item) => shared(item, place))
        : Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shared(member, `${place}.${name}`)])))
    if (!Array.isArray(value)) known.set(key, made)
    return made
  }
  const parsed: unknown = JSON.parse(JSON.stringify(data))
  return mayShare ? shared(parsed, '') : parsed
}

export function requestContext(over: Partial<RequestContext> = {}): RequestContext {
  return {
    requestId: 'test',
    principal: anonymous,
    deadlineMs: Date.now() + 300_000,
    signal: new AbortController().signal,
    startedMs: performance.now(),
    statements: createStatementCounter(),
    written: [],
    missingShards: new Set(),
    ...over,
  }
}

export interface TestGateway extends AsyncDisposable {
  federated: FederatedGateway
  asked: SubgraphRequest[]
  /** Parses, validates and executes. */
  query(source: string, variables?: Record<string, unknown>, context?: RequestContext): Promise<ExecutionResult>
}

export async function testGateway(
  subgraphs: Subgraphs,
  options: Partial<FederatedGatewayOptions> = {},
): Promise<TestGateway> {
  const { executor, asked } = localSubgraphs(subgraphs)
  const federated = createFederatedGateway({
    supergraph: textSource(composeText(subgraphs)),
    executor,
    logger: silentLogger,
    ...options,
  })
  await federated.load()
  return {
    federated,
    asked,
    query(source, variables, context = requestContext()) {
      const document = parse(source)
      const [invalid] = validate(federated.schema(), document)
      if (invalid !== undefined) throw invalid
      return federated.execute({ document, variables, context })
    },
    [Symbol.asyncDispose]: () => federated[Symbol.asyncDispose](),
  }
}
