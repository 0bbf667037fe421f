import { expect, test } from 'vitest'
import { parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { announceDirectory, followDirectory } from '../../events/directory.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createMover } from '../../store/move/mover.ts'
import { createRebalancer } from '../../store/move/rebalance.ts'
import { createCompanyMover } from '../../workers/company-mover.ts'
import { openStore } from '../store/open-store.ts'
import { until } from '../store/until.ts'
import { acquireShards } from '../support/postgres.ts'

test('a planned move is done by a worker, and other processes learn of it at once by the bus', async () => {
  await using databases = await acquireShards({ count: 2 })
  await using store = await openStore(databases)
  await using other = await openStore(databases, { directoryPollMs: 3_600_000 })
  await using bus = createMemoryBus()
  await using _following = await followDirectory({ bus, store: other, logger: silentLogger })
  const onDirectoryChanged = () => announceDirectory(bus)
  const mover = createMover({ store, logger: silentLogger, cleanupDelayMs: 0, onDirectoryChanged })
  const rebalancer = createRebalancer({ store, mover, logger: silentLogger, onDirectoryChanged })

  const company = parseCompanyId('acme')
  const record = { kind: 'note.made', source: 'test', stream: 'notes', data: {} }
  await createLedger({ store }).change(company, async () => ({ value: null, records: [record] }))
  const target = store.shards.find((shard) => shard !== store.shardOf(company))!
  await mover.plan(company, target)
  await using worker = createCompanyMover({ mover, rebalancer, logger: silentLogger })
  await worker.start()
  await until(() => other.shardOf(company) === target)
  expect(store.shardOf(company)).toBe(target)
  await rebalancer.request()
  await until(async () => (await rebalancer.list(1))[0]?.state === 'done')
})
