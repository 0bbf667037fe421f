import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { AppError, type ErrorCode } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

/**
 * What a subgraph says of an error, the same in process and over HTTP: an `AppError` with its code and details, graphql's
 * own errors with a code, and nothing of anything else, which is logged under the request's id instead.
 */
export function presentError(
  error: GraphQLError,
  log: { logger: Logger; requestId: string },
  fallback: ErrorCode = 'BAD_USER_INPUT',
): GraphQLError {
  const cause = appErrorIn(error)
  const place = {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    path: error.path ?? null,
  }
  if (cause !== undefined) {
    if (cause.cause !== undefined) {
      log.logger.warn({ requestId: log.requestId, code: cause.code, error: cause.cause }, 'a resolver failed')
    }
    return new GraphQLError(cause.message, { ...place, extensions: { ...cause.details, code: cause.code } })
  }
  // Without an original error it is graphql itself that speaks, of the query and not of the data.
  if (error.originalError == null || error.originalError instanceof GraphQLError) {
    const extensions = { ...error.extensions, code: error.extensions['code'] ?? fallback }
    return new GraphQLError(error.message, { ...place, extensions })
  }
  log.logger.error({ requestId: log.requestId, error: error.originalError }, 'a resolver broke')
  return new GraphQLError('Internal server error', { ...place, extensions: { code: 'INTERNAL_SERVER_ERROR' } })
}

/** For answers without a result: what is thrown before or beside execution. */
export function presentFailure(failure: unknown, log: { logger: Logger; requestId: string }): GraphQLFormattedError {
  const error = failure instanceof GraphQLError ? failure : new GraphQLError('', { originalError: asError(failure) })
  return presentError(error, log).toJSON()
}

/** graphql wraps what a resolver or a scalar throws, sometimes twice. */
function appErrorIn(error: Error): AppError | undefined {
  let inner: unknown = error
  for (let depth = 0; depth < 5 && inner instanceof GraphQLError; depth++) inner = inner.originalError
  return inner instanceof AppError ? inner : undefined
}

function asError(failure: unknown): Error {
  return failure instanceof Error ? failure : new Error('not an error', { cause: failure })
}
