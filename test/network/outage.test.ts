import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId, type ShardId } from '../../core/ids.ts'
import { type Logger, silentLogger } from '../../core/log.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createCounterpartFeed } from '../../network/counterpart-feed.ts'
import { type Counterparts, createCounterparts } from '../../network/counterparts.ts'
import { type Relationship, relationshipId } from '../../network/relationship.ts'
import { readEdges } from '../../network/relationship-edges.ts'
import { readTold } from '../../network/relationship-records.ts'
import { createRelationshipCommands } from '../../network/relationships.ts'
import { createStore } from '../../store/create-store.ts'
import { createMover } from '../../store/move/mover.ts'
import { eventually } from '../support/feed.ts'
import { startLive } from '../support/live.ts'
import { patientPool } from '../support/patient-pool.ts'
import { createWorld, type World } from './world.ts'

let world: World
const parts = new AsyncDisposableStack()
beforeAll(async () => {
  world = parts.use(await createWorld({ shardCount: 3 }))
})
afterAll(() => parts.disposeAsync())

const patienceMs = 240_000
let made = 0
/** A new company on this shard. */
async function companyOn(shard: ShardId): Promise<CompanyId> {
  for (;;) {
    const id = parseCompanyId(`co-${++made}`)
    if (world.store.shardOf(id) !== shard) continue
    await world.companies.create({ id, name: id }, {})
    return id
  }
}

const named = (buyer: CompanyId, seller: CompanyId, kind = 'supply') => ({
  buyer,
  seller,
  kind,
  id: relationshipId({ buyer, seller, kind }),
})

const edgeOf = (companyId: CompanyId, id: Relationship['id']) =>
  world.store.onPrimary(world.store.shardOf(companyId), async (sql) => {
    const [edge] = await readEdges(sql, [{ companyId, id }])
    return edge ?? null
  })

/** What a company's ledger tells of one relationship, in order. */
const toldBy = (companyId: CompanyId, id: Relationship['id']) =>
  world.store.onPrimary(world.store.shardOf(companyId), async (sql) => {
    const rows = await sql<{ kind: string; data: string; leaf: Buffer }[]>`
      select kind, data, leaf from ledger_records
      where company_id = ${companyId} and stream = ${`relationship/${id}`} order by position`
    return rows.flatMap(({ kind, data, leaf }) => {
      const told = readTold(companyId, kind, data)
      return told === null ? [] : [{ kind: told.kind, leaf: leaf.toString('base64'), told }]
    })
  })

const parkedOn = (shard: ShardId): Promise<number> =>
  world.store.onPrimary(shard, async (sql) => (await sql`select from relationship_parked`).length)

/** Each action is in the other's ledger once, in its order, and the answer to it is in the actor's. */
async function expectCountersigned(id: Relationship['id'], a: CompanyId, b: CompanyId): Promise<void> {
  const [atA, atB] = [await toldBy(a, id), await toldBy(b, id)]
  for (const [mine, theirs] of [
    [atA, atB],
    [atB, atA],
  ] as const) {
    const leaves = (kind: string, list: typeof mine) => list.filter((r) => r.kind === kind).map(({ leaf }) => leaf)
    const answers = (kind: string, list: typeof mine) =>
      list.flatMap(({ told }) => (told.kind === kind && told.kind !== 'action' ? [told.of.leaf] : []))
    expect(answers('received', theirs)).toEqual(leaves('action', mine))
    expect(answers('acknowledged', mine).toSorted()).toEqual(leaves('received', theirs).toSorted())
  }
}

test('an outage longer than every pause, lease and retry, of either side, loses nothing and doubles nothing', async () => {
  const [here, there] = world.store.shards as [ShardId, ShardId]
  const [a, b] = [await companyOn(here), await companyOn(there)]
  await using _live = await startLive(world.store)

  // How often a shard's consumer has failed in a row, and how often the parked were tried.
  const failures = new Map<ShardId, number>()
  const tries = new Map<ShardId, number>()
  const logger: Logger = {
    ...silentLogger,
    warn(fields) {
      const { shard, failures: count } = fields as { shard?: ShardId; failures?: number }
      if (shard !== undefined && count !== undefined) failures.set(shard, count)
    },
  }
  const counterparts: Counterparts = {
    ...world.counterparts,
    async retryParked(shard, scope) {
      const left = await world.counterparts.retryParked(shard, scope)
      tries.set(shard, (tries.get(shard) ?? 0) + 1)
      return left
    },
  }
  const { store } = world
  const limits = { pollMs: 20, retryMs: 20, leaseMs: 300, maxPauseMs: 256 }
  await using first = createCounterpartFeed({ store, counterparts, logger, ...limits })
  await using second = createCounterpartFeed({ store, counterparts, logger, ...limits })
  await first.start()
  await second.start()

  /** Well beyond the longest pause (the eighth failure's), the lease, and many tries of what is parked. */
  async function outlast(away: ShardId, waitsOn: ShardId): Promise<void> {
    await eventually(async () => expect(await parkedOn(waitsOn)).toBeGreaterThan(0), patienceMs)
    const triesBefore = tries.get(waitsOn) ?? 0
    await eventually(() => {
      expect(failures.get(away) ?? 0).toBeGreaterThanOrEqual(16)
      expect((tries.get(waitsOn) ?? 0) - triesBefore).toBeGreaterThanOrEqual(10)
    }, patienceMs)
  }

  const all = ['k0', 'k1', 'k2', 'k3', 'k4'].map((kind) => named(a, b, kind))
  const [k0, k1, k2, k3, k4] = all as [(typeof all)[0], ...typeof all]
  await world.relationships.invite(k0, a, {})
  await eventually(async () => expect((await edgeOf(b, k0.id))?.status).toBe('INVITED'), patienceMs)
  await world.relationships.act(k0, 'accept', b, {})
  await eventually(async () => expect((await edgeOf(a, k0.id))?.status).toBe('ACTIVE'), patienceMs)

  // The counterpart's side is away; the initiator goes on, with invitations too.
  await world.cableTo(there).cut()
  await world.relationships.act(k0, 'suspend', a, {})
  await world.relationships.act(k0, 'resume', a, {})
  for (const invited of [k1!, k2!, k3!]) await world.relationships.invite(invited, a, {})
  await outlast(there, here)
  await world.relationships.act(k3!, 'end', a, {})
  await world.cableTo(there).mend()
  await eventually(async () => {
    expect((await edgeOf(b, k3!.id))?.status).toBe('ENDED')
    expect(await parkedOn(here)).toBe(0)
  }, patienceMs)

  // The initiator's side is away, at the very moment of an invitation; who was invited before goes on.
  failures.clear()
  await world.relationships.invite(k4!, a, {})
  await world.cableTo(here).cut()
  await world.relationships.act(k1!, 'accept', b, {})
  await world.relationships.act(k2!, 'decline', b, {})
  await world.relationships.act(k0, 'suspend', b, {})
  await outlast(here, there)
  // One of the two processes ends now: its leases on the shard that is away are not given back.
  await first[Symbol.asyncDispose]()
  await world.relationships.act(k0, 'resume', b, {})
  await world.cableTo(here).mend()

  const expected = ['ACTIVE', 'ACTIVE', 'DECLINED', 'ENDED', 'INVITED']
  await eventually(async () => {
    for (const side of [a, b]) {
      const edges = await Promise.all(all.map(({ id }) => edgeOf(side, id)))
      expect(edges.map((edge) => edge?.status)).toEqual(expected)
    }
    for (const shard of world.store.shards) expect(await parkedOn(shard)).toBe(0)
    for (const { id } of all) await expectCountersigned(id, a, b)
  }, patienceMs)
})

test('of the parked, those who can be reached do not wait behind those who cannot, however many these are', async () => {
  const [here, there, elsewhere] = world.store.shards as [ShardId, ShardId, ShardId]
  const a = await companyOn(here)
  const gone = [await companyOn(there), await companyOn(there), await companyOn(there)]
  const back = await companyOn(elsewhere)
  const { store, ledger } = world
  // Read one by one, so that those who stay away fill the first reads.
  const counterparts = createCounterparts({ store, ledger, logger: silentLogger, parkedPage: 1 })
  await world.cableTo(there).cut()
  await world.cableTo(elsewhere).cut()
  for (const partner of [...gone, back]) await world.relationships.invite(named(a, partner), a, {})
  await counterparts.deliver(a, 0, 10)
  expect(await parkedOn(here)).toBe(4)
  expect(await counterparts.retryParked(here)).toBe(4)

  await world.cableTo(elsewhere).mend()
  await eventually(async () => expect(await counterparts.retryParked(here)).toBe(3), patienceMs)
  expect((await edgeOf(back, named(a, back).id))?.status).toBe('INVITED')
  await world.cableTo(there).mend()
  await eventually(async () => expect(await counterparts.retryParked(here)).toBe(0), patienceMs)
  for (const partner of gone) expect((await edgeOf(partner, named(a, partner).id))?.status).toBe('INVITED')
})

test('an invitation is taken while the partner’s shard is down, and ends where there turns out to be no such partner', async () => {
  const [here, there] = world.store.shards as [ShardId, ShardId]
  const [a, b] = [await companyOn(here), await companyOn(there)]
  let nobody: CompanyId
  do nobody = parseCompanyId(`nobody-${++made}`)
  while (world.store.shardOf(nobody) !== there)
  await expect(world.relationships.invite(named(a, nobody), a, {})).rejects.toMatchObject({ code: 'NOT_FOUND' })

  await world.cableTo(there).cut()
  for (const partner of [b, nobody]) {
    const { relationship } = await world.relationships.invite(named(a, partner), a, {})
    expect(relationship.status).toBe('INVITED')
  }
  await world.counterparts.deliver(a, 0, 10)
  await world.cableTo(there).mend()
  await eventually(async () => expect(await world.counterparts.retryParked(here)).toBe(0), patienceMs)
  expect((await edgeOf(b, named(a, b).id))?.status).toBe('INVITED')
  expect((await edgeOf(a, named(a, nobody).id))?.status).toBe('ENDED')
  // Delivered again, and the end of it delivered as well: nothing more follows.
  await world.counterparts.deliver(a, 0, 10)
  const told = await toldBy(a, named(a, nobody).id)
  expect(told.map((record) => (record.told.kind === 'action' ? record.told.placed.action : record.kind))).toEqual([
    'invite',
    'end',
  ])
})

test('a process that has not heard of a move takes a company that has moved away neither for missing nor for silent', async () => {
  const [here, there, elsewhere] = world.store.shards as [ShardId, ShardId, ShardId]
  const [a, b] = [await companyOn(here), await companyOn(there)]
  await using late = await createStore({
    shards: world.shards,
    catalogUrl: world.catalogUrl,
    pool: patientPool('memory-constrained'),
    deployment: 'test',
    directoryPollMs: 3_600_000,
    logger: silentLogger,
  })
  const ledger = createLedger({ store: late })
  const lateCounterparts = createCounterparts({ store: late, ledger, logger: silentLogger })
  const mover = createMover({ store: world.store, logger: silentLogger, cleanupDelayMs: 0 })
  const move = async (id: CompanyId) => (await mover.run((await mover.plan(id, elsewhere)).id)).state

  await world.relationships.invite(named(a, b), a, {})
  expect(await move(b)).toBe('done')
  expect(late.shardOf(b)).toBe(there)
  // Delivered to where it is now, not dropped because its old shard does not have it.
  await lateCounterparts.deliver(a, 0, 10)
  expect((await edgeOf(b, named(a, b).id))?.status).toBe('INVITED')

  expect(await move(a)).toBe('done')
  expect(late.shardOf(a)).toBe(here)
  // Its old shard shows no records any more, which is not the same as that there is nothing to deliver.
  await expect(lateCounterparts.deliver(a, 0, 10)).rejects.toMatchObject({ code: 'STALE_EPOCH' })
  const { relationship } = await createRelationshipCommands({ store: late, ledger }).act(named(a, b), 'end', a, {})
  expect(relationship.status).toBe('ENDED')
})
