import { randomBytes } from 'node:crypto'
import { silentLogger } from '../../core/log.ts'
import { newCompanyId, type CompanyId } from '../../core/ids.ts'
import type { Clock } from '../../core/clock.ts'
import type { LedgerLimits } from '../../ledger/limits.ts'
import { createLedger, type Ledger, type NewRecord } from '../../ledger/ledger.ts'
import { createStore } from '../../store/create-store.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import type { ShardSql, Store } from '../../store/store.ts'
import { acquireShards } from '../support/postgres.ts'
import { patientPool } from '../support/patient-pool.ts'

export interface World extends AsyncDisposable {
  readonly store: Store
  readonly ledger: Ledger
  readonly wrappingKey: Buffer
  /** For processes of a test's own. */
  readonly servers: { readonly shards: readonly ShardConfig[]; readonly catalogUrl: string }
  /** A company whose ledger begins with one record. */
  company(): Promise<CompanyId>
  /** The company's primary. */
  sql<T>(companyId: CompanyId, fn: (sql: ShardSql) => Promise<T>): Promise<T>
}

export const record = (change: Partial<NewRecord> = {}): NewRecord => ({
  kind: 'order.placed',
  source: 'shop',
  stream: 'order/1',
  data: { amount: '12.50' },
  ...change,
})

/** A ledger over fresh shards. */
export async function createWorld(options: { clock?: Clock; limits?: Partial<LedgerLimits> } = {}): Promise<World> {
  await using opened = new AsyncDisposableStack()
  const { shards, catalogUrl } = opened.use(await acquireShards({ count: 2 }))
  const store = opened.use(
    await createStore({
      shards,
      catalogUrl,
      pool: patientPool('high-throughput'),
      deployment: 'test',
      logger: silentLogger,
    }),
  )
  const wrappingKey = randomBytes(32)
  const ledger = createLedger({ store, wrappingKey, ...options })
  const lifetime = opened.move()
  return {
    store,
    ledger,
    wrappingKey,
    servers: { shards, catalogUrl },
    async company() {
      const companyId = newCompanyId()
      await ledger.change(companyId, async () => ({
        value: null,
        records: [record({ kind: 'company.created', source: 'ledgerway', stream: 'profile', data: {} })],
      }))
      return companyId
    },
    sql: (companyId, fn) => store.onPrimary(store.shardOf(companyId), fn),
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}
