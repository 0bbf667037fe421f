/** Limits of the pool of one server. A process holds one pool per server (each shard's primary and replicas, the catalog). */
export interface PoolOptions {
  /** Connections open at once, at most. */
  readonly max: number
  /** Kept open while idle. */
  readonly min: number
  /** An idle connection over `min` is closed after this. */
  readonly idleMs: number
  /** A connection is replaced after this long, give or take a fifth, so that a pool does not reconnect all at once. */
  readonly lifetimeMs: number
  /** Postgres' `statement_timeout`: the statement fails with DEADLINE_EXCEEDED. */
  readonly statementTimeoutMs: number
  /** Postgres' `lock_timeout`: the statement fails with OVERLOADED. */
  readonly lockTimeoutMs: number
  /**
   * A server that has not accepted a connection by then counts as down. Long: one that is gone refuses at once, and one
   * that has much to do is not gone.
   */
  readonly connectTimeoutMs: number
  /** Wait for a free connection, at most; then OVERLOADED. */
  readonly waitTimeoutMs: number
  /** Callers that may wait at once; one more is refused with OVERLOADED at once. */
  readonly maxWaiting: number
}

/** `POOL_PROFILE` chooses one. The limits are per server and process: mind Postgres' `max_connections`. */
export const poolProfiles = {
  /** Many connections and a long queue: the most work done, at the price of waiting. */
  'high-throughput': {
    max: 24,
    min: 2,
    idleMs: 60_000,
    lifetimeMs: 30 * 60_000,
    statementTimeoutMs: 30_000,
    lockTimeoutMs: 5_000,
    connectTimeoutMs: 10_000,
    waitTimeoutMs: 10_000,
    maxWaiting: 2_000,
  },
  /** Warm connections and a short queue: who cannot be served soon is told so at once. */
  'low-latency': {
    max: 16,
    min: 4,
    idleMs: 5 * 60_000,
    lifetimeMs: 30 * 60_000,
    statementTimeoutMs: 5_000,
    lockTimeoutMs: 1_000,
    connectTimeoutMs: 5_000,
    waitTimeoutMs: 500,
    maxWaiting: 200,
  },
  /** For the embedded servers on a small machine: a connection costs Postgres 2 to 10 MB. */
  'memory-constrained': {
    max: 6,
    min: 0,
    idleMs: 10_000,
    lifetimeMs: 10 * 60_000,
    statementTimeoutMs: 15_000,
    lockTimeoutMs: 3_000,
    connectTimeoutMs: 10_000,
    waitTimeoutMs: 5_000,
    maxWaiting: 500,
  },
} as const satisfies Record<string, PoolOptions>

export type PoolProfile = keyof typeof poolProfiles
