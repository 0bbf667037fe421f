import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createCounterpartFeed } from '../../network/counterpart-feed.ts'
import { relationshipId } from '../../network/relationship.ts'
import { readEdges } from '../../network/relationship-edges.ts'
import { startLive } from '../support/live.ts'
import { createWorld, type World } from './world.ts'

let world: World
const parts = new AsyncDisposableStack()
beforeAll(async () => {
  world = parts.use(await createWorld({ shardCount: 2 }))
  parts.use(await startLive(world.store))
  const { store, counterparts } = world
  const feed = parts.use(createCounterpartFeed({ store, counterparts, logger: silentLogger, pollMs: 50, retryMs: 100 }))
  await feed.start()
})
afterAll(() => parts.disposeAsync())

const statusAt = async (companyId: CompanyId, id: ReturnType<typeof relationshipId>) => {
  const [edge] = await world.store.readOne(companyId, (sql) => readEdges(sql, [{ companyId, id }]))
  return edge?.status ?? null
}

test('by the feed alone the other side follows, and a shard that was away catches up in order', async () => {
  const here = parseCompanyId('at-home')
  const candidates = Array.from({ length: 20 }, (_, i) => parseCompanyId(`partner-${i}`))
  const neighbour = candidates.find((id) => world.store.shardOf(id) === world.store.shardOf(here)) as CompanyId
  const away = candidates.find((id) => world.store.shardOf(id) !== world.store.shardOf(here)) as CompanyId
  for (const id of [here, neighbour, away]) await world.companies.create({ id, name: id }, {})
  const far = {
    buyer: here,
    seller: away,
    kind: 'supply',
    id: relationshipId({ buyer: here, seller: away, kind: 'supply' }),
  }
  const near = {
    buyer: here,
    seller: neighbour,
    kind: 'supply',
    id: relationshipId({ buyer: here, seller: neighbour, kind: 'supply' }),
  }

  await world.relationships.invite(far, here, {})
  await expect.poll(() => statusAt(away, far.id)).toBe('INVITED')
  await world.relationships.act(far, 'accept', away, {})
  await expect.poll(() => statusAt(here, far.id)).toBe('ACTIVE')

  const cable = world.cableOf(away)
  await cable.cut()
  try {
    await world.relationships.act(far, 'suspend', here, {})
    await world.relationships.act(far, 'resume', here, {})
    await world.relationships.act(far, 'end', here, {})
    await world.relationships.invite(near, here, {})
    // The neighbour hears of it while the other is away.
    await expect.poll(() => statusAt(neighbour, near.id)).toBe('INVITED')
  } finally {
    await cable.mend()
  }
  await expect.poll(() => statusAt(away, far.id).catch(() => 'down')).toBe('ENDED')
  const received = await world.store.readOne(away, async (sql) => {
    const rows = await sql<{ data: string }[]>`
      select data from ledger_records where company_id = ${away} and kind = 'relationship.received' order by position`
    return rows.map(({ data }) => (JSON.parse(data) as { action: string }).action)
  })
  expect(received).toEqual(['invite', 'suspend', 'resume', 'end'])
})
