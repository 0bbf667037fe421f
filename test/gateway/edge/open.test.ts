import { createClient } from 'graphql-ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openToAll } from '../../../gateway/credentials.ts'
import { type Edge, startEdge } from './harness.ts'

/** Where every subgraph is the operator's own, the gateway may be told to ask nobody for a key. */
const open = { authenticator: openToAll, passOnHeaders: ['authorization', 'x-tenant'] }

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ cache: false, deps: open })
})
afterAll(() => edge[Symbol.asyncDispose]())

const seen = (at: Edge): unknown => at.world.contexts.at(-1)?.headers

describe('a gateway that is open', () => {
  test('answers whoever asks, and knows nobody', async () => {
    const { status, body } = await edge.post({ query: '{ whoAmI company(id: "acme") { name size } }' }, {})
    expect(status).toBe(200)
    expect(body.data).toMatchObject({ whoAmI: 'anonymous', company: { name: 'Acme' } })
  })

  test('looks at no key: what a client sends is for the subgraphs, as far as the list goes', async () => {
    const { status } = await edge.post(
      { query: '{ whoAmI }' },
      { authorization: 'Bearer of.another.house', 'x-tenant': 'blue', cookie: 'session=1', 'x-other': 'no' },
    )
    expect(status).toBe(200)
    expect(seen(edge)).toEqual({ authorization: 'Bearer of.another.house', 'x-tenant': 'blue' })
  })

  test('takes mutations by POST and none by GET', async () => {
    const query = 'mutation { rename(id: "other", name: "Another") { name } }'
    expect((await edge.post({ query }, {})).body.data).toEqual({ rename: { name: 'Another' } })
    const byGet = await fetch(`${edge.url}?query=${encodeURIComponent(query)}`, {
      headers: { 'apollo-require-preflight': '1' },
    })
    expect(byGet.status).toBe(405)
  })

  test('answers GET, __typename and introspection', async () => {
    const response = await fetch(`${edge.url}?query={__typename}`, { headers: { 'apollo-require-preflight': '1' } })
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } })
    const { body } = await edge.post({ query: '{ __schema { queryType { name } } __typename }' }, {})
    expect(body).toEqual({ data: { __schema: { queryType: { name: 'Query' } }, __typename: 'Query' } })
  })

  test('serves subscriptions over WebSocket, with the headers that stand in connection_init', async () => {
    const client = createClient({
      url: edge.url.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: 'Bearer of.another.house', Other: 'no' },
    })
    const first = client.iterate({ query: 'subscription { ticks }' }).next()
    expect(await first).toMatchObject({ value: { data: { ticks: expect.any(Number) } } })
    expect(seen(edge)).toEqual({ authorization: 'Bearer of.another.house' })
    await client.dispose()
  })

  test('serves event streams', async () => {
    const response = await fetch(`${edge.url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'x-tenant': 'red' },
      body: JSON.stringify({ query: '{ whoAmI }' }),
    })
    expect(await response.text()).toContain('data: {"data":{"whoAmI":"anonymous"}}')
    expect(seen(edge)).toEqual({ 'x-tenant': 'red' })
  })

  test('is ready by its short address, too', async () => {
    const response = await fetch(new URL('/health', edge.url))
    expect(await response.json()).toMatchObject({ status: 'ready' })
  })
})

test('in production an open gateway shows answers, and not its schema', async () => {
  await using production = await startEdge({ cache: false, deps: { ...open, development: false } })
  expect((await production.post({ query: '{ whoAmI __typename }' }, {})).body.data).toEqual({
    whoAmI: 'anonymous',
    __typename: 'Query',
  })
  const { body } = await production.post({ query: '{ __schema { queryType { name } } }' }, {})
  expect(body.data).toBeUndefined()
  expect(body.errors?.[0]).toMatchObject({
    message: 'This server does not show its schema: leave out "__schema" and "__type".',
    extensions: { code: 'INTROSPECTION_DISABLED' },
  })
})

test('in production an open gateway finds the schema also where it is asked for in a fragment', async () => {
  await using production = await startEdge({ cache: false, deps: { ...open, development: false } })
  const query =
    '{ whoAmI ...A } fragment A on Query { ...B ... on Query { ...B } } fragment B on Query { __type(name: "A") { name } }'
  const { status, body } = await production.post({ query }, {})
  expect(status).toBe(403)
  expect(body.errors?.[0]?.extensions['code']).toBe('INTROSPECTION_DISABLED')
})

describe('the metrics of an open gateway', () => {
  const page = { text: async () => 'up 1\n', contentType: 'text/plain' }
  const read = async (at: Edge, headers: Record<string, string> = {}) => {
    const response = await fetch(new URL('/metrics', at.url), { headers })
    const text = await response.text()
    return { status: response.status, text }
  }

  test('are for the holder of the token alone, and who has none is not told to send an API key', async () => {
    const token = 'a-token-for-scrapers'
    await using measured = await startEdge({ cache: false, deps: { ...open, metricsPage: { page, token } } })
    expect(await read(measured, { authorization: `Bearer ${token}` })).toEqual({ status: 200, text: 'up 1\n' })
    const refused = await read(measured)
    expect(refused.status).toBe(401)
    expect(refused.text).toContain('METRICS_TOKEN')
    expect(await read(measured, { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 })
  })

  test('are for nobody where there is no token', async () => {
    await using measured = await startEdge({ cache: false, deps: { ...open, metricsPage: { page, token: undefined } } })
    const refused = await read(measured, { authorization: 'Bearer any' })
    expect(refused.status).toBe(403)
    expect(refused.text).toContain('was started without METRICS_TOKEN')
  })
})

test('without a list no header goes on, whatever the client sends', async () => {
  await using closed = await startEdge({ cache: false })
  await closed.post({ query: '{ whoAmI }' })
  expect(seen(closed)).toBeUndefined()
})
