import { afterAll, beforeAll, expect, test } from 'vitest'
import { importNetwork, type NetworkImportOptions, traderId } from '../../network/import-network.ts'
import { relationshipId } from '../../network/relationship.ts'
import { readEdges } from '../../network/relationship-edges.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({ shardCount: 2 })
})
afterAll(() => world[Symbol.asyncDispose]())

async function* linesOf(text: string) {
  yield* text.trim().split('\n')
}

/** Everything the shards hold of a network, in a few numbers. */
async function counts() {
  const results = await world.store.broadcast(async (sql) => {
    const [row] = await sql<
      { companies: number; edges: number; established: number; received: number; size: number }[]
    >`
      select (select count(*)::int from companies) as companies, (select count(*)::int from relationships) as edges,
        (select count(*)::int from ledger_records where kind = 'relationship.established') as established,
        (select count(*)::int from ledger_records where kind = 'relationship.received') as received,
        (select coalesce(sum(size), 0)::int from ledger_heads) as size`
    return row
  })
  const sum = { companies: 0, edges: 0, established: 0, received: 0, size: 0 }
  for (const result of results) {
    if (!result.ok || result.value === undefined) throw new Error('a shard did not answer')
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result.value[key]
  }
  return sum
}

const file = `rater,ratee,rating,at
6,2,4,1289241912
6,5,2,1289241942
1,15,1,1289243140
nonsense
4,3,7,1289245277
13,16,8,1289254254
13,10,8,1289254254
7,5,99,1289362700
2,6,5,1289370556
5,5,1,1289370557
`

test('a network is imported with both edges and both records, bad lines are named, and again changes nothing', async () => {
  const bad: number[] = []
  const run = (options: NetworkImportOptions = {}) =>
    importNetwork(world, linesOf(file), { windowLines: 3, onBadLine: (line) => bad.push(line), ...options })
  expect(await run()).toEqual({ lines: 10, companiesCreated: 10, created: 7, bad: 3 })
  expect(bad).toEqual([4, 8, 10])
  const after = await counts()
  expect(after).toEqual({ companies: 10, edges: 14, established: 7, received: 7, size: 24 })

  const parts = { buyer: traderId('6'), seller: traderId('2'), kind: 'trade' }
  for (const companyId of [parts.buyer, parts.seller]) {
    const [edge] = await world.store.readOne(companyId, (sql) =>
      readEdges(sql, [{ companyId, id: relationshipId(parts) }]),
    )
    expect(edge).toMatchObject({
      status: 'ACTIVE',
      rating: 4,
      invitedBy: parts.buyer,
      activeAt: '2010-11-08T18:45:12.000Z',
    })
  }

  expect(await run()).toMatchObject({ companiesCreated: 0, created: 0, bad: 3 })
  expect(await counts()).toEqual(after)

  // What the feed delivers of it is known already; what it adds is the buyers' acknowledgements.
  for (const trader of ['1', '4', '13']) await world.counterparts.deliver(traderId(trader), 0, 100)
  expect(await counts()).toEqual(after)
  for (const trader of ['2', '5', '15', '3', '16', '10', '6'])
    await world.counterparts.deliver(traderId(trader), 0, 100)
  expect(await counts()).toEqual({ ...after, size: after.size + 7 })
})

test('an import that was broken off between the two sides is completed by the next one', async () => {
  const lines =
    'a\n' + Array.from({ length: 30 }, (_, i) => `100,${200 + i},${(i % 21) - 10},${1300000000 + i}`).join('\n')
  let changes = 0
  const breaking = {
    ...world,
    ledger: {
      ...world.ledger,
      change: (...args: Parameters<typeof world.ledger.change>) => {
        if (++changes > 9) throw new Error('killed')
        return world.ledger.change(...args)
      },
    } as typeof world.ledger,
  }
  const before = await counts()
  await expect(importNetwork(breaking, linesOf(lines))).rejects.toThrow('killed')
  expect((await counts()).received).toBeLessThan(before.received + 30)
  await importNetwork(world, linesOf(lines))
  const after = await counts()
  expect(after.received - before.received).toBe(30)
  expect(after.established - before.established).toBe(30)
  expect(after.edges - before.edges).toBe(60)
})

test('an import that is to stop does so within a window, and the next one completes it', async () => {
  const lines = Array.from({ length: 60 }, (_, i) => `${700 + i},${800 + i},1,${1300000000 + i}`).join('\n')
  const before = await counts()
  const stop = new AbortController()
  const stopped = importNetwork(world, linesOf(lines), { signal: stop.signal, onStep: () => stop.abort() })
  await expect(stopped).rejects.toThrow('aborted')
  expect((await counts()).established - before.established).toBeLessThan(60)
  await importNetwork(world, linesOf(lines))
  const after = await counts()
  expect([after.established - before.established, after.received - before.received]).toEqual([60, 60])
})

test('with the lines of an earlier run skipped, only the rest is read', async () => {
  const done: number[] = []
  const steps: number[] = []
  const lines = ['500,501,1,1300000000', '502,503,1,1300000000', '504,505,1,1300000000']
  const result = await importNetwork(world, linesOf(lines.join('\n')), {
    skip: 2,
    onProgress: (line) => done.push(line),
    onStep: (line) => steps.push(line),
  })
  expect(result).toMatchObject({ lines: 3, companiesCreated: 2, created: 1 })
  expect(done).toEqual([3])
  expect(steps).toEqual([2, 3])
})

test('no more lines are held than a window, however long the file is', async () => {
  let read = 0
  let most = 0
  const lineCount = 1_000
  async function* longFile() {
    for (; read < lineCount; read++) yield `${600 + (read % 3)},${10_000 + (read % 7)},1,${1_300_000_000 + read}`
  }
  let done = 0
  const result = await importNetwork(world, longFile(), {
    windowLines: 100,
    onProgress(lines) {
      most = Math.max(most, read - done)
      done = lines
    },
  })
  expect(result.lines).toBe(lineCount)
  expect(done).toBe(lineCount)
  expect(most).toBeLessThanOrEqual(101)
})
