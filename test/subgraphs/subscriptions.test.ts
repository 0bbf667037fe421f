import { type ExecutionResult, parse, print } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { decodePosition } from '../../core/position.ts'
import type { Principal, RequestContext } from '../../core/request.ts'
import type { SubgraphName } from '../../schema/sdl.ts'
import { eventually, someCompany } from '../support/feed.ts'
import { admin, companyKey, createSubgraphWorld, requestContext, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 2 })
})
afterAll(() => world[Symbol.asyncDispose]())

interface Watched extends AsyncDisposable {
  readonly events: ExecutionResult[]
  readonly ended: Promise<void>
}

async function watch(subgraph: SubgraphName, query: string, as: Principal = admin): Promise<Watched> {
  const end = new AbortController()
  const context: RequestContext = { ...requestContext(as), signal: end.signal }
  const stream = await world.hosts[subgraph].execute({ subgraph, kind: 'subscription', query, context }, end.signal)
  const events: ExecutionResult[] = []
  if (!(Symbol.asyncIterator in stream)) {
    events.push(stream)
    return { events, ended: Promise.resolve(), [Symbol.asyncDispose]: async () => undefined }
  }
  const ended = (async () => {
    for await (const event of stream) events.push(JSON.parse(JSON.stringify(event)) as ExecutionResult)
  })()
  return {
    events,
    ended,
    async [Symbol.asyncDispose]() {
      end.abort()
      await ended
    },
  }
}

async function newCompany(name: string): Promise<CompanyId> {
  const id = someCompany()
  await world.companies.create({ id, name }, { actor: 'test' })
  return id
}

/** What an event says in its field. */
const field = (event: ExecutionResult | undefined, name: string): { cursor: string; record: object } =>
  event!.data![name] as never
const codes = ({ events }: Watched): unknown[] =>
  events.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions['code']) ?? [])

describe('a subscription', () => {
  test('to a company brings each change of its profile with its state then, its cursor and its position', async () => {
    const id = await newCompany('Old name')
    await using watched = await watch(
      'companies',
      `subscription { companyChanged(companyId: "${id}") { cursor kind company { id name } } }`,
    )
    await world.ledger.change(id, async () => ({
      value: null,
      records: [{ kind: 'other', source: 's', stream: 't', data: {} }],
    }))
    await world.companies.update(id, { name: 'New name' }, { actor: 'test' })
    await eventually(() => expect(watched.events).toHaveLength(1))
    const [event] = watched.events
    expect(event?.data?.['companyChanged']).toMatchObject({
      kind: 'company.updated',
      company: { id, name: 'New name' },
    })
    expect([...decodePosition(String(event?.extensions?.['position'])).shards.keys()]).toEqual([
      world.store.shardOf(id),
    ])
    const { cursor } = field(event, 'companyChanged')
    await world.companies.update(id, { name: 'Newest name' }, { actor: 'test' })
    await using resumed = await watch(
      'companies',
      `subscription { companyChanged(companyId: "${id}", after: "${cursor}") { kind company { name } } }`,
    )
    await eventually(() =>
      expect(resumed.events.map(({ data }) => data?.['companyChanged'])).toEqual([
        { kind: 'company.updated', company: { name: 'Newest name' } },
      ]),
    )
  })

  test('to records takes only the kinds and streams asked for', async () => {
    const id = await newCompany('Filtered')
    await using watched = await watch(
      'records',
      `subscription { recordAppended(companyId: "${id}", kinds: ["a", "b"], streams: ["x"]) { record { kind stream position } } }`,
    )
    const records = ['a x', 'a y', 'c x', 'b x'].map((text) => {
      const [kind = '', stream = ''] = text.split(' ')
      return { kind, stream, source: 's', data: {} }
    })
    await world.ledger.append(id, { records })
    await eventually(() => expect(watched.events).toHaveLength(2))
    expect(watched.events.map((event) => field(event, 'recordAppended').record)).toEqual([
      { kind: 'a', stream: 'x', position: 1 },
      { kind: 'b', stream: 'x', position: 4 },
    ])
  })

  test.each(['kinds', 'streams'])('to records with %s that are empty is refused', async (list) => {
    const id = await newCompany('Nothing')
    await using watched = await watch(
      'records',
      `subscription { recordAppended(companyId: "${id}", ${list}: []) { cursor } }`,
    )
    expect(codes(watched)).toEqual(['BAD_USER_INPUT'])
  })

  test('to relationships brings what the ledger says of them, to the company and to nobody else', async () => {
    const [buyer, seller] = [await newCompany('Buyer'), await newCompany('Seller')]
    const query = `subscription { relationshipChanged(companyId: "${buyer}") { kind relationship { id status } } }`
    await using own = await watch('companies', query, companyKey(buyer))
    await using others = await watch('companies', query, companyKey(seller))
    expect(codes(others)).toEqual(['FORBIDDEN'])
    await world.relationships.invite({ buyer, seller, kind: 'supply', terms: null, rating: null }, buyer, {
      actor: 'test',
    })
    await eventually(() => expect(own.events).toHaveLength(1))
    expect(own.events[0]?.data?.['relationshipChanged']).toMatchObject({
      kind: 'relationship.invited',
      relationship: { id: `${buyer}~${seller}~supply`, status: 'INVITED' },
    })
  })

  test('to a job begins with its present state and ends when it is done; it is not found by another company', async () => {
    const id = await newCompany('With a job')
    const job = await world.jobs.submit({ name: 'verifyLedger', companyId: id, submittedBy: 'test' })
    const query = `subscription { jobChanged(id: "${job.id}") { id state } }`
    await using own = await watch('ops', query, companyKey(id))
    await using others = await watch('ops', query, companyKey(await newCompany('Other')))
    expect(codes(others)).toEqual(['NOT_FOUND'])
    await eventually(() =>
      expect(own.events.map(({ data }) => data?.['jobChanged'])).toEqual([{ id: job.id, state: 'WAITING' }]),
    )
  })

  test('without a key, or from behind a cursor of another ledger, does not start', async () => {
    const [id, other] = [await newCompany('One'), await newCompany('Other')]
    await using nobody = await watch('records', `subscription { recordAppended(companyId: "${id}") { cursor } }`, {
      kind: 'anonymous',
    })
    expect(codes(nobody)).toEqual(['UNAUTHENTICATED'])
    const cursor = Buffer.from(`${other}:0`).toString('base64url')
    await using foreign = await watch(
      'records',
      `subscription { recordAppended(companyId: "${id}", after: "${cursor}") { cursor } }`,
    )
    expect(codes(foreign)).toEqual(['INVALID_CURSOR'])
  })

  test('works an event out once for all who may share it, and apart for another principal', async () => {
    const id = await newCompany('Shared')
    const document = parse(`subscription { recordAppended(companyId: "${id}") { record { kind } } }`)
    const end = new AbortController()
    const next = async (principal: Principal): Promise<() => Promise<unknown>> => {
      const context: RequestContext = { ...requestContext(principal), signal: end.signal }
      const request = { subgraph: 'records', kind: 'subscription', query: print(document), document, context } as const
      const stream = (await world.hosts.records.execute(request, end.signal)) as AsyncIterable<ExecutionResult>
      const events = stream[Symbol.asyncIterator]()
      return async () => (await events.next()).value as unknown
    }
    const subscribers = [await next(admin), await next(admin), await next(companyKey(id))]
    const waiting = subscribers.map((event) => event())
    await world.ledger.append(id, { records: [{ kind: 'a', source: 's', stream: 't', data: {} }] })
    const [one, two, other] = await Promise.all(waiting)
    expect(one).toBe(two)
    expect(other).toEqual(one)
    expect(other).not.toBe(one)
    end.abort()
  })

  test('works an event out once for who came to it from different cursors, and apart for who asked for other kinds', async () => {
    const id = await newCompany('Resumed')
    const document = parse(
      `subscription ($after: String, $kinds: [String!]) { recordAppended(companyId: "${id}", after: $after, kinds: $kinds) { record { kind } } }`,
    )
    const end = new AbortController()
    const cursor = (position: number): string => Buffer.from(`${id}:${position}`).toString('base64url')
    await world.ledger.append(id, { records: ['a', 'b'].map((kind) => ({ kind, source: 's', stream: 't', data: {} })) })
    /** Past what it missed. */
    const live = async (variables: object, missed: number): Promise<() => Promise<unknown>> => {
      const context: RequestContext = { ...requestContext(admin), signal: end.signal }
      const request = { subgraph: 'records', kind: 'subscription', query: print(document), document, context } as const
      const asked = { ...request, variables: { ...variables } }
      const stream = (await world.hosts.records.execute(asked, end.signal)) as AsyncIterable<ExecutionResult>
      const events = stream[Symbol.asyncIterator]()
      for (let i = 0; i < missed; i += 1) await events.next()
      return async () => (await events.next()).value as unknown
    }
    const subscribers = [
      await live({ after: cursor(0) }, 2),
      await live({ after: cursor(1) }, 1),
      await live({ after: cursor(1), kinds: ['b'] }, 1),
    ]
    const waiting = subscribers.map((next) => next())
    await world.ledger.append(id, { records: [{ kind: 'b', source: 's', stream: 't', data: {} }] })
    const [far, near, filtered] = await Promise.all(waiting)
    expect(near).toBe(far)
    expect(filtered).toEqual(near)
    expect(filtered).not.toBe(near)
    end.abort()
  })

  test('works out what is public once for all with the same rights', async () => {
    const id = await newCompany('Public')
    const document = parse(`subscription { companyChanged(companyId: "${id}") { company { name } } }`)
    const end = new AbortController()
    const next = async (principal: Principal): Promise<() => Promise<unknown>> => {
      const context: RequestContext = { ...requestContext(principal), signal: end.signal }
      const query = print(document)
      const request = { subgraph: 'companies', kind: 'subscription', query, document, isPublic: true, context } as const
      const stream = (await world.hosts.companies.execute(request, end.signal)) as AsyncIterable<ExecutionResult>
      const events = stream[Symbol.asyncIterator]()
      return async () => (await events.next()).value as unknown
    }
    const other = { ...companyKey('other'), scopes: ['company.read'] } as Principal
    const subscribers = [await next(companyKey(id)), await next(companyKey('another')), await next(other)]
    const waiting = subscribers.map((event) => event())
    await world.companies.update(id, { name: 'New' }, { actor: 'test' })
    const [one, two, restricted] = await Promise.all(waiting)
    expect(two).toBe(one)
    expect(restricted).toEqual(one)
    expect(restricted).not.toBe(one)
    end.abort()
  })

  test('reads what events tell of together where they arrive together', async () => {
    const id = await newCompany('Often')
    for (let count = 0; count < 12; count++) {
      await world.companies.update(id, { name: `Often ${count}` }, { actor: 'test' })
    }
    const end = new AbortController()
    const cursor = Buffer.from(`${id}:0`).toString('base64url')
    const query = `subscription { companyChanged(companyId: "${id}", after: "${cursor}") { kind company { name } } }`
    const context: RequestContext = { ...requestContext(companyKey(id)), signal: end.signal }
    const stream = (await world.hosts.companies.execute(
      { subgraph: 'companies', kind: 'subscription', query, context },
      end.signal,
    )) as AsyncIterable<ExecutionResult>
    const events = stream[Symbol.asyncIterator]()
    for (let count = 0; count < 12; count++) {
      const { value } = (await events.next()) as { value: ExecutionResult }
      expect(value).toMatchObject({ data: { companyChanged: { kind: 'company.updated' } } })
      expect(value.errors).toBeUndefined()
    }
    const statements = Object.values(context.statements.totals()['companies'] ?? {}).reduce((a, b) => a + b, 0)
    expect(statements).toBeGreaterThan(0)
    expect(statements).toBeLessThan(6)
    end.abort()
  })

  test('to checkpoints brings those stored behind the cursor and each new one', async () => {
    const id = await newCompany('Signed')
    const { checkpoints: signer } = world
    const append = () => world.ledger.append(id, { records: [{ kind: 'a', source: 's', stream: 't', data: {} }] })
    await signer.sign(id)
    await append()
    await signer.sign(id)
    const cursor = Buffer.from(`${id}:0`).toString('base64url')
    const query = `subscription { ledgerCheckpoint(companyId: "${id}", after: "${cursor}") { cursor checkpoint { size } } }`
    await using watched = await watch('records', query, companyKey(id))
    await eventually(() => expect(watched.events).toHaveLength(1))
    await append()
    await signer.sign(id)
    await eventually(() => expect(watched.events).toHaveLength(2))
    expect(watched.events.map((event) => field(event, 'ledgerCheckpoint'))).toEqual(
      [2, 3].map((size) => ({ cursor: Buffer.from(`${id}:${size - 1}`).toString('base64url'), checkpoint: { size } })),
    )
  })
})
