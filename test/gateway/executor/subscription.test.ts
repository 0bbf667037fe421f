import { GraphQLError, parse, type ExecutionResult } from 'graphql'
import { describe, expect, test } from 'vitest'
import { type CompanyId, parseShardId } from '../../../core/ids.ts'
import { decodePosition, encodePosition } from '../../../core/position.ts'
import type { Principal, RequestContext } from '../../../core/request.ts'
import type { SubgraphExecutor } from '../../../core/subgraph-executor.ts'
import { createSharing } from '../../../gateway/executor/sharing.ts'
import {
  cacheControl,
  localSubgraphs,
  requestContext,
  testGateway,
  type Subgraphs,
  type TestGateway,
} from './network.ts'

/** How often the shard of the person of this name is still away. */
const away = { times: 0 }

const subgraphs: Subgraphs = {
  posts: {
    sdl: `${cacheControl}
      type Query { post(id: ID!): Post }
      type Subscription { posted(tag: String): Item @cacheControl(scope: PUBLIC) greeted: Person! }
      interface Item { id: ID! }
      type Post implements Item @key(fields: "id") @cacheControl(scope: PUBLIC) { id: ID! text: String author: Person }
      type Ad implements Item @cacheControl(scope: PUBLIC) { id: ID! price: Int }
      type Person @key(fields: "id") { id: ID! }
    `,
    resolvers: {},
  },
  people: {
    sdl: `${cacheControl}
      type Query { me: Person }
      type Person @key(fields: "id") { id: ID! name: String! @cacheControl(scope: PUBLIC) salary: Int }
    `,
    resolvers: {
      Person: {
        __resolveReference: ({ id }: { id: string }) => {
          if (id === 'away' && away.times-- > 0) {
            throw new GraphQLError('not now', { extensions: { code: 'SHARD_UNAVAILABLE', retryable: true } })
          }
          if (id === 'gone') throw new Error('no such person')
          return { id, name: `name of ${id}`, salary: 5 }
        },
      },
    },
  },
}

/** A subgraph's stream that the test feeds. */
function createSource(): AsyncIterable<ExecutionResult> & {
  push(result: ExecutionResult): void
  readonly closed: Promise<void>
  /** Events that nobody has taken. */
  waiting(): number
} {
  const queue: ExecutionResult[] = []
  const closed = Promise.withResolvers<void>()
  let wake: (() => void) | undefined
  return {
    closed: closed.promise,
    waiting: () => queue.length,
    push(result) {
      queue.push(result)
      wake?.()
    },
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        return { done: false, value: queue.shift() ?? {} }
      },
      async return() {
        closed.resolve()
        return { done: true, value: undefined }
      },
    }),
  }
}

interface Live extends TestGateway {
  /** What the next subscriber gets; each has a stream of its own. */
  source: ReturnType<typeof createSource>
  contexts: RequestContext[]
}

async function live(sources: readonly ReturnType<typeof createSource>[] = []): Promise<Live> {
  const { executor } = localSubgraphs(subgraphs)
  const waiting = [...sources]
  const source = createSource()
  const contexts: RequestContext[] = []
  const routed: SubgraphExecutor = async (request, signal) => {
    if (request.kind === 'subscription') return waiting.shift() ?? source
    contexts.push(request.context)
    return executor(request, signal)
  }
  const sharing = createSharing({ queries: true, reads: true })
  return { ...(await testGateway(subgraphs, { executor: routed, sharing })), source, contexts }
}

const document = parse(`subscription ($full: Boolean = true) {
  posted(tag: "news") {
    kind: __typename
    id
    ... on Post { text @include(if: $full) by: author { name } }
    ... on Ad { price }
  }
}`)

const post = (id: string, author: string): ExecutionResult => ({
  data: {
    posted: { __typename: 'Post', kind: 'Post', id, text: `text ${id}`, by: { __typename: 'Person', id: author } },
  },
})

async function start(gateway: TestGateway, variables = {}): Promise<AsyncIterableIterator<ExecutionResult>> {
  const events = await gateway.federated.subscribe({ document, variables, context: requestContext() })
  if (!(Symbol.asyncIterator in events)) throw new Error(JSON.stringify(events))
  return events
}

describe('a federated subscription', () => {
  test('fills every event from the other subgraphs, in order', async () => {
    await using gateway = await live()
    const events = await start(gateway)
    gateway.source.push(post('1', 'ada'))
    gateway.source.push({ data: { posted: { __typename: 'Ad', kind: 'Ad', id: '2', price: 5 } } })
    expect((await events.next()).value).toEqual({
      data: { posted: { kind: 'Post', id: '1', text: 'text 1', by: { name: 'name of ada' } } },
    })
    expect((await events.next()).value).toEqual({ data: { posted: { kind: 'Ad', id: '2', price: 5 } } })
    await events.return?.()
  })

  test('variables with defaults decide what an event holds', async () => {
    await using gateway = await live()
    const events = await start(gateway, { full: false })
    gateway.source.push(post('1', 'ada'))
    expect((await events.next()).value).toEqual({
      data: { posted: { kind: 'Post', id: '1', by: { name: 'name of ada' } } },
    })
    await events.return?.()
  })

  test('errors of one event are in that event, and the stream goes on', async () => {
    await using gateway = await live()
    const events = await start(gateway)
    gateway.source.push(post('1', 'gone'))
    gateway.source.push(post('2', 'bob'))
    const first = (await events.next()).value as ExecutionResult
    expect(first.data).toEqual({ posted: { kind: 'Post', id: '1', text: 'text 1', by: null } })
    expect(first.errors?.map(({ message, path }) => [message, path])).toEqual([['no such person', ['posted', 'by']]])
    expect(((await events.next()).value as ExecutionResult).errors).toBeUndefined()
    await events.return?.()
  })

  test('an event of which a shard’s outage would leave nothing waits for the shard, and those behind it too', async () => {
    await using gateway = await live()
    const events = await gateway.federated.subscribe({
      document: parse('subscription { greeted { id name } }'),
      context: requestContext(),
    })
    if (!(Symbol.asyncIterator in events)) throw new Error(JSON.stringify(events))
    away.times = 2
    for (const id of ['away', 'bob']) gateway.source.push({ data: { greeted: { __typename: 'Person', id } } })
    expect((await events.next()).value).toEqual({ data: { greeted: { id: 'away', name: 'name of away' } } })
    expect((await events.next()).value).toEqual({ data: { greeted: { id: 'bob', name: 'name of bob' } } })
    expect(away.times).toBe(-1)
    // What will not pass is told at once.
    gateway.source.push({ data: { greeted: { __typename: 'Person', id: 'gone' } } })
    expect((await events.next()).value).toMatchObject({ data: null, errors: [{ message: 'no such person' }] })
    await events.return?.()
  })

  test('each event is read at its own position, with a context of its own', async () => {
    await using gateway = await live()
    const events = await start(gateway)
    for (const position of ['p1', 'p2']) {
      gateway.source.push({ ...post('1', 'ada'), extensions: { position } })
      await events.next()
    }
    expect(gateway.contexts.map(({ position }) => position)).toEqual(['p1', 'p2'])
    expect(gateway.contexts[0]).not.toBe(gateway.contexts[1])
    await events.return?.()
  })

  test('ending it closes the source at once, also while an event is awaited', async () => {
    await using gateway = await live()
    const events = await start(gateway)
    const waiting = events.next()
    await events.return?.()
    await gateway.source.closed
    gateway.source.push(post('1', 'ada'))
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })

  test('a subgraph that refuses to start answers with its errors', async () => {
    await using gateway = await testGateway(subgraphs, {
      executor: () => Promise.resolve({ errors: [{ message: 'not you' } as never] }),
    })
    expect(await gateway.federated.subscribe({ document, context: requestContext() })).toEqual({
      errors: [{ message: 'not you' }],
    })
  })
})

/** A stream of each subscriber's own, as from a subgraph elsewhere: every event is a copy. */
async function subscribed(
  query: string,
  principals: readonly Principal[],
  options: { variables?: Record<string, unknown> } = {},
): Promise<
  AsyncDisposable & {
    tell(...events: ExecutionResult[]): Promise<ExecutionResult[][]>
    requests(): number
    contexts: RequestContext[]
  }
> {
  const sources = principals.map(() => createSource())
  const gateway = await live(sources)
  const streams: AsyncIterableIterator<ExecutionResult>[] = []
  for (const principal of principals) {
    const context = requestContext({ principal })
    const events = await gateway.federated.subscribe({ document: parse(query), context, ...options })
    if (!(Symbol.asyncIterator in events)) throw new Error(JSON.stringify(events))
    streams.push(events)
  }
  return {
    contexts: gateway.contexts,
    requests: () => gateway.contexts.length,
    async tell(...told) {
      for (const source of sources) for (const event of told) source.push(structuredClone(event))
      return Promise.all(
        streams.map(async (stream) => {
          const got: ExecutionResult[] = []
          for (const _event of told) got.push((await stream.next()).value as ExecutionResult)
          return got
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      for (const stream of streams) await stream.return?.()
      await gateway[Symbol.asyncDispose]()
    },
  }
}

const company = (name: string, scopes: readonly string[] = ['*']): Principal => ({
  kind: 'company',
  companyId: name as CompanyId,
  keyId: `key of ${name}`,
  scopes,
})
const companies = (count: number): Principal[] => Array.from({ length: count }, (_, index) => company(`c${index}`))
const at = (lsn: bigint): string => encodePosition({ epoch: 1, shards: new Map([[parseShardId('one'), lsn]]) })
const positioned = (id: string, author: string, lsn = 1n): ExecutionResult => ({
  ...post(id, author),
  extensions: { position: at(lsn) },
})

const publicQuery = 'subscription { posted { id ... on Post { by: author { name } } } }'
const privateQuery = 'subscription { posted { id ... on Post { by: author { name salary } } } }'

describe('subscribers of the same event', () => {
  test('a hundred of them, each of another principal, are one run where everything is public', async () => {
    await using all = await subscribed(publicQuery, companies(100))
    for (const id of ['1', '2']) {
      const answers = await all.tell(positioned(id, 'ada'))
      expect(new Set(answers.map(([answer]) => JSON.stringify(answer?.data)))).toEqual(
        new Set([JSON.stringify({ posted: { id, by: { name: 'name of ada' } } })]),
      )
    }
    expect(all.requests()).toBe(2)
  })

  test('get an answer each where one field is private', async () => {
    await using all = await subscribed(privateQuery, companies(3))
    await all.tell(positioned('1', 'ada'))
    expect(all.requests()).toBe(3)
    expect(new Set(all.contexts.map(({ principal }) => principal)).size).toBe(3)
  })

  test('share with none of other rights', async () => {
    await using all = await subscribed(publicQuery, [company('a'), company('b', ['read']), company('c')])
    await all.tell(positioned('1', 'ada'))
    expect(all.requests()).toBe(2)
  })

  test('of one principal share also what is private', async () => {
    await using all = await subscribed(privateQuery, [company('a'), company('a')])
    await all.tell(positioned('1', 'ada'))
    expect(all.requests()).toBe(1)
  })

  test('share nothing where copies name no position: they may be of different moments', async () => {
    await using all = await subscribed(publicQuery, companies(2))
    await all.tell(post('1', 'ada'))
    expect(all.requests()).toBe(2)
  })
})

describe('events that arrive together', () => {
  test('are one entity fetch, at a state that includes them all, and stay in order', async () => {
    await using one = await subscribed(publicQuery, [company('a')])
    const told = Array.from({ length: 20 }, (_, index) => positioned(`${index}`, `p${index}`, BigInt(index + 1)))
    const [answers] = await one.tell(...told)
    expect(answers?.map(({ data }) => data)).toEqual(
      told.map((_, index) => ({ posted: { id: `${index}`, by: { name: `name of p${index}` } } })),
    )
    expect(one.requests()).toBeLessThan(10)
    const last = one.contexts.at(-1)?.position
    expect(decodePosition(last ?? '').shards.get(parseShardId('one'))).toBe(20n)
  })

  test('keep their errors to themselves, also where one makes the common fetch fail', async () => {
    await using one = await subscribed(publicQuery, [company('a')])
    const [answers] = await one.tell(positioned('1', 'ada'), positioned('2', 'gone'), positioned('3', 'bob'))
    expect(answers?.map(({ errors }) => errors?.map(({ message }) => message))).toEqual([
      undefined,
      ['no such person'],
      undefined,
    ])
    expect((await one.tell(positioned('4', 'eve')))[0]?.[0]?.errors).toBeUndefined()
  })

  test('are no more than a bound: who does not take them leaves them with the subgraph', async () => {
    const source = createSource()
    await using gateway = await live([source])
    const events = await start(gateway)
    for (let index = 0; index < 200; index++) source.push(post(`${index}`, 'ada'))
    await events.next()
    await expect.poll(() => gateway.contexts.length).toBeGreaterThan(0)
    expect(source.waiting()).toBeGreaterThanOrEqual(200 - 2 * 32)
    await events.return?.()
  })
})
