import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseCompanyId, type CompanyId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger, type Ledger, type LedgerRecord } from '../../ledger/ledger.ts'
import { readRecordPages, readRecords } from '../../ledger/read.ts'
import { createStore } from '../../store/create-store.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import type { ShardSql, Store } from '../../store/store.ts'
import { acquireShards } from './postgres.ts'
import { patientPool } from './patient-pool.ts'

export interface Fixture extends AsyncDisposable {
  readonly store: Store
  readonly ledger: Ledger
  readonly catalogUrl: string
  readonly shards: readonly ShardConfig[]
  /** One record of each kind in one transaction; with `hold`, that has written all it has to early and commits after it. */
  append(companyId: CompanyId, kinds: readonly string[], hold?: () => Promise<void>): Promise<void>
}

/** Fresh shards with a store and a ledger on them. */
export async function openFixture(
  shardCount = 1,
  onAppended: (shard: ShardId) => void = () => undefined,
): Promise<Fixture> {
  const databases = await acquireShards({ count: shardCount })
  const store = await createStore({
    ...databases,
    pool: patientPool('high-throughput'),
    deployment: 'test',
    logger: silentLogger,
  })
  const ledger = createLedger({ store, onAppended })
  return {
    store,
    ledger,
    catalogUrl: databases.catalogUrl,
    shards: databases.shards,
    async append(companyId, kinds, hold) {
      const records = kinds.map((kind) => ({ kind, source: 'test', stream: 's', data: { of: kind } }))
      const late: Store = {
        ...store,
        transact: (id, fn, scope) =>
          store.transact(
            id,
            async (tx, shard) => {
              const result = await fn(tx, shard)
              await hold?.()
              return result
            },
            scope,
          ),
      }
      const writer = hold === undefined ? ledger : createLedger({ store: late, onAppended })
      await writer.change(companyId, async () => ({ value: null, records }))
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await databases[Symbol.asyncDispose]()
    },
  }
}

/** A page of a ledger, for a follower. */
export async function readPage(
  sql: ShardSql,
  companyId: CompanyId,
  { from, limit }: { from: number; limit: number },
): Promise<readonly LedgerRecord[]> {
  const [page] = await readRecordPages(sql, [companyId], { first: limit, after: from - 1 })
  return page?.records ?? []
}

export async function readRecord(
  sql: ShardSql,
  companyId: CompanyId,
  position: number,
): Promise<LedgerRecord | undefined> {
  const [record] = await readRecords(sql, [{ companyId, position }])
  return record
}

export function someCompany(): CompanyId {
  return parseCompanyId(`c-${randomUUID().slice(0, 12)}`)
}

/** Waits for a condition, never for time. */
export async function eventually(check: () => void | Promise<void>, timeoutMs = 90_000): Promise<void> {
  const end = Date.now() + timeoutMs
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(10)
    }
  }
}
