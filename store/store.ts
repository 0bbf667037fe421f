import type { Sql, TransactionSql } from 'postgres'
import type { AppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { PositionToken } from '../core/position.ts'
import type { PoolStats } from './pool/pool.ts'

/** What one read or write carries down from the request it serves. Every field is optional: jobs have no client. */
export interface StoreScope {
  readonly signal?: AbortSignal
  /** Unix milliseconds. */
  readonly deadlineMs?: number
  /** Instead of the pool's limit for a statement, in transactions: for work on all rows of a company at once. */
  readonly statementLimitMs?: number
  /** Reads see at least this state, through replicas too. */
  readonly position?: PositionToken
  /** Called once for every SQL statement sent, transaction control not counted. */
  readonly onStatement?: (shard: ShardId | 'catalog') => void
}

/**
 * A connection or pool of one shard's database, as postgres.js gives it: `bigint` columns arrive as numbers, `bytea` as
 * Buffer, `json` as text never parsed by accident. Every statement sent through it is counted.
 */
export type ShardSql = Sql
export type ShardTx = TransactionSql

/** One shard's part of an answer. A failed shard is a value, so that the others' parts are still there. */
export type ShardResult<T> = { ok: true; shard: ShardId; value: T } | { ok: false; shard: ShardId; error: AppError }

export type KeyedShardResult<T> = ShardResult<T> & { readonly companyIds: readonly CompanyId[] }

export interface ServerStats extends PoolStats {
  readonly shard: ShardId | 'catalog'
  /** `primary`, or `replica-1` and so on in the order of the configuration. */
  readonly server: string
  /** How far a replica is behind its primary, infinite while unknown; 0 for a primary. */
  readonly lagMs: number
  /** It believes itself to be a primary, and the directory names another: it takes neither reads nor writes. */
  readonly formerPrimary: boolean
  /** Whether work is sent there: the server is up and, for a replica, a standby that lags less than the limit. */
  readonly inRotation: boolean
}

/** Companies' data, spread over shards by company id. Statements MUST name `company_id`, so that they stay on one shard. */
export interface Store extends AsyncDisposable {
  /** In the operator's order. */
  readonly shards: readonly ShardId[]
  /** The deployment's name, fixed at its first start: the first half of every ledger's origin. */
  readonly deployment: string
  /** Under geographic placement those that a company's id may begin with; else none. */
  readonly regions: readonly string[]
  /** Version of the directory this process holds. */
  epoch(): number
  shardOf(companyId: CompanyId): ShardId
  /** Asks the catalog for a newer directory: when the bus says so, or another process has seen a later epoch. */
  refresh(): Promise<void>
  /**
   * Refuses (STALE_EPOCH, then retried by `transact`) unless the company belongs on this shard, and keeps it there until
   * the transaction ends. For creations and for writes that append nothing to the ledger; an append does the same itself.
   */
  claim(tx: ShardTx, companyId: CompanyId): Promise<void>
  /** A pooled client of the catalog, for API keys, quotas and the signer. Fails with CATALOG_UNAVAILABLE. */
  readonly catalog: Sql
  /** One entry per server: each shard's primary and replicas, and the catalog. */
  poolStats(): readonly ServerStats[]
  /** Asks every replica now how far it is, for who has just begun; one that does not answer within 2 s stays unknown. */
  observe(): Promise<void>
  /** Groups the ids by shard and runs `fn` once per shard, all at once, on a replica where that is fresh enough. */
  read<T>(
    companyIds: readonly CompanyId[],
    fn: (sql: ShardSql, companyIds: readonly CompanyId[], shard: ShardId) => Promise<T>,
    scope?: StoreScope,
  ): Promise<KeyedShardResult<T>[]>
  /** One company's shard. @throws AppError SHARD_UNAVAILABLE */
  readOne<T>(companyId: CompanyId, fn: (sql: ShardSql, shard: ShardId) => Promise<T>, scope?: StoreScope): Promise<T>
  /** Every shard at once; for reads. With `whole`, the first failure cancels what the others are still at. */
  broadcast<T>(
    fn: (sql: ShardSql, shard: ShardId) => Promise<T>,
    scope?: StoreScope,
    options?: { readonly whole?: boolean },
  ): Promise<ShardResult<T>[]>
  /** A named shard's primary, without a transaction: for workers. @throws AppError SHARD_UNAVAILABLE */
  onPrimary<T>(shard: ShardId, fn: (sql: ShardSql) => Promise<T>, scope?: StoreScope): Promise<T>
  /**
   * One transaction on the company's primary. Deadlocks and serialization failures are retried, so `fn` MUST be safe to
   * run again. The position covers the commit. @throws AppError SHARD_UNAVAILABLE
   */
  transact<T>(
    companyId: CompanyId,
    fn: (tx: ShardTx, shard: ShardId) => Promise<T>,
    scope?: StoreScope,
  ): Promise<{ value: T; position: PositionToken }>
}
