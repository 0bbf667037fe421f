import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, type Clock } from '../core/clock.ts'
import { AppError, isAppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { untilCatalogAnswers } from '../core/patience.ts'
import { parseLsn } from '../core/position.ts'
import { initializeDirectory, loadDirectory, loadEpoch, locate, type Directory } from './directory.ts'
import { migrateDatabase } from './migrate.ts'
import { defaultPlacement, type PlacementConfig } from './placement/create-strategy.ts'
import { failureOf, translate, unavailable } from './pool/errors.ts'
import { createGuard, type Guard } from './pool/guard.ts'
import type { PoolOptions } from './pool/options.ts'
import { createPool, type Pool } from './pool/pool.ts'
import { inTransaction, pooledSql } from './pool/sql.ts'
import { prepareShard } from './prepare-shard.ts'
import type { ShardConfig } from './shard-config.ts'
import { serverKey } from './server-key.ts'
import { createShardServers, defaultReplicaOptions, type ReplicaOptions } from './shard-servers.ts'
import type { KeyedShardResult, ShardResult, ShardSql, ShardTx, Store, StoreScope } from './store.ts'

export interface StoreDeps {
  readonly shards: readonly ShardConfig[]
  readonly catalogUrl: string
  readonly pool: PoolOptions
  /** Limits that differ for a shard, or for the catalog (which has few connections unless told otherwise). */
  readonly poolOf?: (server: ShardId | 'catalog') => Partial<PoolOptions>
  /** The name that every ledger's origin begins with; fixed at the first start. */
  readonly deployment: string
  /** Fixed at the first start; when absent, what the deployment was started with. */
  readonly placement?: PlacementConfig
  readonly replicas?: ReplicaOptions
  /** How often the catalog is asked whether the directory changed; `refresh` asks at once. */
  readonly directoryPollMs?: number
  /** How long a start waits for the catalog. */
  readonly catalogPatienceMs?: number
  readonly logger: Logger
  readonly clock?: Clock
}

const catalogLimits = { max: 4, min: 0 }
/** How long a write waits for a move of its company to end. */
const staleLimitMs = 5_000
const conflictRetries = 6
const prepareRetryMs = 500
const refreshLimitMs = 3_000
const refreshWaitMs = 250
const prepareRetryLongestMs = 60_000

/**
 * Opens the store. The catalog and every shard that can be reached are migrated first; a shard that cannot is prepared
 * when it returns, and answers SHARD_UNAVAILABLE until then.
 * @throws AppError CATALOG_UNAVAILABLE | CONFIG_INVALID
 */
export async function createStore(deps: StoreDeps): Promise<Store> {
  const { logger, clock = systemClock, directoryPollMs = 1_000 } = deps
  await using opened = new AsyncDisposableStack()
  const configs = new Map(deps.shards.map((config) => [config.name, config]))
  const limits = (server: ShardId | 'catalog'): PoolOptions => ({ ...deps.pool, ...deps.poolOf?.(server) })

  const catalogPool = opened.use(
    createPool({
      url: deps.catalogUrl,
      server: 'catalog',
      options: { ...deps.pool, ...catalogLimits, ...deps.poolOf?.('catalog') },
      logger,
    }),
  )
  const forever = createGuard({}, clock)
  const unscoped = (pool: Pool): ShardSql => pooledSql({ pool, guard: forever, onStatement() {} })
  const catalog = unscoped(catalogPool)

  const openDirectory = async (): Promise<Directory> => {
    await migrateDatabase({ url: deps.catalogUrl, kind: 'catalog', server: 'catalog', logger })
    await initializeDirectory(
      catalog,
      { deployment: deps.deployment, placement: deps.placement, shards: deps.shards },
      defaultPlacement,
    )
    return loadDirectory(catalog)
  }
  let directory = await untilCatalogAnswers(openDirectory, { logger, patienceMs: deps.catalogPatienceMs })

  const servers = new Map(
    deps.shards.map((config) => [
      config.name,
      opened.use(
        createShardServers({
          config,
          pool: limits(config.name),
          replicas: deps.replicas ?? defaultReplicaOptions,
          deployment: directory.deployment,
          clock,
          logger,
        }),
      ),
    ]),
  )
  const serversOf = (shard: ShardId) => {
    const found = servers.get(shard)
    if (found === undefined) throw new AppError('NOT_FOUND', `There is no shard "${shard}".`)
    return found
  }
  const applyRoles = (): void => {
    for (const [id, shard] of directory.shards) servers.get(id)?.setPrimary(shard)
  }
  applyRoles()

  // A shard takes no work before it is prepared; one that is down is tried again until it is back.
  const unprepared = new Map<ShardId, AppError>()
  const stopping = new AbortController()
  async function prepare(shard: ShardId): Promise<void> {
    const config = configs.get(shard)
    if (config === undefined) return
    const primaryKey = directory.shards.get(shard)?.primaryServer
    const url =
      [config.primaryUrl, ...config.replicaUrls].find((candidate) => serverKey(candidate) === primaryKey) ??
      config.primaryUrl
    await migrateDatabase({ url, kind: 'shard', server: shard, logger })
    await prepareShard(unscoped(serversOf(shard).primary()), shard, directory)
    unprepared.delete(shard)
  }
  const latePreparations: Promise<void>[] = []
  async function prepareLater(shard: ShardId): Promise<void> {
    for (let delayMs = prepareRetryMs; ;) {
      await sleep(delayMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
      if (stopping.signal.aborted) return
      try {
        await prepare(shard)
        logger.info({ shard }, 'the shard has returned and is up to date')
        return
      } catch (error) {
        if (isAppError(error, 'SHARD_UNAVAILABLE')) continue
        // It is there, and cannot be used as it is: somebody has to look, and once it is mended it is used without a restart.
        logger.error({ shard, error }, 'the shard has returned and stays out of use')
        unprepared.set(shard, unavailable(shard, error, 'stays out of use'))
        delayMs = Math.min(delayMs * 2, prepareRetryLongestMs)
      }
    }
  }
  await Promise.all(
    deps.shards.map(async ({ name }) => {
      try {
        await prepare(name)
      } catch (error) {
        const known = translate(error, name)
        if (!isAppError(known) || !known.retryable) throw error
        logger.warn({ shard: name }, 'the shard is down: it is prepared when it returns')
        unprepared.set(name, known)
        latePreparations.push(prepareLater(name))
      }
    }),
  )

  async function reload(): Promise<void> {
    // A catalog that is silent must not keep later calls from asking again.
    using guard = createGuard({ deadlineMs: clock.now() + refreshLimitMs }, clock)
    const sql = pooledSql({ pool: catalogPool, guard, onStatement() {} })
    if ((await loadEpoch(sql)) === directory.epoch) return
    directory = await loadDirectory(sql)
    applyRoles()
  }
  /** For work that goes on with what is known when the catalog does not answer soon. */
  async function refreshSoon(): Promise<void> {
    await Promise.race([refresh().catch(() => {}), sleep(refreshWaitMs, undefined, { ref: false })])
  }
  let current: Promise<void> | null = null
  let next: Promise<void> | null = null
  /** At most one at a time; who asks during one gets the one after it, which has surely seen what made them ask. */
  function refresh(): Promise<void> {
    if (current === null) {
      current = reload().finally(() => (current = null))
      return current
    }
    next ??= current
      .catch(() => {})
      .then(() => {
        next = null
        return refresh()
      })
    return next
  }
  const poll = setInterval(() => {
    // The copy serves while the catalog is down.
    refresh().catch((error: unknown) => logger.debug({ error }, 'the directory was not refreshed'))
  }, directoryPollMs)
  poll.unref()

  /** The directory the caller's position was read in, or a later one. */
  async function catchUp(scope: StoreScope | undefined): Promise<void> {
    if (scope?.position !== undefined && scope.position.epoch > directory.epoch) {
      // Without the catalog the copy has to do: a moved company's old shard refuses writes by itself.
      await refreshSoon()
    }
  }

  function requirePrepared(shard: ShardId): void {
    const reason = unprepared.get(shard)
    if (reason !== undefined) throw reason
  }

  async function runOn<T>(
    shard: ShardId,
    pool: Pool,
    fn: (sql: ShardSql, shard: ShardId) => Promise<T>,
    scope: StoreScope | undefined,
    guard: Guard,
  ): Promise<T> {
    requirePrepared(shard)
    try {
      const onStatement = (): void => scope?.onStatement?.(shard)
      return await fn(pooledSql({ pool, guard, statementLimitMs: scope?.statementLimitMs, onStatement }), shard)
    } catch (error) {
      throw translate(error, shard)
    }
  }

  /** On a replica where that is fresh enough; what a replica cannot do the primary does. */
  async function readShard<T>(
    shard: ShardId,
    companyIds: readonly CompanyId[],
    fn: (sql: ShardSql, shard: ShardId) => Promise<T>,
    scope: StoreScope | undefined,
  ): Promise<T> {
    using guard = createGuard(scope ?? {}, clock)
    const group = serversOf(shard)
    using chosen = group.forRead(requiredLsn(directory, shard, companyIds, scope))
    const { pool } = chosen
    if (pool === group.primary()) return await runOn(shard, pool, fn, scope, guard)
    try {
      return await runOn(shard, pool, fn, scope, guard)
    } catch (error) {
      const again = isAppError(error)
        ? error.code === 'SHARD_UNAVAILABLE' || error.code === 'OVERLOADED'
        : failureOf(error) === 'retry'
      if (!again || guard.expired() !== null) throw error
      return await runOn(shard, group.primary(), fn, scope, guard)
    }
  }

  async function settle<T>(shard: ShardId, run: () => Promise<T>): Promise<ShardResult<T>> {
    try {
      return { ok: true, shard, value: await run() }
    } catch (error) {
      return { ok: false, shard, error: asAppError(error) }
    }
  }

  function groupByShard(companyIds: readonly CompanyId[]): Map<ShardId, CompanyId[]> {
    const groups = new Map<ShardId, CompanyId[]>()
    for (const companyId of companyIds) {
      const shard = locate(directory, companyId)
      const group = groups.get(shard)
      if (group === undefined) groups.set(shard, [companyId])
      else group.push(companyId)
    }
    return groups
  }

  const shardIds = deps.shards.map(({ name }) => name)

  const store: Store = {
    shards: shardIds,
    deployment: directory.deployment,
    regions: directory.strategy.regions,
    epoch: () => directory.epoch,
    shardOf: (companyId) => locate(directory, companyId),
    refresh,
    catalog,
    async claim(tx, companyId) {
      await tx`select assert_company_here(${companyId}, ${directory.strategy.bucketOf(companyId)})`
    },
    poolStats: () => [
      ...[...servers.values()].flatMap((group) => group.stats()),
      {
        ...catalogPool.stats(),
        shard: 'catalog',
        server: 'primary',
        formerPrimary: false,
        lagMs: 0,
        inRotation: catalogPool.up(),
      },
    ],
    async observe() {
      await Promise.all([...servers.values()].map((group) => group.observe()))
    },
    async read(companyIds, fn, scope) {
      await catchUp(scope)
      return Promise.all(
        [...groupByShard(companyIds)].map(async ([shard, ids]): Promise<KeyedShardResult<never>> => {
          const result = await settle(shard, () => readShard(shard, ids, (sql) => fn(sql, ids, shard), scope))
          return { ...result, companyIds: ids } as KeyedShardResult<never>
        }),
      )
    },
    async readOne(companyId, fn, scope) {
      await catchUp(scope)
      return readShard(locate(directory, companyId), [companyId], fn, scope)
    },
    async broadcast(fn, scope = {}, { whole = false } = {}) {
      await catchUp(scope)
      if (!whole) return Promise.all(shardIds.map((shard) => settle(shard, () => readShard(shard, [], fn, scope))))
      const enough = new AbortController()
      const signal = scope.signal === undefined ? enough.signal : AbortSignal.any([scope.signal, enough.signal])
      return Promise.all(
        shardIds.map(async (shard) => {
          const result = await settle(shard, () => readShard(shard, [], fn, { ...scope, signal }))
          if (!result.ok) enough.abort()
          return result
        }),
      )
    },
    async onPrimary(shard, fn, scope) {
      using guard = createGuard(scope ?? {}, clock)
      return await runOn(shard, serversOf(shard).primary(), (sql) => fn(sql), scope, guard)
    },
    async transact(companyId, fn, scope) {
      await catchUp(scope)
      using guard = createGuard(scope ?? {}, clock)
      const startedAt = clock.now()
      for (let attempt = 1; ; attempt++) {
        const { epoch } = directory
        const shard = locate(directory, companyId)
        requirePrepared(shard)
        try {
          const { value, last } = await inTransaction(
            {
              pool: serversOf(shard).primary(),
              guard,
              statementLimitMs: scope?.statementLimitMs,
              onStatement: () => scope?.onStatement?.(shard),
            },
            '',
            (tx) => fn(tx as ShardTx, shard),
            'select pg_current_wal_flush_lsn()::text as lsn',
          )
          return { value, position: { epoch, shards: new Map([[shard, parseLsn(String(last?.['lsn']))]]) } }
        } catch (error) {
          const delayMs = await retryDelay(error, attempt, startedAt, epoch)
          if (delayMs === null || guard.expired() !== null) throw finalError(error)
          await sleep(delayMs, undefined, scope?.signal === undefined ? {} : { signal: scope.signal }).catch(() => {})
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await lifetime.disposeAsync()
    },
  }

  /** Milliseconds to wait before the transaction may run again, or null when it should not. */
  async function retryDelay(error: unknown, attempt: number, startedAt: number, epoch: number): Promise<number | null> {
    if (failureOf(error) === 'retry') {
      return attempt > conflictRetries ? null : Math.random() * 10 * 2 ** attempt
    }
    if (isAppError(error, 'STALE_EPOCH')) {
      if (clock.now() - startedAt > staleLimitMs) return null
      await refreshSoon()
      // Moved on: at once. Still moving: a little later.
      return directory.epoch > epoch ? 0 : 10 + Math.random() * 30
    }
    if (isAppError(error, 'SHARD_UNAVAILABLE') && error.details['outcome'] !== 'unknown') {
      // Perhaps another server has been promoted.
      await refreshSoon()
      return directory.epoch > epoch ? 0 : null
    }
    return null
  }

  opened.defer(async () => {
    clearInterval(poll)
    stopping.abort()
    await Promise.all(latePreparations)
  })
  const lifetime = opened.move()
  return store
}

/** What the read of these companies on this shard has to show. */
function requiredLsn(
  directory: Directory,
  shard: ShardId,
  companyIds: readonly CompanyId[],
  scope: StoreScope | undefined,
): bigint | undefined {
  let need = scope?.position?.shards.get(shard)
  for (const companyId of directory.overrides.size === 0 ? [] : companyIds) {
    const arrived = directory.overrides.get(companyId)?.arrivedLsn
    if (arrived !== undefined && (need === undefined || need < arrived)) need = arrived
  }
  return need
}

function finalError(error: unknown): unknown {
  return failureOf(error) === 'retry'
    ? new AppError('OVERLOADED', 'Too many changes of the same data at once. Try again.', { cause: error })
    : error
}

function asAppError(error: unknown): AppError {
  const known = finalError(error)
  return isAppError(known) ? known : new AppError('INTERNAL_SERVER_ERROR', 'Reading failed.', { cause: error })
}
