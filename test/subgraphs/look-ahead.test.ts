import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { importNetwork, traderId } from '../../network/import-network.ts'
import { companyKey, createSubgraphWorld, type SubgraphWorld } from './world.ts'

/** A company and its page of relationships come in one statement, whichever way the query asks for them. */
let world: SubgraphWorld
const hub = traderId('1')
const partners = Array.from({ length: 12 }, (_, i) => traderId(String(100 + i)))

async function* ratings() {
  for (const [i] of partners.entries()) yield `1,${100 + i},${i - 6},${1_300_000_000 + i}`
  yield '100,101,3,1300000100'
}

beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 2 })
  await importNetwork(world, ratings())
})
afterAll(() => world[Symbol.asyncDispose]())

const newest = (count: number) => partners.toReversed().slice(0, count)
const oldest = (count: number) => partners.slice(0, count)
const pageOf = (sellers: readonly CompanyId[]) => ({ nodes: sellers.map((sellerId) => ({ sellerId })) })
const nodes = '{ nodes { sellerId } }'

const declarations = { three: 'Int', by: 'RelationshipOrder', missing: 'Int', yes: 'Boolean!', no: 'Boolean!' }
const variables = { three: 3, by: 'OLDEST', yes: true, no: false }
const fragments = {
  Four: `fragment Four on Company { relationships(first: 4) ${nodes} }`,
  More: 'fragment More on Company { relationships(first: 1) { pageInfo { hasNextPage } } }',
}
type Case = [name: string, selection: string, expected: object, statements: number]
const cases: Case[] = [
  ['a field', `relationships(first: 2) ${nodes}`, { relationships: pageOf(newest(2)) }, 1],
  ['defaults', `relationships ${nodes}`, { relationships: pageOf(newest(12)) }, 1],
  ['nulls', `relationships(first: null, role: null) ${nodes}`, { relationships: pageOf(newest(12)) }, 1],
  ['variables', `relationships(first: $three, orderBy: $by) ${nodes}`, { relationships: pageOf(oldest(3)) }, 1],
  ['a variable not given', `relationships(first: $missing) ${nodes}`, { relationships: pageOf(newest(12)) }, 1],
  ['an alias', `its: relationships(first: 1) ${nodes}`, { its: pageOf(newest(1)) }, 1],
  ['a fragment', '...Four', { relationships: pageOf(newest(4)) }, 1],
  ['fragments inside', '... { ... on Company { ...Four } }', { relationships: pageOf(newest(4)) }, 1],
  [
    'a field that stands twice',
    `relationships(first: 1) ${nodes} ...More`,
    { relationships: { ...pageOf(newest(1)), pageInfo: { hasNextPage: true } } },
    1,
  ],
  [
    'one page by two names',
    `a: relationships(first: 1) ${nodes} b: relationships(first: 1) ${nodes}`,
    { a: pageOf(newest(1)), b: pageOf(newest(1)) },
    1,
  ],
  [
    'two pages',
    `a: relationships(first: 1) ${nodes} b: relationships(first: 1, orderBy: OLDEST) ${nodes}`,
    { a: pageOf(newest(1)), b: pageOf(oldest(1)) },
    2,
  ],
  [
    'two, of which one is left out',
    `a: relationships @skip(if: $yes) ${nodes} b: relationships(first: 2) @include(if: $yes) ${nodes}`,
    { b: pageOf(newest(2)) },
    1,
  ],
  ['a fragment left out', `...Four @include(if: $no) b: relationships(first: 2) ${nodes}`, { b: pageOf(newest(2)) }, 1],
  ['no page', 'id', { id: hub }, 1],
  ['an empty page', `relationships(status: ENDED) ${nodes}`, { relationships: pageOf([]) }, 1],
  [
    'a page of nothing',
    'relationships(first: 0) { nodes { id } pageInfo { hasNextPage } }',
    { relationships: { nodes: [], pageInfo: { hasNextPage: true } } },
    1,
  ],
]

test.each(cases)('%s, by a company’s id and as an entity', async (_, selection, expected, statements) => {
  const ways = {
    company: `company(id: "${hub}") { ${selection} }`,
    _entities: `_entities(representations: { __typename: "Company", id: "${hub}" }) {
      ... on _Entity { ... on Company { ${selection} } } }`,
  }
  const used = Object.entries(declarations).filter(([name]) => selection.includes(`$${name}`))
  const declared = used.length === 0 ? '' : `(${used.map(([name, type]) => `$${name}: ${type}`).join(' ')})`
  const spread = Object.entries(fragments).filter(([name]) => selection.includes(`...${name}`))
  for (const [root, fields] of Object.entries(ways)) {
    const query = `query ${declared} { ${fields} } ${spread.map(([, text]) => text).join(' ')}`
    const answer = await world.inProcess('companies', query, { variables })
    expect(answer.codes).toEqual([])
    expect([answer.data[root]].flat()).toEqual([expected])
    expect(answer.statements).toBe(statements)
  }
})

test('arguments that cannot be are an error of their own field, and another page is right', async () => {
  const { data, codes, paths, statements } = await world.inProcess(
    'companies',
    `{ company(id: "${hub}") { name far: relationships(first: 101) ${nodes} odd: relationships(after: "x") ${nodes}
      its: relationships(first: 1) ${nodes} } }`,
  )
  expect(data['company']).toEqual({ name: 'OTC trader 1', far: null, odd: null, its: pageOf(newest(1)) })
  expect(Object.fromEntries(paths.map((path, i) => [String(path), codes[i]]))).toEqual({
    'company,far': 'LIST_TOO_LONG',
    'company,odd': 'INVALID_CURSOR',
  })
  expect(statements).toBe(1)
})

test('a page that may not be read is not read, and its company is answered', async () => {
  const query = `{ company(id: "${hub}") { name relationships(first: 1) ${nodes} } }`
  const other = await world.inProcess('companies', query, { as: companyKey(partners[0] ?? '') })
  expect(other).toMatchObject({
    data: { company: { name: 'OTC trader 1', relationships: null } },
    codes: ['FORBIDDEN'],
  })
  const own = await world.inProcess('companies', query, { as: companyKey(hub) })
  expect(own).toMatchObject({ data: { company: { relationships: pageOf(newest(1)) } }, codes: [], statements: 1 })
})

test('many companies and their pages are one statement a shard; unknown ones are null, malformed ones fail alone', async () => {
  const ids = [...partners, 'nobody', '../x', hub]
  const { data, codes, paths, statements } = await world.inProcess(
    'companies',
    `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { id relationships(first: 2) { nodes { id } } } } }`,
    { variables: { of: ids.map((id) => ({ __typename: 'Company', id })) } },
  )
  const found = data['_entities'] as unknown as ({ id: string; relationships: { nodes: object[] } } | null)[]
  expect(found.map((company) => company?.id ?? null)).toEqual([...partners, null, null, hub])
  expect(found.map((company) => company?.relationships.nodes.length ?? 0)).toEqual([
    ...partners.map((_, i) => (i < 2 ? 2 : 1)),
    0,
    0,
    2,
  ])
  expect([codes, paths]).toEqual([['INVALID_ID'], [['_entities', 13]]])
  expect(statements).toBe(2)
})

test('the partners’ own pages come with the partners', async () => {
  const { data, codes, statements } = await world.inProcess(
    'companies',
    `{ company(id: "${hub}") { relationships(first: 12) { nodes { seller { name relationships(first: 1) { nodes { buyerId } } } } } } }`,
  )
  expect(codes).toEqual([])
  expect(JSON.stringify(data).match(/"name":"OTC trader 1\d\d","relationships":\{"nodes":\[\{"buyerId"/g)).toHaveLength(
    12,
  )
  expect(statements).toBe(1 + 2)
})

test('while a shard is down, its companies fail with their pages, and the others are answered', async () => {
  const isAway = (id: CompanyId) => world.store.shardOf(id) !== world.store.shardOf(hub)
  const away = partners.find(isAway)
  if (away === undefined) throw new Error('all on one shard')
  const ids = [hub, ...partners]
  const cable = world.cableOf(away)
  await cable.cut()
  try {
    const { data, codes } = await world.inProcess(
      'companies',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { id relationships(first: 1) { nodes { id } } } } }`,
      { variables: { of: ids.map((id) => ({ __typename: 'Company', id })) } },
    )
    const found = data['_entities'] as unknown as ({ id: string; relationships: { nodes: object[] } } | null)[]
    expect(found.map((company) => company?.relationships.nodes.length ?? 0)).toEqual(
      ids.map((id) => (isAway(id) ? 0 : 1)),
    )
    expect(codes).toEqual(ids.filter(isAway).map(() => 'SHARD_UNAVAILABLE'))
  } finally {
    await cable.mend()
  }
  const codes = async () => (await world.inProcess('companies', `{ company(id: "${away}") { id } }`)).codes
  await expect.poll(codes).toEqual([])
})

test('a page that the shard cannot give leaves its company there', async () => {
  const shard = world.store.shardOf(hub)
  await world.store.onPrimary(shard, (sql) => sql`alter table relationships rename to relationships_away`)
  try {
    const { data, codes, paths } = await world.inProcess(
      'companies',
      `{ company(id: "${hub}") { name relationships(first: 1) ${nodes} } }`,
    )
    expect(data['company']).toEqual({ name: 'OTC trader 1', relationships: null })
    expect([codes, paths]).toEqual([['INTERNAL_SERVER_ERROR'], [['company', 'relationships']]])
  } finally {
    await world.store.onPrimary(shard, (sql) => sql`alter table relationships_away rename to relationships`)
  }
})
