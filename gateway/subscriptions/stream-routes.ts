import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Tickets } from '../../access/tickets.ts'
import { unauthenticated } from '../../access/rights.ts'
import { AppError, isAppError } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import type { Principal } from '../../core/request.ts'
import type { Admission } from '../admission.ts'
import { positionHeader } from '../apollo.ts'
import { answerText } from '../answer-text.ts'
import { type Authenticator, keyInHeaders, mustBeKnown, principalKey, principalOf } from '../credentials.ts'
import { clientGone, type ErrorFormatter } from '../errors.ts'
import { checkSearch, type OperationRequest, parseOperation, readBody } from '../http/body.ts'
import { formatAll, sendError, sendFormatted } from '../http/send-error.ts'
import type { GatewayLimits } from '../limits.ts'
import type { Operations, Started } from '../operations.ts'
import { passedOn, requestIdOf } from '../request-scope.ts'
import type { ConnectionLoad } from './socket-server.ts'

/**
 * Operations as event streams: graphql-sse's "distinct connections" protocol, with event ids. The id of an event is its
 * cursor, so that a browser which reconnects by itself resumes; for a stream opened by a ticket, `~` and the stream's
 * resume token follow, since the ticket itself is used up.
 */
export interface StreamRoutes {
  /** Ends the open streams; their clients connect again elsewhere and resume. */
  drain(): Promise<void>
  load(): ConnectionLoad
}

interface Open {
  readonly raw: ServerResponse
  readonly principal: Principal
  end(reason: AppError): void
  readonly done: Promise<void>
}

/** Separates the cursor from the resume token; in neither. */
const separator = '~'
/** How long a browser waits before it connects again. */
const retryMs = 1_000
/** How often an open stream keeps its resume token from expiring. */
const renewMs = 600_000

export function addStreamRoutes(
  app: FastifyInstance,
  deps: {
    operations: Operations
    authenticator: Authenticator
    tickets: Tickets
    connections: Admission
    errors: ErrorFormatter
    passOnHeaders: readonly string[]
    limits: GatewayLimits
  },
): StreamRoutes {
  const { operations, authenticator, tickets, connections, errors, limits } = deps
  const open = new Set<Open>()
  const stopListening = authenticator.onRevoked((keyId) => {
    for (const stream of open) {
      if (stream.principal.kind !== 'anonymous' && stream.principal.keyId === keyId) stream.end(unauthenticated())
    }
  })

  app.route({ method: ['GET', 'POST'], url: '/graphql/stream', handler: handle })

  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const requestId = requestIdOf(request.headers['ledgerway-request-id'])
    void reply.header('ledgerway-request-id', requestId)
    try {
      const operation = operationOf(request, limits)
      const last = lastEventIdOf(request.headers['last-event-id'])
      const { principal, resumeToken, renew } = await authenticate(request, last.resumeToken)
      const place = connections.enter(principalKey(principal))
      const gone = new AbortController()
      reply.raw.once('close', () => {
        place[Symbol.dispose]()
        gone.abort(clientGone())
      })
      const started = await operations.start({
        operation,
        principal,
        requestId,
        position: textOf(request.headers[positionHeader]),
        headers: passedOn(request.headers, deps.passOnHeaders),
        ...(last.cursor === '' ? {} : { resumeFrom: last.cursor }),
        gone: gone.signal,
        readOnly: request.method === 'GET',
      })
      if (started.kind === 'single' && started.result.data == null && started.result.errors !== undefined) {
        return sendFormatted(reply, started.result.errors)
      }
      if (gone.signal.aborted) {
        if (started.kind === 'stream') started.events.end()
        return reply
      }
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      })
      const idOf = (cursor: string | undefined): string => eventId(cursor, resumeToken)
      // The id comes before any event: also a stream that has seen none can be taken up again.
      raw.write(`retry: ${retryMs}\n${idOf(last.cursor)}:\n\n`)
      const renewing = setInterval(() => renew?.(), renewMs)
      await serve(started, principal, raw, gone.signal, idOf, requestId).finally(() => clearInterval(renewing))
      raw.end()
      return reply
    } catch (error) {
      return reply.raw.headersSent ? reply : sendError(reply, errors, error, requestId)
    }
  }

  /** A ticket counts before headers: who sends one means it. */
  async function authenticate(
    request: FastifyRequest,
    resumeToken: string | undefined,
  ): Promise<{ principal: Principal; resumeToken?: string; renew?: () => void }> {
    const ticket = textOf((request.query as Record<string, unknown>)['ticket'])
    if (ticket === undefined) {
      const principal = await principalOf(authenticator, keyInHeaders(request.headers))
      mustBeKnown(principal, authenticator)
      return { principal }
    }
    const opened =
      resumeToken === undefined
        ? await tickets.redeem(ticket)
        : { principal: await tickets.resume(ticket, resumeToken), resumeToken }
    const { principal } = opened
    if (principal.kind !== 'anonymous' && !authenticator.valid(principal.keyId)) throw unauthenticated()
    // A store that is down now may be up when the token is needed.
    const renew = (): void => void tickets.resume(ticket, opened.resumeToken).catch(() => {})
    return { ...opened, renew }
  }

  async function serve(
    started: Started,
    principal: Principal,
    raw: ServerResponse,
    gone: AbortSignal,
    idOf: (cursor: string | undefined) => string,
    requestId: string,
  ): Promise<void> {
    if (started.kind === 'single') {
      raw.write(event('next', answerText(started.result)))
      raw.write(event('complete', ''))
      return
    }
    const { events } = started
    const finished = Promise.withResolvers<void>()
    const entry: Open = { raw, principal, end: (reason) => events.end(reason), done: finished.promise }
    open.add(entry)
    const onClose = (): void => events.end()
    raw.once('close', onClose)
    const keepAlive = setInterval(() => raw.write(':\n\n'), limits.keepAliveMs)
    try {
      for await (const result of events) {
        const text = answerText(started.format(result))
        await taken(raw, `${idOf(started.cursorOf(result))}${event('next', text)}`, gone, limits.slowClientMs)
      }
      raw.write(event('complete', ''))
    } catch (error) {
      if (isAppError(error, 'SLOW_CONSUMER')) {
        raw.destroy()
      } else {
        // No `complete` where the client is to come back: EventSource then connects again and resumes.
        raw.write(event('next', JSON.stringify({ errors: formatAll(errors, error, requestId) })))
        if (!isAppError(error, 'SHUTTING_DOWN')) raw.write(event('complete', ''))
      }
    } finally {
      clearInterval(keepAlive)
      raw.off('close', onClose)
      events.end()
      open.delete(entry)
      finished.resolve()
    }
  }

  return {
    load() {
      let bufferedBytes = 0
      for (const { raw } of open) bufferedBytes += raw.writableLength
      return { connections: open.size, subscriptions: open.size, bufferedBytes }
    },
    async drain() {
      stopListening()
      const all = [...open]
      for (const stream of all) {
        stream.end(new AppError('SHUTTING_DOWN', 'The server stops: connect again and resume.'))
      }
      await Promise.all(all.map(({ done }) => done))
    },
  }
}

function operationOf(request: FastifyRequest, limits: GatewayLimits): OperationRequest {
  if (request.method === 'POST') {
    return parseOperation(readBody(request.headers, request.body, limits))
  }
  checkSearch(request.url.slice(request.url.indexOf('?')), limits)
  const { query, operationName, variables } = request.query as Record<string, unknown>
  return parseOperation({
    query,
    ...(textOf(operationName) === undefined ? {} : { operationName }),
    ...(typeof variables === 'string' && variables !== '' ? { variables: parseJsonText(variables) } : {}),
  })
}

function lastEventIdOf(header: string | string[] | undefined): { cursor: string; resumeToken?: string } {
  const text = textOf(header) ?? ''
  const at = text.lastIndexOf(separator)
  return at < 0 ? { cursor: text } : { cursor: text.slice(0, at), resumeToken: text.slice(at + 1) }
}

function eventId(cursor: string | undefined, resumeToken: string | undefined): string {
  if (resumeToken !== undefined) return `id: ${cursor ?? ''}${separator}${resumeToken}\n`
  return cursor === undefined || cursor === '' ? '' : `id: ${cursor}\n`
}

/** JSON text has no line breaks outside of strings, where they are escaped. */
function event(name: 'next' | 'complete', data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`
}

/** Writes, and waits until the network has taken it. @throws AppError SLOW_CONSUMER after `slowMs` */
function taken(raw: ServerResponse, text: string, gone: AbortSignal, slowMs: number): Promise<void> {
  if (gone.aborted || raw.write(text)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      raw.off('drain', go).off('close', go)
      act()
    }
    const go = (): void => settle(resolve)
    const slow = (): void => settle(() => reject(new AppError('SLOW_CONSUMER', 'Events were not taken in time.')))
    const timer = setTimeout(slow, slowMs)
    raw.once('drain', go).once('close', go)
  })
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
