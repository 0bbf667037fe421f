import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { useServer } from 'graphql-ws/use/ws'
import { GraphQLError, parse } from 'graphql'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { createHttpExecutor } from '../../../gateway/transport/http.ts'
import { requestContext } from '../executor/network.ts'

test('a subscription goes over graphql-ws with the credentials of the client, and ends when it is left', async () => {
  const ended = Promise.withResolvers<void>()
  let seen: Readonly<Record<string, unknown>> = {}
  const schema = buildSubgraphSchema([
    {
      typeDefs: parse('type Query { a: Int } type Subscription { count(to: Int!): Int }'),
      resolvers: {
        Subscription: {
          count: {
            async *subscribe(_: unknown, { to }: { to: number }) {
              try {
                for (let count = 1; count <= to; count++) yield { count }
                await new Promise<void>((resolve) => void ended.promise.then(resolve))
              } finally {
                ended.resolve()
              }
            },
          },
        },
      },
    },
  ])
  const server = createServer()
  const sockets = new WebSocketServer({ server, path: '/graphql' })
  const live = useServer(
    {
      schema,
      onConnect: ({ connectionParams }) => void (seen = connectionParams ?? {}),
      onClose: () => ended.resolve(),
    },
    sockets,
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  await using executor = createHttpExecutor({ subgraph: 'counter', url, authorize: () => 'Bearer signed' })
  const client = new AbortController()
  const events = await executor.execute(
    {
      subgraph: 'counter',
      kind: 'subscription',
      query: 'subscription ($to: Int!) { count(to: $to) }',
      variables: { to: 2 },
      context: requestContext({ position: 'here' }),
    },
    client.signal,
  )
  if (!(Symbol.asyncIterator in events)) throw new Error('expected a stream')
  const iterator = events[Symbol.asyncIterator]()
  expect(await iterator.next()).toEqual({ done: false, value: { data: { count: 1 } } })
  expect(await iterator.next()).toEqual({ done: false, value: { data: { count: 2 } } })
  expect(seen).toMatchObject({ authorization: 'Bearer signed', 'ledgerway-position': 'here' })
  await iterator.return?.()
  await ended.promise
  await live.dispose()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('an event’s errors from a subgraph elsewhere keep their place, and have a code as over HTTP', async () => {
  const schema = buildSubgraphSchema([
    {
      typeDefs: parse('type Query { a: Int } type Tick { fails: Int refuses: Int } type Subscription { tick: Tick }'),
      resolvers: {
        Tick: {
          fails: () => Promise.reject(new Error('no number')),
          refuses: () => Promise.reject(new GraphQLError('not you', { extensions: { code: 'FORBIDDEN' } })),
        },
        Subscription: {
          tick: {
            async *subscribe() {
              yield { tick: {} }
            },
          },
        },
      },
    },
  ])
  const server = createServer()
  const live = useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  await using executor = createHttpExecutor({ subgraph: 'clock', url })
  const query = 'subscription { tick { fails refuses } }'
  const events = await executor.execute(
    { subgraph: 'clock', kind: 'subscription', query, context: requestContext() },
    new AbortController().signal,
  )
  if (!(Symbol.asyncIterator in events)) throw new Error('expected a stream')
  const iterator = events[Symbol.asyncIterator]()
  const { value } = await iterator.next()
  expect(value?.data).toEqual({ tick: { fails: null, refuses: null } })
  expect(value?.errors?.every((error: unknown) => error instanceof GraphQLError)).toBe(true)
  expect(value?.errors).toMatchObject([
    { path: ['tick', 'fails'], extensions: { code: 'DOWNSTREAM_SERVICE_ERROR', serviceName: 'clock' } },
    { path: ['tick', 'refuses'], extensions: { code: 'FORBIDDEN', serviceName: 'clock' } },
  ])
  await iterator.return?.()
  await live.dispose()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('a subgraph that cannot be reached is said, not waited for', async () => {
  await using executor = createHttpExecutor({ subgraph: 'counter', url: 'http://127.0.0.1:1/graphql' })
  const events = await executor.execute(
    { subgraph: 'counter', kind: 'subscription', query: 'subscription { a }', context: requestContext() },
    new AbortController().signal,
  )
  if (!(Symbol.asyncIterator in events)) throw new Error('expected a stream')
  await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE' })
})
