import { parse } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createFederatedGateway } from '../../gateway/executor/gateway.ts'
import { textSource } from '../../gateway/planner/supergraph-source.ts'
import { importNetwork, traderId } from '../../network/import-network.ts'
import { putSectors } from '../../network/sectors.ts'
import { supergraphSdl, type SubgraphName } from '../../schema/sdl.ts'
import { admin, createSubgraphWorld, requestContext, type SubgraphWorld } from './world.ts'

/** Statements are those that the store has sent, whatever the resolvers believe. */
let world: SubgraphWorld
const shardCount = 3
const partnerCount = 50
const hub = traderId('1')

async function* ratings() {
  for (let i = 0; i < partnerCount; i++)
    yield i % 2 === 0 ? `1,${100 + i},${(i % 21) - 10},1300000000` : `${100 + i},1,5,1300000001`
}

async function tradingWorld(shards: number): Promise<SubgraphWorld> {
  const made = await createSubgraphWorld({ shardCount: shards })
  await putSectors(made.store, [{ code: 'energy', name: 'Energy' }])
  await importNetwork(made, ratings())
  const traders = [hub, ...Array.from({ length: partnerCount }, (_, i) => traderId(String(100 + i)))]
  await Promise.all(traders.map((id) => made.companies.update(id, { sector: 'energy' }, {})))
  return made
}

beforeAll(async () => {
  world = await tradingWorld(shardCount)
  for (let i = 0; i < 20; i++) {
    const id = parseCompanyId(`listed-${String(i).padStart(2, '0')}`)
    await world.companies.create({ id, name: `AAA ${id}`, sector: 'energy' }, {})
    const records = [1, 2, 3].map((n) => ({ kind: 'n', source: 's', stream: 't', data: { n } }))
    await world.ledger.append(id, { records })
  }
})
afterAll(() => world[Symbol.asyncDispose]())

async function federated(query: string) {
  await using gateway = createFederatedGateway({
    supergraph: textSource(supergraphSdl()),
    logger: silentLogger,
    executor: (request, signal) => world.hosts[request.subgraph as SubgraphName].execute(request, signal),
  })
  await gateway.load()
  const context = requestContext(admin)
  const { data, errors, extensions } = await gateway.execute({ document: parse(query), context })
  return {
    data: JSON.parse(JSON.stringify(data)) as Record<string, never>,
    errors,
    partial: extensions?.['partial'],
    totals: context.statements.totals(),
  }
}

test('twenty companies with their sectors, last three records and webhooks: a statement a shard for each of three steps', async () => {
  const { data, errors, totals } = await federated(`{
    companies(first: 20) { nodes {
      id name sector { name }
      ledger { records(last: 3) { nodes { id data } } }
      webhooks { id url }
    } } }`)
  expect(errors).toBeUndefined()
  const { nodes } = data['companies'] as unknown as { nodes: { ledger: { records: { nodes: object[] } } }[] }
  expect(nodes).toHaveLength(20)
  expect(nodes[4]).toEqual({
    id: 'listed-04',
    name: 'AAA listed-04',
    sector: { name: 'Energy' },
    ledger: { records: { nodes: [1, 2, 3].map((n) => ({ id: `listed-04:${n}`, data: { n } })) } },
    webhooks: [],
  })
  for (const perShard of Object.values(totals)) expect(Object.values(perShard)).toEqual([1, 1, 1])
  expect(Object.keys(totals).sort()).toEqual(['companies', 'ops', 'records'])
})

test('fifty records with their proofs, and twenty ledgers at a moment, take a few statements a shard', async () => {
  for (const id of ['listed-00', 'listed-01']) {
    const records = Array.from({ length: 25 }, (_, n) => ({ kind: 'n', source: 's', stream: `t/${n}`, data: { n } }))
    await world.ledger.append(parseCompanyId(id), { records })
    await world.checkpoints.sign(parseCompanyId(id))
  }
  const proofs = `{ companies(first: 2) { nodes { ledger { records(last: 25) { nodes { proof } }
    consistencyProof(from: 1, to: 4) } } } }`
  const proven = await federated(proofs)
  expect(proven.errors).toBeUndefined()
  const texts = JSON.stringify(proven.data).match(/c2sp.org\/tlog-proof@v1/g)
  expect(texts).toHaveLength(50)
  // The pages; entries and checkpoints; tiles; and the same two for consistency.
  for (const count of Object.values(proven.totals['records'] ?? {})) expect(count).toBeLessThanOrEqual(5)

  const moments = await federated(`{ companies(first: 20) { nodes { ledger {
    asOf(position: 1) { size checkpoint { size } missing(required: ["t", "u"]) state { records { stream } } } } } } }`)
  expect(moments.errors).toBeUndefined()
  expect(JSON.stringify(moments.data).match(/"missing":\["u"\]/g)).toHaveLength(20)
  for (const count of Object.values(moments.totals['records'] ?? {})) expect(count).toBe(3)
})

const page = `relationships(first: 50, orderBy: RATING) { nodes {
  rating buyer { name sector { name } } seller { name sector { name } }
} }`
const ways = {
  'by its id': `{ company(id: "${hub}") { ${page} } }`,
  'as an entity': `{ _entities(representations: [{ __typename: "Company", id: "${hub}" }]) { ... on Company { ${page} } } }`,
}

/** What ends up in the answer and what it took, with loaders or without. */
async function measured(asked: Pick<SubgraphWorld, 'inProcess'>, query: string) {
  // Not the first of its kind: plans and connections are there.
  await asked.inProcess('companies', query)
  const start = performance.now()
  const { data, codes, statements } = await asked.inProcess('companies', query)
  return { data, codes, statements, ms: Math.round(performance.now() - start) }
}

test.each([1, 2, shardCount])(
  'fifty relationships with both names and sectors take one statement for the company with its page, and one a shard: %i shards; without loaders, many',
  async (shards) => {
    await using other = shards === shardCount ? null : await tradingWorld(shards)
    const asked = other ?? world
    for (const [way, query] of Object.entries(ways)) {
      const withLoaders = await measured(asked, query)
      expect(withLoaders.codes).toEqual([])
      expect(JSON.stringify(withLoaders.data).match(/"sector":\{"name":"Energy"\}/g)).toHaveLength(2 * partnerCount)
      expect(withLoaders.statements).toBe(1 + shards)

      const without = await measured(asked.without, query)
      expect(without.data).toEqual(withLoaders.data)
      expect(without.statements).toBe(1 + 1 + 2 * partnerCount)
      for (const [name, { statements, ms }] of Object.entries({ 'with loaders': withLoaders, without })) {
        console.log(
          `50 relationships of a company ${way}, ${shards} shards, ${name}: ${statements} statements, ${ms} ms`,
        )
      }
    }
  },
)

test('the same through the gateway, by its id and from a record in another subgraph', async () => {
  for (const query of [ways['by its id'], `{ record(id: "${hub}:1") { kind company { ${page} } } }`]) {
    const { data, errors, totals } = await federated(query)
    expect(errors).toBeUndefined()
    expect(JSON.stringify(data).match(/"sector":\{"name":"Energy"\}/g)).toHaveLength(2 * partnerCount)
    expect(Object.values(totals['companies'] ?? {}).reduce((sum, count) => sum + count)).toBe(1 + shardCount)
  }
})

test('statistics, partners and pages of many companies are one aggregate or page a shard', async () => {
  const fields = `... on Company { relationshipStats { total meanRatingGiven meanRatingReceived } }`
  const of = Array.from({ length: partnerCount }, (_, i) => ({ __typename: 'Company', id: traderId(String(100 + i)) }))
  const stats = await world.inProcess(
    'companies',
    `query ($of: [_Any!]!) { _entities(representations: $of) { ${fields} } }`,
    { variables: { of } },
  )
  expect(stats.statements).toBe(2 * shardCount)
  expect((stats.data['_entities'] as unknown as object[])[1]).toEqual({
    relationshipStats: { total: 1, meanRatingGiven: 5, meanRatingReceived: null },
  })
  const pages = await world.inProcess(
    'companies',
    `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company {
      relationships(first: 2) { nodes { id countersignatures { verified } } } mutualPartners(with: "${traderId('101')}") { total companies { name } }
    } } }`,
    { variables: { of } },
  )
  expect(pages.codes).toEqual([])
  // Companies with their pages, countersignatures, partners, and the mutual partner's name.
  expect(pages.statements).toBeLessThanOrEqual(4 * shardCount)
  expect((pages.data['_entities'] as unknown as object[])[0]).toMatchObject({
    mutualPartners: { total: 1, companies: [{ name: 'OTC trader 1' }] },
  })
})

test('pages of relationships go through all of them once in every order, and filters hold', async () => {
  const all = async (args: string) => {
    const ids: string[] = []
    for (let after: string | null = null; ;) {
      const { data, codes } = await world.inProcess(
        'companies',
        `query ($after: String) { company(id: "${hub}") {
          relationships(first: 7, after: $after, ${args}) { nodes { id } pageInfo { hasNextPage endCursor } } } }`,
        { variables: { after } },
      )
      expect(codes).toEqual([])
      const { relationships: page } = data['company'] as unknown as {
        relationships: { nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } }
      }
      ids.push(...page.nodes.map(({ id }) => id))
      if (!page.pageInfo.hasNextPage) return ids
      after = page.pageInfo.endCursor
    }
  }
  for (const order of ['NEWEST', 'OLDEST', 'RATING']) {
    const ids = await all(`orderBy: ${order}`)
    expect(ids).toHaveLength(partnerCount)
    expect(new Set(ids).size).toBe(partnerCount)
  }
  expect(await all('role: BUYER')).toHaveLength(partnerCount / 2)
  expect(await all('role: SELLER, status: ACTIVE, kind: "trade"')).toHaveLength(partnerCount / 2)
  expect(await all('status: ENDED')).toEqual([])
})

test('a neighbourhood costs a statement a shard a step, and one a shard for its edges', async () => {
  const { data, statements, codes } = await world.inProcess(
    'companies',
    `{ company(id: "${traderId('100')}") { network(depth: 2, limit: 30) { nodes { companyId distance } edges { relationshipId } truncated } } }`,
  )
  expect(codes).toEqual([])
  const { network } = data['company'] as unknown as {
    network: { nodes: { companyId: CompanyId; distance: number }[]; edges: object[]; truncated: boolean }
  }
  expect(network.nodes).toHaveLength(30)
  expect(network.nodes.slice(0, 2)).toEqual([
    { companyId: traderId('100'), distance: 0 },
    { companyId: hub, distance: 1 },
  ])
  expect(network.nodes.slice(2).every(({ distance }) => distance === 2)).toBe(true)
  expect(network.edges).toHaveLength(29)
  expect(network.truncated).toBe(true)
  expect(statements).toBeLessThanOrEqual(1 + 1 + 1 + shardCount)
  const deep = await world.inProcess('companies', `{ company(id: "${hub}") { network(depth: 4) { truncated } } }`)
  expect(deep.codes).toEqual(['BAD_USER_INPUT'])
  const wide = await world.inProcess('companies', `{ company(id: "${hub}") { network(limit: 501) { truncated } } }`)
  expect(wide.codes).toEqual(['LIST_TOO_LONG'])
})

test('the neighbourhoods of many companies cost what one costs, and each is what it is alone', async () => {
  const around = 'network(depth: 2, limit: 30) { nodes { companyId distance } edges { relationshipId } truncated }'
  const ids = [hub, 'listed-00', 'nobody', ...Array.from({ length: 20 }, (_, i) => traderId(String(100 + i)))]
  const together = await world.inProcess(
    'companies',
    `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { ${around} } } }`,
    { variables: { of: ids.map((id) => ({ __typename: 'Company', id })) } },
  )
  expect(together.codes).toEqual([])
  // The companies, two steps, the edges.
  expect(together.statements).toBeLessThanOrEqual(4 * shardCount)
  const alone = await Promise.all(
    ids.map((id) => world.inProcess('companies', `{ company(id: "${id}") { ${around} } }`)),
  )
  expect(together.data['_entities']).toEqual(alone.map(({ data }) => data['company']))
})

test('a neighbourhood says that there is more wherever its limit ends', async () => {
  const truncated = async (size: string) => {
    const { data } = await world.inProcess('companies', `{ company(id: "${hub}") { network(${size}) { truncated } } }`)
    return (data['company'] as unknown as { network: { truncated: boolean } }).network.truncated
  }
  expect(await truncated('limit: 1')).toBe(true)
  expect(await truncated(`limit: ${partnerCount}`)).toBe(true)
  expect(await truncated(`limit: ${1 + partnerCount}`)).toBe(false)
  expect(await truncated(`limit: ${1 + partnerCount}, depth: 3`)).toBe(false)
})

test('lists in lists in lists are refused where they become too many, and the rest is answered', async () => {
  const inner = 'relationships(first: 100) { nodes { buyer { id } } }'
  const middle = `relationships(first: 100) { nodes { buyer { ${inner} } } }`
  const few = await world.inProcess('companies', `{ company(id: "${hub}") { ${middle} } }`)
  expect(few.codes).toEqual([])
  const many = await world.inProcess(
    'companies',
    `{ company(id: "${hub}") { relationships(first: 100) { nodes { buyer { name ${middle} } } } } }`,
  )
  // Thousands are refused, for one reason.
  expect(many.codes).toEqual(Array(10).fill('LIST_TOO_LONG'))
  expect(many.paths.every((path) => (path as string[]).at(-1) === 'relationships')).toBe(true)
  expect(JSON.stringify(many.data)).toContain('"relationships":null')
  expect(JSON.stringify(many.data)).toContain('"relationships":{"nodes":[{"buyer":{"id"')
})

test('neighbourhoods fail alone where a shard of theirs is down', async () => {
  const isUp = (id: CompanyId) => world.store.shardOf(id) !== world.store.shardOf(hub)
  const alone = Array.from({ length: 10 }, (_, i) => parseCompanyId(`listed-1${i}`)).find(isUp)
  const partner = Array.from({ length: partnerCount }, (_, i) => traderId(String(100 + i))).find(isUp)
  const cable = world.cableOf(hub)
  await cable.cut()
  try {
    const { data, codes, paths } = await world.inProcess(
      'companies',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { network { nodes { distance } } } } }`,
      { variables: { of: [alone, partner].map((id) => ({ __typename: 'Company', id })) } },
    )
    // The partner's own shard is there, the hub's is not: what is between them is known only in part.
    expect(data['_entities']).toEqual([{ network: { nodes: [{ distance: 0 }] } }, { network: null }])
    expect([codes, paths]).toEqual([['SHARD_UNAVAILABLE'], [['_entities', 1, 'network']]])
  } finally {
    await cable.mend()
  }
  const codes = async () => (await world.inProcess('companies', `{ company(id: "${hub}") { id } }`)).codes
  await expect.poll(codes).toEqual([])
})

test('where that is allowed, a neighbourhood is what the other shards know while one is down, which is named', async () => {
  const traders = [hub, ...Array.from({ length: partnerCount }, (_, i) => traderId(String(100 + i)))]
  const away = traders.find((id) => world.store.shardOf(id) !== world.store.shardOf(hub)) as CompanyId
  const network = (depth: number, allowPartial: boolean, center: CompanyId = hub) =>
    federated(`{ company(id: "${center}") {
      network(depth: ${depth}, limit: 100, allowPartial: ${allowPartial}) {
        nodes { companyId distance } edges { relationshipId buyerId sellerId } truncated
      } } }`)
  const whole = await network(2, false)
  expect(await network(2, true)).toMatchObject({ data: whole.data, errors: undefined, partial: undefined })
  const cable = world.cableOf(away)
  await cable.cut()
  try {
    for (const depth of [1, 2]) {
      const { data, errors, partial } = await network(depth, true)
      // The hub's own shard knows all that it has agreed, as buyer and as seller.
      expect([errors, data]).toEqual([undefined, whole.data])
      expect(partial).toEqual({ shards: [world.store.shardOf(away)] })
    }
    const refused = await network(1, false)
    expect(refused.errors?.map(({ extensions }) => extensions['code'])).toEqual(['SHARD_UNAVAILABLE'])
    expect(refused.partial).toBeUndefined()
    // Of a company whose own shard is away there is nothing to show.
    expect((await network(1, true, away)).data).toEqual({ company: null })
  } finally {
    await cable.mend()
  }
  const codes = async () => (await network(2, false)).errors
  await expect.poll(codes).toBeUndefined()
})

test('while a partner’s shard is down, a company’s relationships are still there, without that partner’s name', async () => {
  const away = Array.from({ length: partnerCount }, (_, i) => traderId(String(100 + i))).find(
    (id) => world.store.shardOf(id) !== world.store.shardOf(hub),
  ) as CompanyId
  const cable = world.cableOf(away)
  await cable.cut()
  try {
    const { data, codes } = await world.inProcess(
      'companies',
      `{ company(id: "${hub}") { relationships(first: 50) { nodes { buyerId sellerId status buyer { name } seller { name } } } } }`,
    )
    expect(new Set(codes)).toEqual(new Set(['SHARD_UNAVAILABLE']))
    const { relationships: page } = data['company'] as unknown as {
      relationships: { nodes: { buyerId: string; sellerId: string; buyer: object | null; seller: object | null }[] }
    }
    expect(page.nodes).toHaveLength(partnerCount)
    const isAway = (id: string) => world.store.shardOf(id as CompanyId) === world.store.shardOf(away)
    for (const node of page.nodes) {
      expect([node.buyer === null, node.seller === null]).toEqual([isAway(node.buyerId), isAway(node.sellerId)])
    }
  } finally {
    await cable.mend()
  }
  const codes = async () =>
    (
      await world.inProcess(
        'companies',
        `{ company(id: "${hub}") { relationships(first: 50) { nodes { buyer { name } seller { name } } } } }`,
      )
    ).codes
  await expect.poll(codes).toEqual([])
})
