import { expect, test } from 'vitest'
import { type CompanyId, parseCompanyId, type ShardId } from '../../../core/ids.ts'
import { silentLogger } from '../../../core/log.ts'
import { createShardAdmin } from '../../../store/admin.ts'
import { createMover } from '../../../store/move/mover.ts'
import { createRebalancer, type Rebalance } from '../../../store/move/rebalance.ts'
import { createStrategy, type PlacementConfig } from '../../../store/placement/create-strategy.ts'
import type { ShardConfig } from '../../../store/shard-config.ts'
import { acquireShards } from '../../support/postgres.ts'
import { createChain } from '../chain.ts'
import { openStore } from '../open-store.ts'
import { startWriter } from './moving.ts'

test('rebalancing gives a new shard its share, with its companies, while they are created and written to', async () => {
  await using three = await acquireShards({ count: 3 })
  await using small = await openStore({ ...three, shards: three.shards.slice(0, 2) })
  const before = createChain(small)
  const ids = Array.from({ length: 12 }, (_, i) => parseCompanyId(`rebalanced-${i}`))
  for (const id of ids) await before.append(id, 'first')

  await using grown = await openStore(three, { directoryPollMs: 50 })
  expect(grown.shards).toHaveLength(3)
  const chain = createChain(grown)
  const writer = startWriter(ids[0]!, chain.append)
  const mover = createMover({ store: grown, logger: silentLogger, cleanupDelayMs: 0 })
  const rebalancer = createRebalancer({ store: grown, mover, logger: silentLogger })
  const admin = createShardAdmin({ store: grown, mover, rebalancer, shards: three.shards, logger: silentLogger })
  expect((await admin.add(grown.shards[2]!)).buckets).toBe(0)
  const { id } = await admin.rebalance()
  expect((await admin.rebalance()).id).toBe(id)
  const interrupt = new AbortController()
  const half = await rebalancer.run(id, {
    signal: interrupt.signal,
    onProgress({ companiesMoved }) {
      if (companiesMoved > 0) interrupt.abort()
    },
  })
  expect(half).toMatchObject({ state: 'running', companiesMoved: 1 })
  await rebalancer.runIdle()
  const [{ companiesMoved, bucketsLeft, state }] = (await rebalancer.list(1)) as [Rebalance]
  let created = 0
  for (; created < 5; created++) await chain.append(parseCompanyId(`created-${created}`), 'first')
  await writer.stop()
  expect({ state, bucketsLeft }).toEqual({ state: 'done', bucketsLeft: 0 })
  expect(companiesMoved).toBeGreaterThan(1)
  const shards = await admin.list()
  for (const { buckets } of shards) expect(buckets).toBeGreaterThan(1_200)
  const placed = new Set(ids.map((id) => grown.shardOf(id)))
  expect(placed.has(grown.shards[2]!)).toBe(true)
  for (const id of ids) expect((await chain.verify(id))[0]).toBe('first')
  expect((await chain.verify(ids[0]!)).slice(1)).toEqual(writer.done)
  const again = await rebalancer.run((await admin.rebalance()).id)
  expect(again).toMatchObject({ state: 'done', buckets: 0, companiesMoved: 0 })
})

interface Placing {
  readonly placement: PlacementConfig
  readonly regions: readonly string[]
  readonly ids: readonly string[]
}
const hashed: Placing = {
  placement: { kind: 'consistent-hash', virtualNodes: 150 },
  regions: ['one', 'one', 'one'],
  ids: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
}
const ranged: Placing = {
  placement: { kind: 'range' },
  regions: ['one', 'one', 'one'],
  ids: ['a1', 'd1', 'h1', 'k1', 'n1', 'r1', 'u1', 'z1'],
}
const regional: Placing = {
  placement: { kind: 'geographic', virtualNodes: 150, regions: ['eu', 'us'] },
  regions: ['eu', 'us', 'eu'],
  ids: ['eu.a', 'eu.b', 'eu.c', 'eu.d', 'eu.e', 'us.a', 'us.b', 'home'],
}

/** Two shards with companies, then a third beside them. */
async function grownBy({ placement, regions, ids: names }: Placing) {
  await using parts = new AsyncDisposableStack()
  const databases = parts.use(await acquireShards({ count: 3 }))
  const shards = databases.shards.map((shard, i): ShardConfig => ({ ...shard, region: regions[i] ?? '' }))
  const ids = names.map(parseCompanyId)
  const before = new Map<CompanyId, ShardId>()
  {
    await using small = await openStore({ ...databases, shards: shards.slice(0, 2) }, { placement })
    for (const id of ids) {
      await createChain(small).append(id, 'first')
      before.set(id, small.shardOf(id))
    }
  }
  const store = parts.use(await openStore({ ...databases, shards }))
  const mover = createMover({ store, logger: silentLogger, cleanupDelayMs: 0 })
  const rebalancer = createRebalancer({ store, mover, logger: silentLogger })
  const kept = parts.move()
  return {
    store,
    shards: shards.map(({ name, region = '' }) => ({ id: name, region })),
    ids,
    before,
    mover,
    rebalance: async () => rebalancer.run((await rebalancer.request()).id),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

test.each([hashed, ranged, regional])(
  'under $placement.kind a shard that is added gets the companies that the strategy gives it, and no other is moved',
  async (placing) => {
    await using grown = await grownBy(placing)
    const { store, ids, before } = grown
    const { bucketOf, assign } = createStrategy(placing.placement)
    const wanted = assign(grown.shards)
    const done = await grown.rebalance()
    expect(done).toMatchObject({ state: 'done', bucketsLeft: 0 })
    expect(ids.map((id) => store.shardOf(id))).toEqual(ids.map((id) => wanted[bucketOf(id)]))
    const moved = ids.filter((id) => store.shardOf(id) !== before.get(id))
    expect(moved.length).toBe(done.companiesMoved)
    expect(moved.map((id) => store.shardOf(id))).toContain(store.shards[2])
    for (const id of ids) expect(await createChain(store).verify(id)).toEqual(['first'])
  },
)

test('a company of a region stays in it, and an override there goes before the strategy', async () => {
  await using grown = await grownBy(regional)
  const { store, ids, mover, rebalance } = grown
  await rebalance()
  const [euOne, us, euTwo] = store.shards
  for (const id of ids) expect(store.shardOf(id) === us).toBe(id.startsWith('us.'))
  const company = parseCompanyId('eu.a')
  await expect(mover.plan(company, us!)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  const elsewhere = [euOne!, euTwo!].find((shard) => shard !== store.shardOf(company))!
  expect(await mover.run((await mover.plan(company, elsewhere)).id)).toMatchObject({ state: 'done' })
  expect(await rebalance()).toMatchObject({ state: 'done', companiesMoved: 0 })
  expect(store.shardOf(company)).toBe(elsewhere)
})
