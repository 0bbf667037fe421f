import { describe, expect, test } from 'vitest'
import type { CompanyId } from '../../../core/ids.ts'
import type { Principal } from '../../../core/request.ts'
import { createInFlight } from '../../../gateway/executor/in-flight.ts'
import { createSharing } from '../../../gateway/executor/sharing.ts'
import { localSubgraphs, requestContext, testGateway, type Subgraphs, type TestGateway } from './network.ts'

const subgraphs: Subgraphs = {
  clock: {
    sdl: 'type Query { time(zone: String): Int } type Mutation { set(time: Int!): Int }',
    resolvers: { Query: { time: () => 1 }, Mutation: { set: (_: unknown, { time }: { time: number }) => time } },
  },
}

const company = (name: string): Principal => ({
  kind: 'company',
  companyId: name as CompanyId,
  keyId: `key of ${name}`,
  scopes: [],
})

/** A gateway whose subgraph answers only when told so. */
async function held(
  options: Parameters<typeof testGateway>[1] = {},
): Promise<TestGateway & { release: () => void; reads: () => number; signals: AbortSignal[] }> {
  const { executor } = localSubgraphs(subgraphs)
  const hold = Promise.withResolvers<void>()
  let reads = 0
  const signals: AbortSignal[] = []
  const gateway = await testGateway(subgraphs, {
    sharing: createSharing({ queries: true, reads: false }),
    executor: async (request, signal) => {
      if (request.kind === 'query') {
        reads += 1
        signals.push(signal)
        await hold.promise
      }
      return executor(request, signal)
    },
    ...options,
  })
  return { ...gateway, release: () => hold.resolve(), reads: () => reads, signals }
}

describe('identical queries in flight', () => {
  test('are executed once for one principal', async () => {
    await using gateway = await held()
    const asking = Array.from({ length: 5 }, () =>
      gateway.query('{ time }', {}, requestContext({ principal: company('a') })),
    )
    gateway.release()
    expect(await Promise.all(asking)).toEqual(Array.from({ length: 5 }, () => ({ data: { time: 1 } })))
    expect(gateway.reads()).toBe(1)
  })

  test('are not shared between principals, positions or variables', async () => {
    await using gateway = await held()
    const source = 'query ($zone: String) { time(zone: $zone) }'
    const asking = [
      gateway.query(source, {}, requestContext({ principal: company('a') })),
      gateway.query(source, {}, requestContext({ principal: company('b') })),
      gateway.query(source, {}, requestContext({ principal: company('a'), position: 'later' })),
      gateway.query(source, { zone: 'UTC' }, requestContext({ principal: company('a') })),
    ]
    gateway.release()
    await Promise.all(asking)
    expect(gateway.reads()).toBe(4)
  })

  test('are not shared where headers differ that subgraphs get to see', async () => {
    await using gateway = await held({ sharing: createSharing({ queries: true, reads: false, headers: ['x-tenant'] }) })
    const asking = ['one', 'two', 'two'].map((tenant) =>
      gateway.query('{ time }', {}, requestContext({ headers: { 'x-tenant': tenant, 'x-other': `${Math.random()}` } })),
    )
    gateway.release()
    await Promise.all(asking)
    expect(gateway.reads()).toBe(2)
  })

  test('end with a mutation of the same principal: what comes after it reads anew', async () => {
    await using gateway = await held()
    const principal = company('a')
    const before = gateway.query('{ time }', {}, requestContext({ principal }))
    const others = gateway.query('{ time }', {}, requestContext({ principal: company('b') }))
    await gateway.query('mutation { set(time: 2) }', {}, requestContext({ principal }))
    const after = gateway.query('{ time }', {}, requestContext({ principal }))
    const othersAgain = gateway.query('{ time }', {}, requestContext({ principal: company('b') }))
    gateway.release()
    await Promise.all([before, after, others, othersAgain])
    expect(gateway.reads()).toBe(3)
  })

  test('a mutation is never shared', async () => {
    await using gateway = await held()
    const context = (): ReturnType<typeof requestContext> => requestContext({ principal: company('a') })
    await Promise.all([
      gateway.query('mutation { set(time: 2) }', {}, context()),
      gateway.query('mutation { set(time: 2) }', {}, context()),
    ])
    expect(gateway.asked.length).toBe(0)
    gateway.release()
  })

  test('one client leaving does not take the others along; the last one cancels the work', async () => {
    await using gateway = await held()
    const leaving = new AbortController()
    const staying = new AbortController()
    const left = gateway.query('{ time }', {}, requestContext({ signal: leaving.signal })).catch(() => 'left')
    const stayed = gateway.query('{ time }', {}, requestContext({ signal: staying.signal })).catch(() => 'left')
    leaving.abort()
    expect(await left).toBe('left')
    expect(gateway.signals[0]?.aborted).toBe(false)
    staying.abort()
    expect(await stayed).toBe('left')
    expect(gateway.signals[0]?.aborted).toBe(true)
    gateway.release()
  })
})

describe('work in flight', () => {
  test('is bounded: beyond the bound everyone works alone', async () => {
    const inFlight = createInFlight<number>({ max: 1 })
    const hold = Promise.withResolvers<number>()
    let started = 0
    const start = (): Promise<number> => {
      started += 1
      return hold.promise
    }
    const { signal } = new AbortController()
    const all = ['a', 'a', 'b', 'b'].map((key) => inFlight.join(key, 'group', signal, start))
    expect(started).toBe(3)
    expect(inFlight.size).toBe(1)
    hold.resolve(7)
    expect(await Promise.all(all)).toEqual([7, 7, 7, 7])
    expect(inFlight.size).toBe(0)
  })

  test('that fails, fails for all who joined, and is not joined afterwards', async () => {
    const inFlight = createInFlight<number>({ max: 10 })
    const { signal } = new AbortController()
    const fail = (): Promise<number> => Promise.reject(new Error('no'))
    const all = await Promise.allSettled([1, 2].map(() => inFlight.join('a', 'group', signal, fail)))
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await inFlight.join('a', 'group', signal, () => Promise.resolve(1))).toBe(1)
  })
})
