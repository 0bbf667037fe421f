import { parse, type ExecutionResult } from 'graphql'
import { describe, expect, test } from 'vitest'
import type { RequestContext } from '../../../core/request.ts'
import type { SubgraphExecutor } from '../../../core/subgraph-executor.ts'
import { localSubgraphs, requestContext, testGateway, type Subgraphs, type TestGateway } from './network.ts'

const subgraphs: Subgraphs = {
  posts: {
    sdl: `
      type Query { post(id: ID!): Post }
      type Subscription { posted(tag: String): Item }
      interface Item { id: ID! }
      type Post implements Item @key(fields: "id") { id: ID! text: String author: Person }
      type Ad implements Item { id: ID! price: Int }
      type Person @key(fields: "id") { id: ID! }
    `,
    resolvers: {},
  },
  people: {
    sdl: 'type Query { me: Person } type Person @key(fields: "id") { id: ID! name: String! }',
    resolvers: {
      Person: {
        __resolveReference: ({ id }: { id: string }) => {
          if (id === 'gone') throw new Error('no such person')
          return { id, name: `name of ${id}` }
        },
      },
    },
  },
}

/** A subgraph's stream that the test feeds. */
function createSource(): AsyncIterable<ExecutionResult> & {
  push(result: ExecutionResult): void
  readonly closed: Promise<void>
} {
  const queue: ExecutionResult[] = []
  const closed = Promise.withResolvers<void>()
  let wake: (() => void) | undefined
  return {
    closed: closed.promise,
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

async function live(): Promise<TestGateway & { source: ReturnType<typeof createSource>; contexts: RequestContext[] }> {
  const { executor } = localSubgraphs(subgraphs)
  const source = createSource()
  const contexts: RequestContext[] = []
  const routed: SubgraphExecutor = async (request, signal) => {
    if (request.kind === 'subscription') return source
    contexts.push(request.context)
    return executor(request, signal)
  }
  return { ...(await testGateway(subgraphs, { executor: routed })), source, contexts }
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

  test('each event is read at its own position, with a context of its own', async () => {
    await using gateway = await live()
    const events = await start(gateway)
    gateway.source.push({ ...post('1', 'ada'), extensions: { position: 'p1' } })
    gateway.source.push({ ...post('2', 'ada'), extensions: { position: 'p2' } })
    await events.next()
    await events.next()
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
