import DataLoader from 'dataloader'
import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'

/** What loaders of one request share. */
export interface LoaderContext {
  readonly store: Store
  readonly scope: StoreScope
  /** False only to measure what loading one by one would cost. */
  readonly batching: boolean
}

export interface ShardLoaderSpec<K, V> {
  /** The company whose shard holds the key's value. @throws AppError INVALID_ID, for that key only */
  companyOf(key: K): CompanyId
  /** Equal keys give equal text. */
  textOf(key: K): string
  /** ONE statement for all of these keys; answers by `textOf`. Keys left out get `missing`. */
  load(sql: ShardSql, keys: readonly K[]): Promise<ReadonlyMap<string, V>>
  readonly missing: V
}

/** Keys of one batch; more make a further batch, so that no statement and no answer grows without bound. */
const maxBatch = 1000

export type Loader<K, V> = Pick<DataLoader<K, V, string>, 'load' | 'prime' | 'clear' | 'clearAll'>

/**
 * Values by key from the shards: the keys that were asked for in one tick are grouped by shard, each shard is sent one
 * statement, all at once, and each key gets its own value or its own error. A failed shard fails its keys only.
 */
export function createShardLoader<K, V>(context: LoaderContext, spec: ShardLoaderSpec<K, V>): Loader<K, V> {
  return createLoader<K, V>(context, spec.textOf, async (keys) => {
    const outcomes = new Map<string, V | AppError>()
    const keysOf = new Map<CompanyId, K[]>()
    for (const key of keys) {
      try {
        const companyId = spec.companyOf(key)
        const siblings = keysOf.get(companyId)
        if (siblings === undefined) keysOf.set(companyId, [key])
        else siblings.push(key)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        outcomes.set(spec.textOf(key), error)
      }
    }
    const results = await context.store.read(
      [...keysOf.keys()],
      (sql, companyIds) =>
        spec.load(
          sql,
          companyIds.flatMap((companyId) => keysOf.get(companyId) ?? []),
        ),
      context.scope,
    )
    for (const result of results) {
      if (result.ok) {
        for (const [text, value] of result.value) outcomes.set(text, value)
      } else {
        for (const key of result.companyIds.flatMap((companyId) => keysOf.get(companyId) ?? [])) {
          outcomes.set(spec.textOf(key), result.error)
        }
      }
    }
    return keys.map((key) => outcomes.get(spec.textOf(key)) ?? spec.missing)
  })
}

/** For keys that no shard can be told from: the batch function sees all keys and answers in their order. */
export function createLoader<K, V>(
  context: Pick<LoaderContext, 'batching'>,
  textOf: (key: K) => string,
  load: (keys: readonly K[]) => Promise<(V | Error)[]>,
): Loader<K, V> {
  const loader = new DataLoader<K, V, string>(load, {
    cacheKeyFn: textOf,
    maxBatchSize: maxBatch,
    batch: context.batching,
    cache: context.batching,
  })
  const loadOne = loader.load.bind(loader)
  loader.load = (key) => {
    const value = loadOne(key)
    // Where a field fails before it waits for what it has asked for, nobody hears of this; that must not end the process.
    value.catch(() => {})
    return value
  }
  return loader
}
