import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { anonymous } from '../../core/request.ts'
import { putSectors } from '../../network/sectors.ts'
import { admin, type Answer, companyKey, createSubgraphWorld, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
const ids: CompanyId[] = Array.from({ length: 24 }, (_, i) => parseCompanyId(`company-${String(i).padStart(2, '0')}`))
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 3 })
  await putSectors(world.store, [{ code: 'energy', name: 'Energy' }])
  for (const id of ids) {
    const identifiers = [{ scheme: 'symbol', value: id.toUpperCase() }]
    await world.companies.create({ id, name: `Name of ${id}`, sector: 'energy', identifiers }, {})
  }
})
afterAll(() => world[Symbol.asyncDispose]())

const shardsOf = (companyIds: readonly CompanyId[]) => new Set(companyIds.map((id) => world.store.shardOf(id))).size

describe.each(['inProcess', 'overHttp'] as const)('the companies subgraph %s', (way) => {
  const ask: SubgraphWorld['inProcess'] = (...args) => world[way](...args)

  test('answers for many references with one statement a shard, sectors included', async () => {
    const answer = await ask(
      'companies',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { id name sector { code name } } } }`,
      { variables: { of: ids.map((id) => ({ __typename: 'Company', id })) } },
    )
    expect(answer.codes).toEqual([])
    expect(answer.data['_entities']).toEqual(
      ids.map((id) => ({ id, name: `Name of ${id}`, sector: { code: 'energy', name: 'Energy' } })),
    )
    expect(answer.statements).toBe(shardsOf(ids))
  })

  test('asked for twice in one operation, a company is read once', async () => {
    const answer = await ask(
      'companies',
      `{ a: company(id: "company-01") { name } b: company(id: "company-01") { id } }`,
    )
    expect(answer.data).toEqual({ a: { name: 'Name of company-01' }, b: { id: 'company-01' } })
    expect(answer.statements).toBe(1)
  })

  test('many identifiers cost one statement a shard', async () => {
    const fields = ids.map(
      (id, i) => `f${i}: companyByIdentifier(scheme: "symbol", value: "${id.toUpperCase()}") { id }`,
    )
    const answer = await ask(
      'companies',
      `{ ${fields.join(' ')} none: companyByIdentifier(scheme: "x", value: "y") { id } }`,
    )
    expect(answer.data).toMatchObject({ f0: { id: ids[0] }, f23: { id: ids[23] }, none: null })
    expect(answer.statements).toBe(3)
  })

  test('a page of companies costs one statement a shard and goes on behind its cursor', async () => {
    const query = `query ($after: String) {
      companies(first: 10, after: $after, search: "company") {
        nodes { id identifiers { scheme value } } pageInfo { hasNextPage hasPreviousPage endCursor }
      }
    }`
    const first = await ask('companies', query)
    expect(first.statements).toBe(3)
    const pageOf = ({ data }: Answer) =>
      data['companies'] as unknown as { nodes: object[]; pageInfo: { endCursor: string } }
    expect(pageOf(first).pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false })
    const second = await ask('companies', query, { variables: { after: pageOf(first).pageInfo.endCursor } })
    expect(pageOf(second).pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true })
    expect(new Set([...pageOf(first).nodes, ...pageOf(second).nodes].map((node) => JSON.stringify(node))).size).toBe(20)
  })

  test('an unknown id is null, a malformed one an error of its own field only', async () => {
    const answer = await ask(
      'companies',
      `{ a: company(id: "nobody") { id } b: company(id: "NO SUCH") { id } c: company(id: "company-02") { id } }`,
    )
    expect(answer.data).toEqual({ a: null, b: null, c: { id: 'company-02' } })
    expect(answer.codes).toEqual(['INVALID_ID'])
    expect(answer.paths).toEqual([['b']])
  })

  test('a malformed reference among good ones is its own error', async () => {
    const of = [
      { __typename: 'Company', id: 'company-03' },
      { __typename: 'Company', id: '!' },
    ]
    const answer = await ask(
      'companies',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { id } } }`,
      {
        variables: { of },
      },
    )
    expect(answer.data).toEqual({ _entities: [{ id: 'company-03' }, null] })
    expect(answer.codes).toEqual(['INVALID_ID'])
  })

  test.each([
    ['too long a page', `{ companies(first: 101) { nodes { id } } }`, 'LIST_TOO_LONG'],
    ['a cursor of nobody', `{ companies(after: "x") { nodes { id } } }`, 'INVALID_CURSOR'],
    ['a field that is not there', `{ company(id: "a") { nothing } }`, 'GRAPHQL_VALIDATION_FAILED'],
    ['what is not GraphQL', `{ company(`, 'GRAPHQL_PARSE_FAILED'],
    ['a variable of the wrong type', `query ($f: Int!) { companies(first: $f) { nodes { id } } }`, 'BAD_USER_INPUT'],
  ])('%s is refused with a code', async (_, query, code) => {
    const answer = await ask('companies', query, { variables: { f: 'many' } })
    expect(answer.codes).toEqual([code])
  })

  test('without a key nothing is answered, and a company cannot do what is for administrators', async () => {
    expect((await ask('companies', `{ company(id: "company-01") { id } }`, { as: anonymous })).codes).toEqual([
      'UNAUTHENTICATED',
    ])
    const create = `mutation { createCompany(input: { name: "x" }) { company { id } } }`
    expect((await ask('companies', create, { as: companyKey('company-01') })).codes).toEqual(['FORBIDDEN'])
    const update = `mutation { updateCompany(input: { id: "company-02", name: "x" }) { company { id } } }`
    expect((await ask('companies', update, { as: companyKey('company-01') })).codes).toEqual(['FORBIDDEN'])
  })

  test('fields of one mutation see what the ones before them wrote', async () => {
    const id = `made-${way.toLowerCase()}`
    const answer = await ask(
      'companies',
      `mutation ($id: ID!) {
        createCompany(input: { id: $id, name: "One", sector: "energy" }) { company { name sector { name } } position }
        a: updateCompany(input: { id: $id, name: "Two" }) { company { name } }
        b: updateCompany(input: { id: $id, sector: null, seat: "Rom" }) { company { name seat sector { name } } }
        again: createCompany(input: { id: $id, name: "Three" }) { company { id } }
      }`,
      { variables: { id } },
    )
    expect(answer.codes).toEqual(['ALREADY_EXISTS'])
    expect(answer.written).toHaveLength(3)
    const read = await ask('companies', `query ($id: ID!) { company(id: $id) { name seat sector { code } } }`, {
      variables: { id },
      position: answer.written.at(-1) ?? '',
    })
    expect(read.data).toEqual({ company: { name: 'Two', seat: 'Rom', sector: null } })
  })

  test('a position that nobody gave out is refused', async () => {
    const answer = await ask('companies', `{ sectors { code } }`, { position: 'nowhere' })
    expect(answer.codes).toEqual(['INVALID_POSITION'])
  })

  test('a name cannot be cleared', async () => {
    const answer = await ask(
      'companies',
      `mutation { updateCompany(input: { id: "company-02", name: null }) { position } }`,
    )
    expect(answer.codes).toEqual(['BAD_USER_INPUT'])
  })

  test('a shard that is down fails its own companies and no other', async () => {
    const down = ids[0] as CompanyId
    const cable = world.cableOf(down)
    await cable.cut()
    try {
      const fields = ids.map((id, i) => `f${i}: company(id: "${id}") { id }`)
      const answer = await ask('companies', `{ ${fields.join(' ')} }`)
      const failing = ids.flatMap((id, i) => (world.store.shardOf(id) === world.store.shardOf(down) ? [`f${i}`] : []))
      expect(answer.paths).toEqual(failing.map((field) => [field]))
      expect(new Set(answer.codes)).toEqual(new Set(['SHARD_UNAVAILABLE']))
      const answered = Object.entries(answer.data).filter(([, company]) => company !== null)
      expect(answered).toHaveLength(ids.length - failing.length)
    } finally {
      await cable.mend()
    }
    const codes = async () => (await ask('companies', `{ company(id: "${down}") { id } }`)).codes
    await expect.poll(codes).toEqual([])
  })
})

test('the same query gives the same answer in process and over HTTP', async () => {
  const queries = [
    `{ companies(first: 5) { edges { cursor node { id name founded } } pageInfo { endCursor } } sectors { code name } }`,
    `{ company(id: "company-05") { id relationshipStats { total meanRatingGiven } network(depth: 2) { nodes { distance } } } }`,
    `{ company(id: "!") { id } }`,
    `{ _service { sdl } }`,
  ]
  for (const query of queries) {
    const [here, there] = [await world.inProcess('companies', query), await world.overHttp('companies', query)]
    expect(there).toEqual(here)
  }
})

test('over HTTP a principal that nobody signed is refused', async () => {
  const response = await fetch(world.urls.get('companies') ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer made.up.token' },
    body: JSON.stringify({ query: '{ sectors { code } }' }),
  })
  expect(response.status).toBe(401)
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
})

test('relationships over GraphQL: invited, accepted, rated, seen by both sides only, and countersigned', async () => {
  const [buyer, seller] = ['company-10', 'company-11']
  const id = `${buyer}~${seller}~supply`
  const ask = world.inProcess
  const deliver = async () => {
    for (const _ of [1, 2, 3])
      for (const id of [buyer, seller]) await world.counterparts.deliver(id as CompanyId, 0, 50)
  }
  const invited = await ask(
    'companies',
    `mutation { inviteRelationship(input: { partnerId: "${seller}", role: BUYER, kind: "supply", terms: { days: 30 } }) {
      relationship { id status buyer { name } seller { name } terms countersignatures { verified receivedId } } } }`,
    { as: companyKey(buyer) },
  )
  expect(invited.codes).toEqual([])
  expect(invited.data['inviteRelationship']).toEqual({
    relationship: {
      id,
      status: 'INVITED',
      buyer: { name: `Name of ${buyer}` },
      seller: { name: `Name of ${seller}` },
      terms: { days: 30 },
      countersignatures: [{ verified: false, receivedId: null }],
    },
  })
  await deliver()
  const accept = `mutation { acceptRelationship(input: { id: "${id}" }) { relationship { status activeAt } } }`
  expect((await ask('companies', accept, { as: companyKey(buyer) })).codes).toEqual(['INVALID_TRANSITION'])
  expect((await ask('companies', accept, { as: companyKey('company-12') })).codes).toEqual(['FORBIDDEN'])
  expect((await ask('companies', accept, { as: companyKey(seller) })).data).toMatchObject({
    acceptRelationship: { relationship: { status: 'ACTIVE' } },
  })
  await deliver()
  await ask('companies', `mutation { rateRelationship(input: { id: "${id}", rating: 9 }) { position } }`, {
    as: companyKey(buyer),
  })
  await deliver()

  const seen = `{ relationship(id: "${id}") { status rating countersignatures { action byId verified } } }`
  const whole = {
    relationship: {
      status: 'ACTIVE',
      rating: 9,
      countersignatures: [
        { action: 'invite', byId: buyer, verified: true },
        { action: 'accept', byId: seller, verified: true },
        { action: 'rate', byId: buyer, verified: true },
      ],
    },
  }
  for (const as of [companyKey(buyer), companyKey(seller), admin]) {
    expect((await ask('companies', seen, { as })).data).toEqual(whole)
  }
  expect((await ask('companies', seen, { as: companyKey('company-12') })).codes).toEqual(['FORBIDDEN'])

  // A record that was tampered with no longer has its leaf, whatever the other ledger says.
  await world.store.onPrimary(
    world.store.shardOf(seller as CompanyId),
    (sql) => sql`
      update ledger_records set data = replace(data, '"action":"accept"', '"action":"resume"')
      where company_id = ${seller} and kind = 'relationship.accepted'`,
  )
  const tampered = await ask('companies', seen)
  expect(tampered.data).toMatchObject({
    relationship: {
      countersignatures: [{ verified: true }, { action: 'resume', verified: false }, { verified: true }],
    },
  })
  const listed = `{ company(id: "${buyer}") {
    relationships { nodes { id } } relationshipStats { total meanRatingGiven meanRatingReceived counts { role status count } }
    network { nodes { company { id } distance } edges { relationshipId status } truncated }
    mutualPartners(with: "${seller}") { total } users { id }
  } }`
  expect((await ask('companies', listed, { as: companyKey(buyer) })).data).toEqual({
    company: {
      relationships: { nodes: [{ id }] },
      relationshipStats: {
        total: 1,
        meanRatingGiven: 9,
        meanRatingReceived: null,
        counts: [{ role: 'BUYER', status: 'ACTIVE', count: 1 }],
      },
      network: {
        nodes: [
          { company: { id: buyer }, distance: 0 },
          { company: { id: seller }, distance: 1 },
        ],
        edges: [{ relationshipId: id, status: 'ACTIVE' }],
        truncated: false,
      },
      mutualPartners: { total: 0 },
      users: [],
    },
  })
  const stranger = await ask('companies', listed, { as: companyKey('company-12') })
  expect(stranger.data).toMatchObject({
    company: { relationships: null, users: null, relationshipStats: { total: 1 } },
  })
  expect(stranger.codes).toEqual(['FORBIDDEN', 'FORBIDDEN'])
})

test('users of a company have roles, and their names are nowhere but in the private part of the ledger', async () => {
  const as = companyKey('company-13')
  const put = await world.inProcess(
    'companies',
    `mutation { putUser(input: { companyId: "company-13", userId: "u1", name: "Ada L", email: "ada@example.com", roles: [AUDITOR, OWNER] }) {
      user { id name roles company { name } } } }`,
    { as },
  )
  expect(put.data).toEqual({
    putUser: {
      user: {
        id: 'company-13:u1',
        name: 'Ada L',
        roles: ['OWNER', 'AUDITOR'],
        company: { name: 'Name of company-13' },
      },
    },
  })
  const listed = await world.inProcess('companies', `{ company(id: "company-13") { users { id email } } }`, { as })
  expect(listed.data).toEqual({ company: { users: [{ id: 'company-13:u1', email: 'ada@example.com' }] } })
  const data = await world.store.readOne(ids[13] as CompanyId, async (sql) => {
    const rows = await sql<{ data: string }[]>`select data from ledger_records where company_id = 'company-13'`
    return rows.map(({ data }) => data).join()
  })
  expect(data).not.toContain('Ada')
  const removed = await world.inProcess(
    'companies',
    `mutation { removeUser(companyId: "company-13", userId: "company-13:u1") }`,
    { as },
  )
  expect(removed.codes).toEqual([])
  expect((await world.inProcess('companies', `{ company(id: "company-13") { users { id } } }`, { as })).data).toEqual({
    company: { users: [] },
  })
})
