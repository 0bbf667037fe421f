import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { GraphQLFormattedError } from 'graphql'
import { AppError } from '../../core/errors.ts'
import { InvalidDocument } from '../documents.ts'
import { type ErrorFormatter, retryAfterOf, statusOf } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'

/** Answers with errors in GraphQL's form, and with the status of the first. */
export function sendError(
  reply: FastifyReply,
  errors: ErrorFormatter,
  error: unknown,
  requestId: string,
): FastifyReply {
  return sendFormatted(reply, formatAll(errors, error, requestId))
}

export function sendFormatted(reply: FastifyReply, shown: readonly GraphQLFormattedError[]): FastifyReply {
  const retryAfter = retryAfterOf(shown)
  const status = shown[0]?.extensions?.['httpStatus']
  void reply.code(typeof status === 'number' ? status : statusOf(shown))
  void reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store')
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter)
  if (statusOf(shown) === 401) void reply.header('www-authenticate', 'Bearer')
  return reply.send(`${JSON.stringify({ errors: shown })}\n`)
}

/** What a server answers where a route threw, and where there is none. @param elsewhere says what there is instead */
export function addErrorHandlers(app: FastifyInstance, errors: ErrorFormatter, elsewhere: string): void {
  app.setErrorHandler((error, request, reply) =>
    sendError(reply, errors, ofFastify(error), requestIdOf(request.headers['ledgerway-request-id'])),
  )
  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsAt(app, request.url)
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    const error =
      allowed.length > 0
        ? new AppError('BAD_REQUEST', `This address takes ${allowed.join(' and ')}.`, { details: { httpStatus: 405 } })
        : new AppError('NOT_FOUND', `There is nothing at this address${elsewhere}`)
    return sendError(reply, errors, error, requestIdOf(request.headers['ledgerway-request-id']))
  })
}

/** Answers what is no HTTP request, or never became one, as everything else that is refused; the connection then ends. */
export function refuseBadRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? (['431 Request Header Fields Too Large', 'The headers are larger than this server takes.'] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? (['408 Request Timeout', 'The request did not arrive in time.'] as const)
        : (['400 Bad Request', 'This is not a request of HTTP.'] as const)
  const body = JSON.stringify({ errors: [{ message, extensions: { code: 'BAD_REQUEST', retryable: false } }] })
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `cache-control: no-store\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** A second `host` is for somebody else on the way to read otherwise than we do. */
export function refuseSecondHosts(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => {
    const hosts = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
    if (hosts.length > 1) throw new AppError('BAD_REQUEST', 'A request has one "host".')
  })
}

/** What may be asked of an address; nothing where there is none. */
function methodsAt(app: FastifyInstance, address: string): readonly string[] {
  const [url = ''] = address.split('?')
  return ['GET', 'POST'].filter((method) => app.hasRoute({ method, url }))
}

/** Anything thrown, as the errors of one answer. */
export function formatAll(errors: ErrorFormatter, error: unknown, requestId: string): GraphQLFormattedError[] {
  const all = error instanceof InvalidDocument ? error.errors : [error]
  return all.map((each) => errors.format(each, requestId))
}

/** What Fastify itself refuses. */
export function ofFastify(error: unknown): unknown {
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new AppError('PAYLOAD_TOO_LARGE', 'The body is larger than the limit of this server.', { cause: error })
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('BAD_REQUEST', 'The request is not one this server understands.', {
      cause: error,
      details: { httpStatus: statusCode },
    })
  }
  return error
}
