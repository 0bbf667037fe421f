import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
} from 'graphql'
import { type Context, handleProtocols, makeServer } from 'graphql-ws'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { unauthenticated } from '../../access/rights.ts'
import { AppError, isAppError } from '../../core/errors.ts'
import { scanJson } from '../../core/json/scan.ts'
import type { Logger } from '../../core/log.ts'
import type { Principal, RequestContext } from '../../core/request.ts'
import { uuidv7 } from '../../core/uuid.ts'
import type { Admission } from '../admission.ts'
import {
  type Authenticator,
  keyInHeaders,
  keyInPayload,
  mustBeKnown,
  payloadByName,
  principalKey,
  principalOf,
} from '../credentials.ts'
import type { Documents } from '../documents.ts'
import { clientGone, type ErrorFormatter } from '../errors.ts'
import { isRecord, parseOperation, scanLimits } from '../http/body.ts'
import { graphqlPath } from '../http/graphql.ts'
import { formatAll } from '../http/send-error.ts'
import type { GatewayLimits } from '../limits.ts'
import type { Operations, Started } from '../operations.ts'
import { passedOn } from '../request-scope.ts'
import type { CurrentSchema } from '../schema.ts'
import { closeCodes } from './close-codes.ts'
import type { EventStream } from './event-stream.ts'
import { createOutbox, type Outbox } from './outbox.ts'

/** Operations over WebSocket, in the protocol `graphql-transport-ws`. */
export interface SocketServer {
  /** Takes no further connections and closes the open ones with 1001, so that their clients go elsewhere. */
  drain(): Promise<void>
  load(): ConnectionLoad
}

/** What clients that hold a connection cost at this moment. */
export interface ConnectionLoad {
  readonly connections: number
  readonly subscriptions: number
  /** Written and not yet taken by the network. */
  readonly bufferedBytes: number
}

interface Connection {
  readonly socket: WebSocket
  readonly headers: IncomingMessage['headers']
  readonly outbox: Outbox
  readonly gone: AbortController
  principal?: Principal
  passedOn?: RequestContext['headers']
  place?: Disposable
  alive: boolean
  readonly streams: Set<EventStream>
}

type SocketContext = Context<Record<string, unknown>, Connection>

/** For a client to read what is on its way and to answer the close; one that does not is cut off. */
const closeGraceMs = 2_000

export function createSocketServer(deps: {
  server: Server
  operations: Operations
  authenticator: Authenticator
  connections: Admission
  documents: Documents
  schema: CurrentSchema
  errors: ErrorFormatter
  passOnHeaders: readonly string[]
  limits: GatewayLimits
  logger: Logger
}): SocketServer {
  const { server, operations, authenticator, documents, errors, limits, logger } = deps
  const open = new Set<Connection>()
  /** Errors that were formatted where they arose. */
  const formatted = new WeakMap<GraphQLError, GraphQLFormattedError>()
  let draining = false
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: limits.bodyBytes,
    perMessageDeflate: false,
    handleProtocols,
  })

  const protocol = makeServer<Record<string, unknown>, Connection>({
    connectionInitWaitTimeout: limits.connectionInitMs,
    onConnect,
    onSubscribe,
    subscribe: ({ contextValue }) => {
      const started = contextValue as Started
      return started.kind === 'stream' ? started.events : (started.result as ExecutionResult)
    },
    execute: ({ contextValue }) => {
      const started = contextValue as Started
      return started.kind === 'single' ? (started.result as ExecutionResult) : started.events
    },
    onNext: (_context, _id, _payload, args, result): FormattedExecutionResult => {
      const started = args.contextValue as Started
      return started.kind === 'stream'
        ? started.format(result as ExecutionResult)
        : (result as FormattedExecutionResult)
    },
    onError: (_context, id, _payload, all) => all.map((error) => formatted.get(error) ?? errors.format(error, id)),
  })

  async function onConnect({ connectionParams, extra }: SocketContext): Promise<boolean> {
    try {
      const key = keyInPayload(connectionParams) ?? keyInHeaders(extra.headers)
      extra.principal = await principalOf(authenticator, key)
      mustBeKnown(extra.principal, authenticator)
      // Browsers cannot set headers here: what they would be stands in the payload.
      extra.passedOn = passedOn({ ...extra.headers, ...payloadByName(connectionParams) }, deps.passOnHeaders)
      extra.place = deps.connections.enter(principalKey(extra.principal))
      if (!extra.gone.signal.aborted) return true
      extra.place[Symbol.dispose]()
    } catch (error) {
      if (isAppError(error, 'UNAUTHENTICATED')) close(extra, closeCodes.unauthorized)
      else if (isAppError(error, 'RATE_LIMITED') || isAppError(error, 'OVERLOADED')) {
        close(extra, closeCodes.tooManyConnections)
      } else {
        logger.warn({ error }, 'a WebSocket could not be authenticated')
        close(extra, closeCodes.internal)
      }
    }
    return false
  }

  async function onSubscribe(
    context: SocketContext,
    _id: string,
    payload: unknown,
  ): Promise<ExecutionArgs | GraphQLError[]> {
    const { principal, streams, gone } = context.extra
    const requestId = uuidv7()
    let opened: EventStream | undefined
    try {
      const loaded = deps.schema.get()
      if (loaded === undefined || principal === undefined)
        throw new AppError('OVERLOADED', 'The schema is not loaded yet.')
      const limit = limits.subscriptionsPerConnection
      if (Object.keys(context.subscriptions).length > limit) {
        throw new AppError('RATE_LIMITED', `A connection may have ${limit} operations at once.`, { details: { limit } })
      }
      const operation = parseOperation(payload)
      const position =
        isRecord(payload) && isRecord(payload['extensions']) ? payload['extensions']['position'] : undefined
      const started = await operations.start({
        operation,
        principal,
        requestId,
        position: typeof position === 'string' ? position : undefined,
        headers: context.extra.passedOn,
        gone: gone.signal,
        onEnd: () => {
          if (opened !== undefined) streams.delete(opened)
        },
      })
      if (started.kind === 'stream') {
        opened = started.events
        streams.add(opened)
      }
      const { query, operationName } = operation
      return {
        schema: loaded.api,
        document: documents.prepare(query),
        ...(operationName === undefined ? {} : { operationName }),
        contextValue: started,
      }
    } catch (error) {
      return formatAll(errors, error, requestId).map((shown) => {
        const wrapped = new GraphQLError(shown.message)
        formatted.set(wrapped, shown)
        return wrapped
      })
    }
  }

  function close(
    connection: Connection,
    { code, reason }: { code?: number | undefined; reason?: string | undefined },
  ): void {
    if (connection.socket.readyState !== connection.socket.OPEN) return
    connection.socket.close(code, reason)
    // Nothing is sent any more, whether or not the client answers.
    for (const stream of connection.streams) stream.end()
    setTimeout(() => connection.socket.terminate(), closeGraceMs).unref()
  }

  /** Malformed JSON ends the connection; JSON that would lose something is an error of the one operation it asks for. */
  function read(connection: Connection, data: RawData): string | undefined {
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
    try {
      scanJson(bytes, scanLimits(limits))
      return bytes.toString('utf8')
    } catch (error) {
      const id = subscribeId(bytes)
      if (id === undefined) {
        close(connection, closeCodes.badMessage)
      } else {
        const payload = formatAll(errors, error, uuidv7())
        void connection.outbox.send(JSON.stringify({ id, type: 'error', payload }))
      }
      return undefined
    }
  }

  function accept(socket: WebSocket, request: IncomingMessage, below: Duplex): void {
    const connection: Connection = {
      socket,
      headers: request.headers,
      outbox: createOutbox(socket, below),
      gone: new AbortController(),
      alive: true,
      streams: new Set(),
    }
    open.add(connection)
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: connection.outbox.send,
        close: (code, reason) => close(connection, { code, reason }),
        onMessage: (take) => {
          socket.on('message', (data) => {
            const text = read(connection, data)
            if (text === undefined) return
            take(text).catch((error: unknown) => {
              logger.error({ error }, 'a WebSocket message could not be handled')
              close(connection, closeCodes.internal)
            })
          })
        },
      },
      connection,
    )
    socket.on('pong', () => {
      connection.alive = true
    })
    socket.on('error', (error) => logger.debug({ error }, 'a WebSocket failed'))
    socket.once('close', (code, reason) => {
      open.delete(connection)
      connection.place?.[Symbol.dispose]()
      connection.gone.abort(clientGone())
      void closed(code, reason.toString())
    })
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [path] = (request.url ?? '').split('?')
    if (path !== graphqlPath) return refuse(socket, '404 Not Found')
    if (draining || open.size >= limits.connections) return refuse(socket, '503 Service Unavailable')
    wss.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, request, socket))
  }
  server.on('upgrade', upgrade)

  const keepAlive = setInterval(() => {
    for (const connection of open) {
      if (!connection.alive) connection.socket.terminate()
      connection.alive = false
      connection.socket.ping()
    }
  }, limits.keepAliveMs)
  const watch = setInterval(
    () => {
      for (const connection of open) {
        if (connection.outbox.stalledMs() > limits.slowClientMs) close(connection, closeCodes.slowConsumer)
      }
    },
    Math.min(1_000, limits.slowClientMs),
  )

  const stopListening = authenticator.onRevoked((keyId) => {
    for (const connection of open) {
      const { principal } = connection
      if (principal === undefined || principal.kind === 'anonymous' || principal.keyId !== keyId) continue
      for (const stream of connection.streams) stream.end(unauthenticated())
      // What the streams say in ending is sent first.
      setImmediate(() => close(connection, closeCodes.unauthorized))
    }
  })

  return {
    load() {
      let subscriptions = 0
      let bufferedBytes = 0
      for (const { socket, streams } of open) {
        subscriptions += streams.size
        bufferedBytes += socket.bufferedAmount
      }
      return { connections: open.size, subscriptions, bufferedBytes }
    },
    async drain() {
      draining = true
      stopListening()
      clearInterval(keepAlive)
      clearInterval(watch)
      server.off('upgrade', upgrade)
      const closing = [...open].map(
        (connection) =>
          new Promise<void>((resolve) => {
            connection.socket.once('close', () => resolve())
            close(connection, closeCodes.goingAway)
          }),
      )
      await Promise.all(closing)
    },
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** The id of the operation that a message asks for, where the message can be read at all. */
function subscribeId(bytes: Buffer): string | undefined {
  try {
    const message: unknown = JSON.parse(bytes.toString('utf8'))
    const id = isRecord(message) && message['type'] === 'subscribe' ? message['id'] : undefined
    return typeof id === 'string' && id !== '' ? id : undefined
  } catch {
    return undefined
  }
}
