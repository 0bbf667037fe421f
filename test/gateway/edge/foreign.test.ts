import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createHash } from 'node:crypto'
import { createClient } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { buildSchema, GraphQLError } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { silentLogger } from '../../../core/log.ts'
import { openToAll } from '../../../gateway/credentials.ts'
import { createFederatedGateway } from '../../../gateway/executor/gateway.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { createRoute } from '../../../gateway/transport/route.ts'
import { composeText } from '../executor/network.ts'
import { type Edge, startEdge } from './harness.ts'

/** A gateway of somebody else's subgraph, which answers as `subgraph` says. */
let subgraph: RequestListener = (_request, response) => response.end('{}')
let refusal: readonly GraphQLError[] = []
const server = createServer((request, response) => subgraph(request, response))
const sdl = 'type Query { good: Int bad: Int } type Subscription { ticks: Int! }'
const stack = new AsyncDisposableStack()
let edge: Edge

beforeAll(async () => {
  const sockets = useServer(
    { schema: buildSchema(sdl), onSubscribe: () => [...refusal] },
    new WebSocketServer({ server, path: '/graphql' }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stack.defer(() => server.closeAllConnections())
  stack.defer(() => void server.close())
  stack.defer(() => sockets.dispose())
  const { port } = server.address() as AddressInfo
  const supergraph = composeText({ foreign: { sdl } }).replace('inproc://foreign', `http://127.0.0.1:${port}/graphql`)
  const gateway = createFederatedGateway({
    supergraph: textSource(supergraph),
    executor: (request, signal) => route.execute(request, signal),
    logger: silentLogger,
  })
  const route = stack.use(createRoute({ urlOf: (name) => gateway.urlOf(name), http: () => ({}) }))
  const deps = { gateway, authenticator: openToAll, passForeignErrors: true }
  edge = stack.use(await startEdge({ cache: false, deps }))
})
afterAll(() => stack.disposeAsync())

describe('a gateway of foreign subgraphs', () => {
  test('keeps the data of an answer whose errors are malformed', async () => {
    const errors = [
      null,
      'a text',
      { message: 7, path: 'bad', extensions: 'none' },
      { message: 'told', path: ['bad'], extensions: { code: 'BROKEN' } },
    ]
    subgraph = (_request, response) => response.end(JSON.stringify({ data: { good: 1, bad: null }, errors }))
    const { status, body } = await edge.post({ query: '{ good bad }' }, {})
    expect({ status, data: body.data }).toEqual({ status: 200, data: { good: 1, bad: null } })
    expect(body.errors).toMatchObject([
      { extensions: { code: 'DOWNSTREAM_SERVICE_ERROR', serviceName: 'foreign' } },
      { message: 'a text', extensions: { code: 'DOWNSTREAM_SERVICE_ERROR' } },
      { extensions: { code: 'DOWNSTREAM_SERVICE_ERROR' } },
      { message: 'told', path: ['bad'], extensions: { code: 'BROKEN' } },
    ])
  })

  test('keeps the data of an answer whose errors are no list', async () => {
    subgraph = (_request, response) => response.end('{"data":{"good":1},"errors":{"message":"alone"}}')
    const { body } = await edge.post({ query: '{ good }' }, {})
    expect(body.data).toEqual({ good: 1 })
    expect(body.errors).toMatchObject([{ message: 'alone', extensions: { code: 'DOWNSTREAM_SERVICE_ERROR' } }])
  })

  test.each([
    ['of another version', { version: 2, sha256Hash: 'x' }],
    ['whose hash is another text’s', { version: 1, sha256Hash: createHash('sha256').update('other').digest('hex') }],
  ])('refuses a persisted query %s with a code', async (_name, persistedQuery) => {
    const { status, body } = await edge.post({ query: '{ good }', extensions: { persistedQuery } }, {})
    expect(status).toBe(400)
    expect(body.errors?.[0]?.extensions['code']).toBe('BAD_REQUEST')
  })

  test('tells the errors with which a subgraph refuses a subscription, and not that it could not be reached', async () => {
    refusal = [
      new GraphQLError('not with this key', { extensions: { code: 'FORBIDDEN' } }),
      new GraphQLError('and not today'),
    ]
    const client = createClient({ url: edge.url.replace('http', 'ws'), webSocketImpl: WebSocket })
    const events: unknown[] = []
    for await (const event of client.iterate({ query: 'subscription { ticks }' })) events.push(event)
    expect(events).toMatchObject([
      {
        errors: [
          { message: 'not with this key', extensions: { code: 'FORBIDDEN', serviceName: 'foreign' } },
          { message: 'and not today', extensions: { code: 'DOWNSTREAM_SERVICE_ERROR' } },
        ],
      },
    ])
    await client.dispose()
  })
})
