import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AnswerCache } from '../../../cache/answer-cache.ts'
import { createMemoryAnswerCache } from '../../../cache/drivers/memory.ts'
import { parseShardId } from '../../../core/ids.ts'
import { decodePosition, encodePosition } from '../../../core/position.ts'
import { type Edge, type EdgeAnswer, keys, startEdge } from './harness.ts'

let edge: Edge
beforeEach(async () => {
  edge = await startEdge()
})
afterEach(() => edge[Symbol.asyncDispose]())

const acme: Record<string, string> = { 'x-api-key': keys.acme }
const other: Record<string, string> = { 'x-api-key': keys.other }
const state = ({ headers }: EdgeAnswer): string | null => headers.get('ledgerway-cache')
const query = '{ company(id: "acme") { id name } }'

/** Asks until the answer that was just loaded has been stored. */
async function warm(at: Edge, body: unknown, headers = acme): Promise<void> {
  await expect.poll(async () => state(await at.post(body, headers))).toBe('hit')
}

test('an answer is a miss, then a hit that does not reach the subgraph', async () => {
  const first = await edge.post({ query }, acme)
  expect([state(first), first.headers.get('cache-control')]).toEqual(['miss', 'public, max-age=60'])
  await warm(edge, { query })
  const loads = edge.world.loads
  const second = await edge.post({ query }, acme)
  expect(second.body).toEqual(first.body)
  expect(second.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
  expect(edge.world.loads).toBe(loads)
})

test('answers vary by variables, operation name and aliases, and not by the order of variables', async () => {
  const body = (variables: object): object => ({
    query: 'query ($a: ID!, $b: ID!) { x: company(id: $a) { id } y: company(id: $b) { id } }',
    variables,
  })
  await warm(edge, body({ a: 'acme', b: 'other' }))
  expect(state(await edge.post(body({ b: 'other', a: 'acme' }), acme))).toBe('hit')
  expect(state(await edge.post(body({ a: 'other', b: 'acme' }), acme))).toBe('miss')
})

describe('who shares', () => {
  test('where every field is public, principals of the same rights share', async () => {
    await warm(edge, { query })
    expect(state(await edge.post({ query }, other))).toBe('hit')
    expect(state(await edge.post({ query }, { 'x-api-key': keys.admin }))).toBe('miss')
  })

  test('with one private field nobody does, and caches outside are told so', async () => {
    const secret = { query: '{ company(id: "acme") { id secret } }' }
    await warm(edge, secret)
    const foreign = await edge.post(secret, other)
    expect([state(foreign), foreign.headers.get('cache-control')]).toEqual(['miss', 'private, max-age=60'])
  })
})

describe('what is not cached', () => {
  test.each<[string, string]>([
    ['a field without a hint', '{ uncached }'],
    ['one such field beside others', '{ uncached company(id: "acme") { id } }'],
    ['a mutation', 'mutation { rename(id: "acme", name: "Acme") { id } }'],
    ['introspection', '{ __schema { queryType { name } } }'],
  ])('%s', async (_name, text) => {
    for (let i = 0; i < 2; i++) {
      const answer = await edge.post({ query: text }, acme)
      expect([state(answer), answer.headers.get('cache-control')]).toEqual(['bypass', 'no-store'])
    }
  })

  test('an answer with errors', async () => {
    edge.world.afterRead = () => Promise.reject(new Error('gone'))
    const broken = await edge.post({ query }, acme)
    expect(broken.headers.get('cache-control')).toBe('no-store')
    edge.world.afterRead = () => Promise.resolve()
    expect(state(await edge.post({ query }, acme))).toBe('miss')
  })

  test('what the client does not want from the cache', async () => {
    await warm(edge, { query })
    const answer = await edge.post({ query }, { ...acme, 'cache-control': 'no-cache' })
    expect(state(answer)).toBe('bypass')
  })
})

describe('what a change invalidates', () => {
  test('answers that hold the company, and no others', async () => {
    const otherQuery = { query: '{ company(id: "other") { id name } }' }
    await warm(edge, { query })
    await warm(edge, otherQuery)
    edge.announce('acme', ['order.placed'])
    expect(state(await edge.post({ query }, acme))).toBe('miss')
    expect(state(await edge.post(otherQuery, acme))).toBe('hit')
  })

  test('the company inside another type, reached through another subgraph', async () => {
    const nested = { query: '{ company(id: "acme") { key: id ...S } } fragment S on Company { size }' }
    await warm(edge, nested)
    edge.announce('acme', ['order.placed'])
    expect(state(await edge.post(nested, acme))).toBe('miss')
  })

  test('lists, by a company that was created or renamed, but not by its other records', async () => {
    const list = { query: '{ companies { id name } }' }
    await warm(edge, list)
    edge.announce('newcomer', ['order.placed'])
    expect(state(await edge.post(list, acme))).toBe('hit')
    edge.announce('newcomer', ['company.created'])
    expect(state(await edge.post(list, acme))).toBe('miss')
  })

  test('null, by the company that comes to be', async () => {
    const absent = { query: '{ company(id: "newcomer") { id name } }' }
    await warm(edge, absent)
    edge.announce('newcomer', ['company.created'])
    expect(state(await edge.post(absent, acme))).toBe('miss')
  })

  test('answers that do not say which companies they hold, by any change at all', async () => {
    const unnamed = { query: '{ company(id: "acme") { name } }' }
    await warm(edge, unnamed)
    edge.announce('other', ['order.placed'])
    expect(state(await edge.post(unnamed, acme))).toBe('miss')
  })
})

describe('never stale', () => {
  test('an answer that was loaded before a change and comes after its invalidation is not kept', async () => {
    const gate = Promise.withResolvers<void>()
    edge.world.afterRead = () => gate.promise
    const before = edge.post({ query }, acme)
    await expect.poll(() => edge.world.loads).toBe(1)
    edge.world.companies.get('acme')!.name = 'Acme & Sons'
    edge.announce('acme')
    gate.resolve()
    expect((await before).body.data).toEqual({ company: { id: 'acme', name: 'Acme' } })
    const after = await edge.post({ query }, acme)
    expect([state(after), after.body.data]).toEqual(['miss', { company: { id: 'acme', name: 'Acme & Sons' } }])
  })

  test('a load after a change is told to read at the change, so that no lagging replica answers it', async () => {
    edge.announce('acme')
    edge.announce('acme')
    await edge.post({ query }, acme)
    const position = decodePosition(edge.world.contexts.at(-1)?.position ?? '')
    expect(position).toEqual({ epoch: 1, shards: new Map([['one', 2n]]) })
  })

  test('who sends a position gets no answer from before it, and one from it on', async () => {
    edge.announce('acme')
    await warm(edge, { query })
    const at = (lsn: bigint): Record<string, string> => ({
      ...acme,
      'ledgerway-position': encodePosition({ epoch: 1, shards: new Map([[parseShardId('one'), lsn]]) }),
    })
    expect(state(await edge.post({ query }, at(1n)))).toBe('hit')
    expect(state(await edge.post({ query }, at(2n)))).toBe('miss')
    await warm(edge, { query }, at(2n))
    expect(state(await edge.post({ query }, acme))).toBe('hit')
    const elsewhere = encodePosition({ epoch: 1, shards: new Map([[parseShardId('two'), 1n]]) })
    expect(state(await edge.post({ query }, { ...acme, 'ledgerway-position': elsewhere }))).toBe('miss')
  })

  test('a writer reads its own write at once, without sending anything back', async () => {
    await warm(edge, { query })
    await edge.post({ query: 'mutation { rename(id: "acme", name: "Renamed") { id } }' }, acme)
    expect((await edge.post({ query }, acme)).body.data).toEqual({ company: { id: 'acme', name: 'Renamed' } })
  })

  test('under a storm of changes during fills, no answer is older than the last change announced before it was asked for', async () => {
    const { world, announce, post } = edge
    const company = world.companies.get('acme')!
    let version = 0
    company.name = '0'
    const change = (): void => {
      version += 1
      company.name = String(version)
      announce('acme')
    }
    let loads = 0
    world.afterRead = async () => {
      loads += 1
      // A load has read, and its answer is on the way: now the change comes.
      if (loads % 2 === 0) change()
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
    }
    let hits = 0
    let reads = 0
    const read = async (): Promise<void> => {
      for (let i = 0; i < 30; i++) {
        reads += 1
        if (reads % 20 === 0) change()
        const known = version
        const answer = await post({ query }, acme)
        if (state(answer) === 'hit') hits += 1
        expect(Number((answer.body.data as { company: { name: string } }).company.name)).toBeGreaterThanOrEqual(known)
      }
    }
    await Promise.all(Array.from({ length: 8 }, read))
    expect(version).toBeGreaterThanOrEqual(12)
    expect(hits).toBeGreaterThan(0)
  })

  test('while the changes of a shard cannot be had, nothing kept is given out', async () => {
    let unreachable = false
    await using own = await startEdge({
      deps: {
        caching: {
          cache: createMemoryAnswerCache(),
          changes: {
            subscribe: () => ({ [Symbol.dispose]() {} }),
            health: () => ({ bus: true, unreachable: unreachable ? [parseShardId('one')] : [] }),
          },
          epoch: () => 1,
        },
      },
    })
    await warm(own, { query })
    unreachable = true
    expect(state(await own.post({ query }, acme))).toBe('bypass')
  })
})

test('what a mutation answers with is forgotten before its answer arrives, for everybody', async () => {
  await warm(edge, { query }, other)
  await edge.post({ query: 'mutation { rename(id: "acme", name: "New") { id } }' }, acme)
  expect((await edge.post({ query }, other)).body.data).toEqual({ company: { id: 'acme', name: 'New' } })
})

test('what another process is loading is waited for, and loaded here when it takes too long', async () => {
  const cache = createMemoryAnswerCache()
  let onLook = (): void => {}
  const watched: AnswerCache = { ...cache, get: (key) => cache.get(key).finally(() => onLook()) }
  await using here = await startEdge({ cache })
  await using there = await startEdge({ cache: watched })
  const gate = Promise.withResolvers<void>()
  here.world.afterRead = () => gate.promise
  const first = here.post({ query }, acme)
  await expect.poll(() => here.world.loads).toBe(1)
  const late = await there.post({ query }, acme)
  expect([state(late), there.world.loads]).toEqual(['miss', 1])

  const looked = Promise.withResolvers<void>()
  here.world.afterRead = () => looked.promise
  gate.resolve()
  await first
  const again = { query: '{ companies { id } }' }
  const loading = here.post(again, acme)
  await expect.poll(() => here.world.loads).toBe(2)
  onLook = looked.resolve
  expect(state(await there.post(again, acme))).toBe('hit')
  await loading
})
