import { AppError, isAppError } from '../../core/errors.ts'

/** Raised by our own SQL where a company is not (any longer) on this shard. */
const staleEpochState = 'LW001'

/** What a failed statement or connection means to the caller of the store. */
export type Failure =
  /** The server cannot be used: refused, gone, starting up, read-only. */
  | 'unavailable'
  /** It answers, and has no room to write. */
  | 'full'
  /** It can, but not now: too many connections, a lock not got. */
  | 'overloaded'
  /** A deadlock or serialization failure: run the transaction again. */
  | 'retry'
  /** Postgres stopped the statement: its own time limit, or we asked it to. */
  | 'cancelled'
  /** The company is not on this shard. */
  | 'stale'
  /** The statement's own: a constraint, a syntax error. */
  | 'statement'

const byState: Record<string, Failure> = {
  '40001': 'retry',
  '40P01': 'retry',
  '55P03': 'overloaded',
  '53300': 'overloaded',
  '53200': 'overloaded',
  '53100': 'full',
  '57014': 'cancelled',
  '57P01': 'unavailable',
  '57P02': 'unavailable',
  '57P03': 'unavailable',
  '57P05': 'unavailable',
  // What a demoted primary, or a replica taken for one, says to a write.
  '25006': 'unavailable',
  '3D000': 'unavailable',
  '28000': 'unavailable',
  '28P01': 'unavailable',
  [staleEpochState]: 'stale',
}

const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ENOENT',
])

export function failureOf(error: unknown): Failure {
  const code = sqlState(error)
  if (code === undefined) return 'statement'
  return byState[code] ?? (connectionCodes.has(code) || code.startsWith('08') ? 'unavailable' : 'statement')
}

export function sqlState(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/** Errors of the server as the coded errors of the store; the statement's own errors stay as they are, for `fn` to catch. */
export function translate(error: unknown, server: string): unknown {
  if (isAppError(error)) return error
  switch (failureOf(error)) {
    case 'unavailable':
      return unavailable(server, error)
    case 'full':
      return unavailable(server, error, 'has no room to write')
    case 'overloaded':
      return new AppError('OVERLOADED', 'Too much is waiting for the same data. Try again.', { cause: error })
    case 'cancelled':
      return new AppError('DEADLINE_EXCEEDED', 'A statement took longer than its limit.', { cause: error })
    case 'stale':
      return new AppError('STALE_EPOCH', 'The company has moved to another shard.', { cause: error })
    case 'retry':
    case 'statement':
    default:
      return error
  }
}

/** `server` is a shard's name, or `catalog`. */
export function unavailable(server: string, cause?: unknown, what = 'cannot be reached'): AppError {
  return server === 'catalog'
    ? new AppError('CATALOG_UNAVAILABLE', `The catalog ${what}.`, { cause })
    : new AppError('SHARD_UNAVAILABLE', `The shard "${server}" ${what}.`, {
        cause,
        details: { shard: server },
      })
}
