import { createClient } from 'graphql-ws'
import type { ExecutionResult } from 'graphql'
import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { admin, companyKey, createSubgraphWorld, requestContext, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
const ids: CompanyId[] = Array.from({ length: 20 }, (_, i) => parseCompanyId(`firm-${String(i).padStart(2, '0')}`))
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 2 })
  for (const id of ids) {
    await world.companies.create({ id, name: id }, {})
    const records = [1, 2, 3, 4].map((n) => ({ kind: 'trade.made', source: 'test', stream: 'trades', data: { n } }))
    await world.ledger.append(id, { records })
  }
})
afterAll(() => world[Symbol.asyncDispose]())

const references = (of: readonly CompanyId[]) => of.map((id) => ({ __typename: 'Company', id }))
const append = `mutation ($input: AppendRecordsInput!) {
  appendRecords(input: $input) { position records { id position version data occurredAt previousLeaf leaf company { id } } }
}`

describe.each(['inProcess', 'overHttp'] as const)('the records subgraph %s', (way) => {
  const ask: SubgraphWorld['inProcess'] = (...args) => world[way](...args)

  test('the last three records of twenty companies are one statement a shard', async () => {
    const answer = await ask(
      'records',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company {
        ledger { origin records(last: 3) { nodes { position data kind } pageInfo { hasPreviousPage hasNextPage } } }
      } } }`,
      { variables: { of: references(ids) } },
    )
    expect(answer.codes).toEqual([])
    expect(answer.statements).toBe(2)
    const entities = answer.data['_entities'] as unknown as object[]
    expect(entities).toHaveLength(20)
    expect(entities[7]).toEqual({
      ledger: {
        origin: `test/${ids[7]}`,
        records: {
          nodes: [2, 3, 4].map((n) => ({ position: n, data: { n }, kind: 'trade.made' })),
          pageInfo: { hasPreviousPage: true, hasNextPage: false },
        },
      },
    })
  })

  test('pages go forwards and backwards by cursor, and filters apply', async () => {
    const page = async (args: string) => {
      const { data } = await ask(
        'records',
        `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { ledger {
          size head records(${args}) { edges { cursor node { position } } pageInfo { hasNextPage endCursor startCursor } }
        } } } }`,
        { variables: { of: references(ids.slice(0, 1)) } },
      )
      const [entity] = data['_entities'] as unknown as {
        ledger: {
          size: number
          records: {
            edges: { cursor: string; node: { position: number } }[]
            pageInfo: { hasNextPage: boolean; endCursor: string; startCursor: string }
          }
        }
      }[]
      return { size: entity?.ledger.size, ...entity!.ledger.records }
    }
    const first = await page('first: 2')
    expect(first.size).toBe(5)
    expect(first.edges.map(({ node }) => node.position)).toEqual([0, 1])
    const second = await page(`first: 2, after: "${first.pageInfo.endCursor}"`)
    expect(second.edges.map(({ node }) => node.position)).toEqual([2, 3])
    const before = await page(`last: 2, before: "${second.pageInfo.startCursor}"`)
    expect(before.edges).toEqual(first.edges)
    const filtered = await page(`first: 10, filter: { kinds: ["company.created"] }`)
    expect(filtered.edges.map(({ node }) => node.position)).toEqual([0])
  })

  test('an append answers with its records and a position that reads see', async () => {
    const id = parseCompanyId(`appended-${way.toLowerCase()}`)
    await world.companies.create({ id, name: id }, {})
    const input = {
      companyId: id,
      expected: [{ stream: 'orders', version: 0 }],
      records: [
        {
          kind: 'order.placed',
          source: 'shop',
          stream: 'orders',
          data: { total: '12.50' },
          occurredAt: '2026-01-02T03:04:05.678Z',
        },
        { kind: 'order.paid', source: 'shop', stream: 'orders', data: {} },
      ],
    }
    const answer = await ask('records', append, { variables: { input }, as: companyKey(id) })
    expect(answer.codes).toEqual([])
    expect(answer.data['appendRecords']).toMatchObject({
      records: [
        {
          id: `${id}:1`,
          version: 1,
          data: { total: '12.50' },
          occurredAt: '2026-01-02T03:04:05.678Z',
          company: { id },
        },
        { id: `${id}:2`, version: 2, data: {}, occurredAt: null },
      ],
    })
    expect(answer.written).toHaveLength(1)
    const read = await ask('records', `query ($id: ID!) { record(id: $id) { kind actor } }`, {
      variables: { id: `${id}:2` },
      position: answer.written[0]!,
    })
    expect(read.data).toEqual({ record: { kind: 'order.paid', actor: `key:of-${id}` } })
    const again = await ask('records', append, { variables: { input } })
    expect(again.codes).toEqual(['VERSION_CONFLICT'])
  })

  const record = { kind: 'a', source: 's', stream: 't', data: {} }
  test.each([
    [
      'too many records',
      { companyId: 'firm-00', records: Array.from({ length: 1001 }, () => record) },
      'LIST_TOO_LONG',
    ],
    ['a company that is not there', { companyId: 'nobody', records: [record] }, 'NOT_FOUND'],
    ['a malformed id', { companyId: 'NOBODY', records: [record] }, 'INVALID_ID'],
    ['a reserved kind', { companyId: 'firm-00', records: [{ ...record, kind: 'ledger.erased' }] }, 'BAD_USER_INPUT'],
    [
      'the kinds of relationships',
      { companyId: 'firm-00', records: [{ ...record, kind: 'relationship.invited' }] },
      'BAD_USER_INPUT',
    ],
    [
      'a kind that tells of a company, though by an administrator',
      { companyId: 'firm-00', records: [{ ...record, kind: 'company.created' }] },
      'BAD_USER_INPUT',
    ],
    [
      'Ledgerway as its source',
      { companyId: 'firm-00', records: [{ ...record, source: 'ledgerway' }] },
      'BAD_USER_INPUT',
    ],
    ['data that is a list', { companyId: 'firm-00', records: [{ ...record, data: [1] }] }, 'BAD_USER_INPUT'],
    [
      'a time that does not exist',
      { companyId: 'firm-00', records: [{ ...record, occurredAt: '2026-02-30T00:00:00.000Z' }] },
      'BAD_USER_INPUT',
    ],
    [
      'a time in another form',
      { companyId: 'firm-00', records: [{ ...record, occurredAt: '2026-02-03' }] },
      'BAD_USER_INPUT',
    ],
  ])('an append with %s is refused with a code', async (_, input, code) => {
    expect((await ask('records', append, { variables: { input } })).codes).toEqual([code])
  })

  test.each([
    ['9007199254740993', 'JSON_NUMBER_PRECISION'],
    ['1e20', 'JSON_NUMBER_PRECISION'],
    ['0.1234567890123456789', 'JSON_NUMBER_PRECISION'],
  ])('the literal %s in a query is refused, as in JSON', async (literal, code) => {
    const answer = await ask(
      'records',
      `mutation { appendRecords(input: { companyId: "firm-00", records: [{ kind: "a", source: "s", stream: "t", data: { n: ${literal} } }] }) { position } }`,
    )
    expect(answer.codes).toEqual([code])
  })

  test('a literal that repeats a key is refused', async () => {
    const answer = await ask(
      'records',
      `mutation { appendRecords(input: { companyId: "firm-00", records: [{ kind: "a", source: "s", stream: "t", data: { n: 1, n: 2 } }] }) { position } }`,
    )
    expect(answer.codes).toContain('JSON_DUPLICATE_KEY')
  })

  test.each([
    ['both ends', 'first: 1, last: 1', 'BAD_USER_INPUT'],
    ['too long a page', 'first: 101', 'LIST_TOO_LONG'],
    ['a negative size', 'last: -1', 'BAD_USER_INPUT'],
    [
      'a cursor of another ledger',
      `first: 1, after: "${Buffer.from('firm-01:1').toString('base64url')}"`,
      'INVALID_CURSOR',
    ],
  ])('a page with %s is refused with a code', async (_, args, code) => {
    const answer = await ask(
      'records',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { ledger { records(${args}) { nodes { id } } } } } }`,
      { variables: { of: references(ids.slice(0, 1)) } },
    )
    expect(answer.codes).toEqual([code])
    expect(answer.data).toEqual({ _entities: [{ ledger: null }] })
  })

  test.each(['first: 0', 'last: 0'])('a page of %s is empty and still tells that there is more', async (args) => {
    const answer = await ask(
      'records',
      `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { ledger { records(${args}) { nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } } } }`,
      { variables: { of: references(ids.slice(0, 1)) } },
    )
    const ahead = args === 'first: 0'
    const pageInfo = { hasNextPage: ahead, hasPreviousPage: !ahead, endCursor: null }
    expect(answer.data).toEqual({ _entities: [{ ledger: { records: { nodes: [], pageInfo } } }] })
  })

  test('a company reads its own ledger and no other', async () => {
    const query = `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { ledger { size } } } }`
    const answer = await ask('records', query, {
      variables: { of: references(ids.slice(0, 2)) },
      as: companyKey('firm-01'),
    })
    expect(answer.data).toEqual({ _entities: [{ ledger: null }, { ledger: { size: 5 } }] })
    expect(answer.codes).toEqual(['FORBIDDEN'])
    const other = await ask('records', `{ record(id: "firm-02:0") { id } }`, { as: companyKey('firm-01') })
    expect(other.codes).toEqual(['FORBIDDEN'])
  })

  test('records that are not there are null', async () => {
    expect(
      (await ask('records', `{ a: record(id: "firm-00:99") { id } b: record(id: "nobody:0") { id } }`)).data,
    ).toEqual({
      a: null,
      b: null,
    })
  })
})

describe('subscribing to appended records', () => {
  const query = `subscription ($id: ID!, $after: String, $kinds: [String!]) {
    recordAppended(companyId: $id, after: $after, kinds: $kinds) { cursor record { position data company { id } } } }`
  const event = (position: number, data: object, id: string) => ({
    recordAppended: { cursor: expect.any(String) as string, record: { position, data, company: { id } } },
  })

  async function listen(variables: Record<string, unknown>, as = admin) {
    const context = requestContext(as)
    const result = await world.hosts.records.execute(
      { subgraph: 'records', kind: 'subscription', query, variables, context },
      context.signal,
    )
    return result as AsyncGenerator<ExecutionResult> | ExecutionResult
  }

  test('goes on behind a cursor, then live, in order and once, and ends when it is left', async () => {
    const id = parseCompanyId('followed')
    await world.companies.create({ id, name: id }, {})
    const add = (n: number) =>
      world.ledger.append(id, { records: [{ kind: 'n', source: 's', stream: 't', data: { n } }] })
    await add(1)
    const live = (await listen({
      id,
      after: Buffer.from(`${id}:0`).toString('base64url'),
    })) as AsyncGenerator<ExecutionResult>
    const next = async () => JSON.parse(JSON.stringify((await live.next()).value)) as { data: object }
    expect((await next()).data).toEqual(event(1, { n: 1 }, id))
    await add(2)
    await add(3)
    expect((await next()).data).toEqual(event(2, { n: 2 }, id))
    expect((await next()).data).toEqual(event(3, { n: 3 }, id))
    const waiting = live.next()
    await live.return(undefined)
    expect((await waiting).done).toBe(true)
  })

  test('is refused with a code where it may not start', async () => {
    const codes = async (variables: Record<string, unknown>, as = admin) => {
      const { errors = [] } = (await listen(variables, as)) as ExecutionResult
      return errors.map(({ extensions }) => extensions['code'])
    }
    expect(await codes({ id: 'firm-00' }, companyKey('firm-01'))).toEqual(['FORBIDDEN'])
    expect(await codes({ id: 'firm-00', after: 'x' })).toEqual(['INVALID_CURSOR'])
    expect(await codes({ id: 'FIRM' })).toEqual(['INVALID_ID'])
  })

  test('comes over WebSocket to a gateway in another process, with the principal it signed', async () => {
    const id = parseCompanyId('far')
    await world.companies.create({ id, name: id }, {})
    const connect = (authorization: string) =>
      createClient({
        url: (world.urls.get('records') ?? '').replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: { authorization, 'ledgerway-request-id': 'r1' },
        retryAttempts: 0,
      })
    const client = connect(`Bearer ${await world.signer.sign(companyKey(id))}`)
    const after = Buffer.from(`${id}:`).toString('base64url')
    const events = client.iterate({ query, variables: { id, after } })
    const first = (await events.next()).value as ExecutionResult
    expect(first.data).toEqual(event(0, { identifiers: [], name: 'far' }, id))
    await world.ledger.append(id, { records: [{ kind: 'n', source: 's', stream: 't', data: { n: 1 } }] })
    expect(((await events.next()).value as ExecutionResult).data).toEqual(event(1, { n: 1 }, id))
    await client.dispose()

    const stranger = connect('Bearer nobody')
    const refused = await stranger
      .iterate({ query, variables: { id } })
      .next()
      .catch((error: unknown) => error)
    expect(refused).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    await stranger.dispose()
  })
})

test('what is broken inside is masked, and told to the log only', async () => {
  const answer = await world.inProcess(
    'records',
    `query ($of: [_Any!]!) { _entities(representations: $of) { __typename } }`,
    {
      variables: { of: [{ __typename: 'Nothing', id: 'x' }] },
    },
  )
  expect(answer.codes).toEqual(['INTERNAL_SERVER_ERROR'])
})
