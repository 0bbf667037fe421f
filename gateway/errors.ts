import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { AppError, type ErrorCode, errorCodes, isAppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

/**
 * The one place where anything thrown becomes what a client sees. Errors of ours and of GraphQL itself pass; everything
 * else was not written for clients and may hold SQL, paths or other companies' data: it is logged, and the client gets
 * INTERNAL_SERVER_ERROR with the request's id, by which the log line is found.
 */
export interface ErrorFormatter {
  format(error: unknown, requestId: string): GraphQLFormattedError
}

/** @param passForeign show errors of subgraphs that are not ours as they are; for supergraphs of the user's own */
export function createErrorFormatter(deps: { logger: Logger; passForeign?: boolean }): ErrorFormatter {
  const { logger, passForeign = false } = deps
  return {
    format(error, requestId) {
      const known = describe(error, passForeign)
      const place = error instanceof GraphQLError ? placeOf(error) : {}
      if (known !== undefined) return { message: known.message, ...place, extensions: known.extensions }
      logger.error({ requestId, error }, 'an operation failed with an error that clients are not shown')
      return {
        message: 'Something went wrong on the server. Its log names it by this request id.',
        ...place,
        extensions: { code: 'INTERNAL_SERVER_ERROR', requestId },
      }
    },
  }
}

/** The HTTP status of an answer without data. */
export function statusOf(errors: readonly GraphQLFormattedError[] | undefined): number {
  const code = errors?.[0]?.extensions?.['code']
  return isKnownCode(code) ? errorCodes[code].status : 500
}

/** Waiting times are told as the header that HTTP has for it, too. */
export function retryAfterOf(errors: readonly GraphQLFormattedError[] | undefined): string | undefined {
  const ms = errors?.[0]?.extensions?.['retryAfterMs']
  return typeof ms === 'number' ? String(Math.max(1, Math.ceil(ms / 1000))) : undefined
}

type WithExtensions = GraphQLError | GraphQLFormattedError

interface Known {
  readonly message: string
  readonly extensions: Record<string, unknown>
}

/**
 * Errors are wrapped on their way (resolver, subgraph, gateway, Apollo Server): an error of ours anywhere inside says most;
 * else the outermost code that clients know counts.
 */
function describe(error: unknown, passForeign: boolean): Known | undefined {
  let coded: WithExtensions | undefined
  let inner = error
  for (let depth = 0; depth < 10; depth++) {
    if (isAppError(inner)) {
      const { code, retryable, details } = inner
      return { message: inner.message, extensions: { code, retryable, ...details } }
    }
    if (inner instanceof GraphQLError || isFormatted(inner)) {
      const code = inner.extensions?.['code']
      // INTERNAL_SERVER_ERROR is also what Apollo Server calls anything without a code.
      if (isKnownCode(code) && code !== 'INTERNAL_SERVER_ERROR') coded ??= inner
      // What Apollo Server refuses before it looks at the document has a status of HTTP, and not always a code.
      else if (code === undefined && refusesRequest(inner)) coded ??= badRequest(inner)
    }
    if (!(inner instanceof GraphQLError) || inner.originalError == null) break
    inner = inner.originalError
  }
  if (coded !== undefined) return shown(coded)
  if (!passForeign || !(error instanceof GraphQLError || isFormatted(error))) return undefined
  return shown(error)
}

function shown(error: WithExtensions): Known {
  const { http: _http, stacktrace: _stacktrace, exception: _exception, ...extensions } = error.extensions ?? {}
  const code = extensions['code']
  const retryable = isKnownCode(code) ? { retryable: errorCodes[code].retry } : {}
  return { message: error.message, extensions: { code: 'INTERNAL_SERVER_ERROR', ...extensions, ...retryable } }
}

function refusesRequest({ extensions }: WithExtensions): boolean {
  const http = extensions?.['http']
  return typeof http === 'object' && http !== null && 'status' in http && http.status === 400
}

function badRequest({ message, extensions }: WithExtensions): GraphQLFormattedError {
  return { message, extensions: { ...extensions, code: 'BAD_REQUEST' } }
}

function placeOf(error: GraphQLError): Pick<GraphQLFormattedError, 'locations' | 'path'> {
  const { locations, path } = error
  return { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) }
}

function isFormatted(value: unknown): value is GraphQLFormattedError {
  return typeof value === 'object' && value !== null && !(value instanceof Error) && 'message' in value
}

function isKnownCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
}

export function clientGone(): AppError {
  return new AppError('CANCELLED', 'The client went away.')
}
