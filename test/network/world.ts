import type { CompanyId, ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createCompanyCommands } from '../../network/companies.ts'
import { createCounterparts } from '../../network/counterparts.ts'
import { createRelationshipCommands } from '../../network/relationships.ts'
import { createStore } from '../../store/create-store.ts'
import { type Cuttable, cuttable } from '../support/cuttable.ts'
import { acquireShards } from '../support/postgres.ts'
import { patientPool } from '../support/patient-pool.ts'

/** A network on real shards, without any process around it: what the tests of commands and reads work on. */
export async function createWorld({ shardCount = 2 }: { shardCount?: number } = {}) {
  await using parts = new AsyncDisposableStack()
  const { shards: servers, catalogUrl } = parts.use(await acquireShards({ count: shardCount }))
  const cables = await Promise.all(servers.map(async ({ primaryUrl }) => parts.use(await cuttable(primaryUrl))))
  const shards = servers.map((server, i) => ({ ...server, primaryUrl: cables[i]?.url ?? server.primaryUrl }))
  const store = parts.use(
    await createStore({
      shards,
      catalogUrl,
      pool: patientPool('memory-constrained'),
      deployment: 'test',
      logger: silentLogger,
    }),
  )
  const ledger = createLedger({ store, wrappingKey: Buffer.alloc(32, 9) })
  const kept = parts.move()
  return {
    store,
    ledger,
    /** As the store knows them. */
    shards,
    catalogUrl,
    /** The way to a company's shard. */
    cableTo: (shard: ShardId) => cables[store.shards.indexOf(shard)] as Cuttable,
    cableOf: (companyId: CompanyId) => cables[store.shards.indexOf(store.shardOf(companyId))] as Cuttable,
    companies: createCompanyCommands({ ledger }),
    relationships: createRelationshipCommands({ store, ledger }),
    counterparts: createCounterparts({ store, ledger, logger: silentLogger }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

export type World = Awaited<ReturnType<typeof createWorld>>
