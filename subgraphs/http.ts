import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { GraphQLError, parse } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { z } from 'zod'
import type { PrincipalVerifier } from '../access/propagation.ts'
import { AppError, errorCodes } from '../core/errors.ts'
import { parseJson } from '../core/json/scan.ts'
import type { Logger } from '../core/log.ts'
import { createStatementCounter, type RequestContext } from '../core/request.ts'
import { uuidv7 } from '../core/uuid.ts'
import { presentFailure } from './errors.ts'
import type { SubgraphHost } from './host.ts'

/**
 * One subgraph for gateways in other processes.
 *
 * `POST /graphql` takes `{query, variables, operationName}`; WebSocket `/graphql` (graphql-transport-ws) takes
 * subscriptions. What a request carries besides, as headers or, over WebSocket, in the `extensions.ledgerway` of the
 * subscribe message or else in the payload of `connection_init`:
 * - `authorization`: `Bearer` and the principal's JWS, signed by the gateway; without it nothing is answered
 * - `ledgerway-request-id`, `ledgerway-position`, and `ledgerway-deadline` in milliseconds left
 *
 * Answers end with `extensions.ledgerway`: `statements` ({subgraph: {shard: n}}), `written` (position tokens) and, where a
 * partial answer was allowed and is one, `missingShards`.
 */
export interface SubgraphServer extends AsyncDisposable {
  readonly url: string
}

export interface SubgraphServerDeps {
  readonly host: SubgraphHost
  readonly verifier: PrincipalVerifier
  readonly logger: Logger
  readonly hostname: string
  /** 0: any free port. */
  readonly port: number
  /** For `GET /health/ready`. */
  readonly ready: () => Promise<boolean>
}

/** Room for a payload of 16 MiB with its query around it. */
const maxBodyBytes = 17 * 1024 * 1024
const jsonLimits = { maxBytes: maxBodyBytes, maxDepth: 80 }
const defaultDeadlineMs = 60_000

const bodySchema = z.object({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
})
const carriedSchema = z.object({
  authorization: z.string().max(8192).optional(),
  'ledgerway-request-id': z
    .string()
    .regex(/^[\w.-]{1,64}$/)
    .optional(),
  'ledgerway-position': z.string().max(4096).optional(),
  'ledgerway-deadline': z
    .string()
    .regex(/^\d{1,9}$/)
    .optional(),
})

export async function serveSubgraph(deps: SubgraphServerDeps): Promise<SubgraphServer> {
  const { host, verifier, logger } = deps
  const sockets = new Set<Socket>()

  async function contextOf(carried: unknown, signal: AbortSignal, live: boolean): Promise<RequestContext> {
    const known = carriedSchema.safeParse(carried)
    if (!known.success) throw new AppError('BAD_REQUEST', 'The headers for subgraphs are malformed.')
    const { authorization = '', ...rest } = known.data
    const principal = await verifier.verify(/^Bearer (\S+)$/i.exec(authorization)?.[1] ?? '')
    const position = rest['ledgerway-position']
    const leftMs = Number(rest['ledgerway-deadline'] ?? defaultDeadlineMs)
    return {
      requestId: rest['ledgerway-request-id'] ?? uuidv7(),
      principal,
      ...(position === undefined ? {} : { position }),
      deadlineMs: live ? Number.MAX_SAFE_INTEGER : Date.now() + leftMs,
      signal: live ? signal : AbortSignal.any([signal, AbortSignal.timeout(leftMs)]),
      startedMs: performance.now(),
      statements: createStatementCounter(),
      written: [],
      missingShards: new Set(),
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const requestId = String(request.headers['ledgerway-request-id'] ?? '')
    try {
      const context = await contextOf(request.headers, gone.signal, false)
      const body = bodySchema.safeParse(parseJson(await readBody(request), jsonLimits))
      if (!body.success) throw new AppError('BAD_REQUEST', 'The body is not {query, variables, operationName}.')
      const { query, variables, operationName } = body.data
      const result = await host.execute(
        {
          subgraph: host.name,
          kind: 'query',
          query,
          context,
          ...(variables == null ? {} : { variables }),
          ...(operationName == null ? {} : { operationName }),
        },
        context.signal,
      )
      const { written } = context
      const statements = context.statements.totals()
      const missing = [...context.missingShards]
      send(response, 200, {
        ...result,
        extensions: { ledgerway: { statements, written, ...(missing.length === 0 ? {} : { missingShards: missing }) } },
      })
    } catch (error) {
      const status = error instanceof AppError ? errorCodes[error.code].status : 500
      send(response, status, { errors: [presentFailure(error, { logger, requestId })] })
    }
  }

  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]
    if (path === '/graphql' && request.method === 'POST') void answer(request, response)
    else if (path === '/health/live') send(response, 200, { status: 'live', subgraph: host.name })
    else if (path === '/health/ready') {
      void deps.ready().then(
        (ready) => send(response, ready ? 200 : 503, { status: ready ? 'ready' : 'starting' }),
        () => send(response, 503, { status: 'failing' }),
      )
    } else send(response, 404, { errors: [{ message: 'Not found', extensions: { code: 'NOT_FOUND' } }] })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  const webSockets = new WebSocketServer({ server, path: '/graphql', maxPayload: maxBodyBytes })
  const live = useServer(
    {
      onSubscribe: async (connection, _id, { query, variables, operationName, extensions }) => {
        const closed = new AbortController()
        connection.extra.socket.on('close', () => closed.abort())
        try {
          const carried = extensions?.['ledgerway'] ?? connection.connectionParams ?? {}
          return {
            schema: host.schema,
            document: parse(query, { maxTokens: 50_000 }),
            variableValues: variables ?? null,
            operationName: operationName ?? null,
            contextValue: await contextOf(carried, closed.signal, true),
          }
        } catch (error) {
          const { message, ...rest } = presentFailure(error, { logger, requestId: '' })
          return [new GraphQLError(message, { extensions: rest.extensions ?? null })]
        }
      },
      execute: () => ({ errors: [new GraphQLError('Only subscriptions are answered over WebSocket.')] }),
      subscribe: ({ document, contextValue, variableValues, operationName }) => {
        const context = contextValue as RequestContext
        return host.execute(
          {
            subgraph: host.name,
            kind: 'subscription',
            query: document.loc?.source.body ?? '',
            document,
            context,
            ...(variableValues == null ? {} : { variables: variableValues }),
            ...(operationName == null ? {} : { operationName }),
          },
          context.signal,
        ) as never
      },
    },
    webSockets,
  )

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(deps.port, deps.hostname, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${deps.hostname.includes(':') ? `[${deps.hostname}]` : deps.hostname}:${port}/graphql`,
    async [Symbol.asyncDispose]() {
      await live.dispose()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      // Gateways keep connections open; what is being answered gets a moment to end.
      const impatient = setTimeout(() => sockets.forEach((socket) => socket.destroy()), 2_000)
      await closed
      clearTimeout(impatient)
    },
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBodyBytes) throw new AppError('PAYLOAD_TOO_LARGE', 'The request is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
