/**
 * Every code a client may see, with the HTTP status of an answer that carries no data and whether the same call may
 * succeed later unchanged. Codes are part of the public contract: add, never rename. `docs/errors.md` lists them.
 */
export const errorCodes = {
  // the request
  BAD_REQUEST: { status: 400, retry: false },
  BAD_USER_INPUT: { status: 400, retry: false },
  GRAPHQL_PARSE_FAILED: { status: 400, retry: false },
  GRAPHQL_VALIDATION_FAILED: { status: 400, retry: false },
  OPERATION_RESOLUTION_FAILURE: { status: 400, retry: false },
  INTROSPECTION_DISABLED: { status: 403, retry: false },
  PERSISTED_QUERY_NOT_FOUND: { status: 200, retry: false },
  INVALID_ID: { status: 400, retry: false },
  INVALID_CURSOR: { status: 400, retry: false },
  INVALID_POSITION: { status: 400, retry: false },
  LIST_TOO_LONG: { status: 400, retry: false },
  QUERY_TOO_LARGE: { status: 400, retry: false },
  QUERY_TOO_COMPLEX: { status: 400, retry: false },
  PLANNING_FAILED: { status: 400, retry: false },
  PAYLOAD_TOO_LARGE: { status: 413, retry: false },
  // JSON that would lose something when parsed
  JSON_SYNTAX: { status: 400, retry: false },
  JSON_INVALID_UTF8: { status: 400, retry: false },
  JSON_BYTE_ORDER_MARK: { status: 400, retry: false },
  JSON_DUPLICATE_KEY: { status: 400, retry: false },
  JSON_LONE_SURROGATE: { status: 400, retry: false },
  JSON_NUL_CHARACTER: { status: 400, retry: false },
  JSON_NUMBER_PRECISION: { status: 400, retry: false },
  JSON_TOO_DEEP: { status: 400, retry: false },
  // who asks
  UNAUTHENTICATED: { status: 401, retry: false },
  FORBIDDEN: { status: 403, retry: false },
  // the state of things
  NOT_FOUND: { status: 404, retry: false },
  ALREADY_EXISTS: { status: 409, retry: false },
  INVALID_TRANSITION: { status: 409, retry: false },
  VERSION_CONFLICT: { status: 409, retry: false },
  IDEMPOTENCY_CONFLICT: { status: 409, retry: false },
  SCHEMA_VIOLATION: { status: 422, retry: false },
  CURSOR_EXPIRED: { status: 410, retry: false },
  // the servers
  RATE_LIMITED: { status: 429, retry: true },
  SLOW_CONSUMER: { status: 503, retry: true },
  OVERLOADED: { status: 503, retry: true },
  SHARD_UNAVAILABLE: { status: 503, retry: true },
  CATALOG_UNAVAILABLE: { status: 503, retry: true },
  SUBGRAPH_UNAVAILABLE: { status: 503, retry: true },
  DELIVERY_FAILED: { status: 502, retry: true },
  STALE_EPOCH: { status: 503, retry: true },
  SHUTTING_DOWN: { status: 503, retry: true },
  DEADLINE_EXCEEDED: { status: 504, retry: true },
  CANCELLED: { status: 499, retry: true },
  // found out, not asked for
  LEDGER_CORRUPT: { status: 500, retry: false },
  INTERNAL_SERVER_ERROR: { status: 500, retry: false },
  // start-up and the command line
  CONFIG_INVALID: { status: 500, retry: false },
} as const satisfies Record<string, { status: number; retry: boolean }>

export type ErrorCode = keyof typeof errorCodes

/**
 * The one exception type of the project. `message` is shown to clients and MUST hold no SQL, no path of the server and
 * nothing of another company; `cause` is logged, never shown; `details` is shown as `extensions`.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.details = options.details ?? {}
  }

  get retryable(): boolean {
    return errorCodes[this.code].retry
  }
}

/** The one form of this refusal: `extensions.limit` says how many there may be. */
export function listTooLong(message: string, limit: number, details: Readonly<Record<string, unknown>> = {}): AppError {
  return new AppError('LIST_TOO_LONG', message, { details: { ...details, limit } })
}

/** Narrows anything thrown; with a code, only errors of that code. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
