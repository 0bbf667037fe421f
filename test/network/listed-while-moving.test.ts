import { expect, test } from 'vitest'
import { parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { listCompanies } from '../../network/list-companies.ts'
import { currentOf, readCompaniesByIdentifier } from '../../network/read-companies.ts'
import { createMover } from '../../store/move/mover.ts'
import { createWorld } from './world.ts'

test('a company is listed once, and found by its identifier, at every step of a move', async () => {
  await using world = await createWorld({ shardCount: 2 })
  const { store } = world
  const id = parseCompanyId('mover')
  const identifier = { scheme: 'symbol', value: 'MOV' }
  for (const other of ['a', 'z']) await world.companies.create({ id: parseCompanyId(other), name: other }, {})
  await world.companies.create({ id, name: 'mover', identifiers: [identifier] }, {})

  const seen: string[] = []
  async function look(step: string): Promise<void> {
    const { edges } = await listCompanies(store, { first: 10 })
    const found = await store.broadcast((sql) => readCompaniesByIdentifier(sql, [identifier]))
    const current = await currentOf(
      store,
      found.flatMap((result) => (result.ok ? result.value : [])),
    )
    seen.push(`${step} ${edges.map(({ node }) => node.id).join()} ${current.map(({ company }) => company.id).join()}`)
  }
  const mover = createMover({ store, logger: silentLogger, cleanupDelayMs: 0, onStep: look })
  for (const round of ['there', 'back']) {
    const to = store.shards.find((shard) => shard !== store.shardOf(id)) as (typeof store.shards)[number]
    const { id: move } = await mover.plan(id, to)
    await mover.run(move)
    await look(round)
  }
  expect(seen.length).toBeGreaterThan(12)
  expect(seen.filter((line) => !line.endsWith(' a,mover,z mover'))).toEqual([])
})

test('a company that was renamed right after its move is listed under its new name alone, and hides no other', async () => {
  await using world = await createWorld({ shardCount: 2 })
  const { store } = world
  const id = parseCompanyId('mover')
  await world.companies.create({ id, name: 'b' }, {})
  const from = store.shardOf(id)
  let others = 0
  for (let i = 0; others < 4; i++) {
    const other = parseCompanyId(`other-${i}`)
    if (store.shardOf(other) === from) await world.companies.create({ id: other, name: `c${others++}` }, {})
  }
  const namesOf = async (first: number) => {
    const { edges, hasNextPage } = await listCompanies(store, { first })
    return [...edges.map(({ node }) => node.name), hasNextPage]
  }
  const renaming = createMover({
    store,
    logger: silentLogger,
    cleanupDelayMs: 0,
    async onStep(step) {
      if (step !== 'flipped') return
      await store.refresh()
      await world.companies.update(id, { name: 'd' }, {})
      expect(await namesOf(3)).toEqual(['c0', 'c1', 'c2', true])
      expect(await namesOf(5)).toEqual(['c0', 'c1', 'c2', 'c3', 'd', false])
    },
  })
  const to = store.shards.find((shard) => shard !== from) as typeof from
  await renaming.run((await renaming.plan(id, to)).id)
  expect(await namesOf(5)).toEqual(['c0', 'c1', 'c2', 'c3', 'd', false])
})
