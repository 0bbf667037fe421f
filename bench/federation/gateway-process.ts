import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApolloServer, HeaderMap, type HTTPGraphQLRequest, type HTTPGraphQLResponse } from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled'
import { silentLogger } from '../../core/log.ts'
import { anonymous, createStatementCounter, type RequestContext } from '../../core/request.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import { stringifyResult } from '../../gateway/executor/answer.ts'
import { createFederatedGateway } from '../../gateway/executor/gateway.ts'
import { createSharing } from '../../gateway/executor/sharing.ts'
import { createHttpFront } from '../../gateway/pipeline/http-front.ts'
import { textSource } from '../../gateway/planner/supergraph-source.ts'
import { createRoute } from '../../gateway/transport/route.ts'
import { createAnswerer, supergraph, type SubgraphName } from './subgraphs.ts'

/**
 * One gateway in a process of its own, chosen by its first argument; the second is the subgraphs' address, the third a
 * file with the answer for those that only send bytes. All Apollo Servers stand behind the same small HTTP front.
 */
const [, , kind = '', subgraphs = '', answerFile = ''] = process.argv

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => Promise<void>

function contextValue(): RequestContext {
  return {
    requestId: 'bench',
    principal: anonymous,
    deadlineMs: Date.now() + 30_000,
    signal: new AbortController().signal,
    startedMs: performance.now(),
    statements: createStatementCounter(),
    written: [],
    missingShards: new Set(),
  }
}

type Answer = (request: HTTPGraphQLRequest) => Promise<HTTPGraphQLResponse>

/** What every gateway behind Apollo Server has: the plugins that it installs unasked are off, as in the product. */
const plugins = [ApolloServerPluginCacheControlDisabled(), ApolloServerPluginLandingPageDisabled()]

async function apolloHandler(
  server: ApolloServer<RequestContext>,
  answerBy: Answer = (httpGraphQLRequest) =>
    server.executeHTTPGraphQLRequest({ httpGraphQLRequest, context: () => Promise.resolve(contextValue()) }),
): Promise<Handler> {
  await server.start()
  return async (request, response, body) => {
    const headers = new HeaderMap()
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value))
    const answer = await answerBy({ method: 'POST', headers, search: '', body: JSON.parse(body) as unknown })
    if (answer.body.kind !== 'complete') throw new Error('expected one answer')
    const { string } = answer.body
    response.writeHead(answer.status ?? 200, {
      ...Object.fromEntries(answer.headers),
      'content-length': Buffer.byteLength(string),
    })
    response.end(string)
  }
}

async function ours(over: 'http' | 'process', shared: boolean): Promise<Handler> {
  const sharing = createSharing({ queries: shared, reads: shared })
  const answer = createAnswerer()
  const inProcess: SubgraphExecutor = async (request) =>
    JSON.parse(await answer(request.subgraph as SubgraphName, request.body ?? '')) as object
  const sdl = supergraph((name) => `${subgraphs}/${name}`)
  const route = createRoute({ urlOf: (name) => `${subgraphs}/${name}`, http: () => ({ sharing, retries: 2 }) })
  const federated = createFederatedGateway({
    supergraph: textSource(sdl),
    executor: over === 'http' ? route.execute : inProcess,
    logger: silentLogger,
    sharing,
  })
  const front = createHttpFront({ gateway: federated, plugins: [], formatError: (shown) => shown, stringifyResult })
  const server = new ApolloServer<RequestContext>({
    gateway: federated.gateway,
    plugins: [...plugins, ...front.plugins],
    stringifyResult,
    includeStacktraceInErrorResponses: false,
  })
  return apolloHandler(server, (request) => front.answer(server, request, contextValue()))
}

async function plainApollo(over: 'http' | 'process'): Promise<Handler> {
  const { ApolloGateway } = await import('@apollo/gateway')
  const answer = createAnswerer()
  const gateway = new ApolloGateway({
    supergraphSdl: supergraph((name) => `${subgraphs}/${name}`),
    ...(over === 'http'
      ? {}
      : {
          buildService: ({ name }) => ({
            process: async ({ request }) =>
              JSON.parse(
                await answer(
                  name as SubgraphName,
                  JSON.stringify({ query: request.query, variables: request.variables }),
                ),
              ) as object,
          }),
        }),
  })
  return apolloHandler(new ApolloServer<RequestContext>({ gateway, plugins }))
}

async function constant(): Promise<Handler> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(answerFile, 'utf8')
  const { data } = JSON.parse(text) as { data: Record<string, unknown> }
  const federated = createFederatedGateway({
    supergraph: textSource(supergraph(() => 'http://localhost')),
    executor: () => Promise.reject(new Error('not asked')),
    logger: silentLogger,
  })
  return apolloHandler(
    new ApolloServer<RequestContext>({
      gateway: {
        ...federated.gateway,
        async load(options) {
          await federated.gateway.load(options)
          return { executor: () => Promise.resolve({ data }) }
        },
      },
      plugins,
      stringifyResult: () => text,
    }),
  )
}

async function bare(): Promise<Handler> {
  const { readFile } = await import('node:fs/promises')
  const bytes = await readFile(answerFile)
  return async (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length })
    response.end(bytes)
  }
}

const kinds: Record<string, () => Promise<Handler>> = {
  'node:http, same bytes': bare,
  'Apollo Server, constant answer': constant,
  '@apollo/gateway over HTTP': () => plainApollo('http'),
  '@apollo/gateway in process': () => plainApollo('process'),
  'Ledgerway over HTTP': () => ours('http', false),
  'Ledgerway over HTTP, shared': () => ours('http', true),
  'Ledgerway in process': () => ours('process', false),
  'Ledgerway in process, shared': () => ours('process', true),
}

const handle = await kinds[kind]?.()
if (handle === undefined) throw new Error(`unknown gateway ${kind}`)

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(
      JSON.stringify({
        cpuMicros: process.cpuUsage().user + process.cpuUsage().system,

        rss: process.memoryUsage.rss(),
      }),
    )
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    handle(request, response, Buffer.concat(chunks).toString('utf8')).catch((error: unknown) => {
      response.statusCode = 500
      response.end(String(error))
    })
  })
})
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
