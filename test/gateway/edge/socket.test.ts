import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { createClient, type Client } from 'graphql-ws'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Edge, keys, startEdge } from './harness.ts'

const subscription =
  'subscription ($id: ID!, $after: String) { recordAppended(companyId: $id, after: $after) { cursor record { id company { name size } } } }'

let edge: Edge
const clients: Client[] = []
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge[Symbol.asyncDispose]())
afterEach(() => {
  for (const client of clients.splice(0)) void client.dispose()
})

const socketUrl = (at: Edge): string => at.url.replace('http', 'ws')

function connect(
  at: Edge,
  connectionParams: Record<string, unknown> = { authorization: `Bearer ${keys.acme}` },
): Client {
  const client = createClient({
    url: socketUrl(at),
    webSocketImpl: WebSocket,
    connectionParams,
    retryAttempts: 0,
    lazyCloseTimeout: 0,
  })
  clients.push(client)
  return client
}

async function openRaw(at: Edge, init: unknown = { 'x-api-key': keys.acme }): Promise<WebSocket> {
  const socket = new WebSocket(socketUrl(at), 'graphql-transport-ws')
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init', payload: init }))
  return socket
}

/** A connection whose key was accepted. */
async function openAcknowledged(at: Edge): Promise<WebSocket> {
  const socket = await openRaw(at)
  const [message] = (await once(socket, 'message')) as [Buffer]
  expect(JSON.parse(message.toString())).toEqual({ type: 'connection_ack' })
  return socket
}

/** Waits until the subgraph has been subscribed to, so that what is appended from now on is seen. */
const subscribed = (at: Edge, count: number): Promise<void> =>
  expect.poll(() => at.world.events.listenerCount('record')).toBe(count)

/** Waits until the server has seen its last client go, which may be after that client has. */
const left = (at: Edge): Promise<void> => expect.poll(() => at.server.load().webSockets.connections).toBe(0)

describe('with the graphql-ws client', () => {
  test('each event carries fields of several subgraphs, at the state of the event', async () => {
    const events = connect(edge).iterate({ query: subscription, variables: { id: 'acme' } })
    const first = events.next()
    await subscribed(edge, 1)
    edge.append()
    expect((await first).value).toEqual({
      data: { recordAppended: { cursor: 'c0', record: { id: 'acme:0', company: { name: 'Acme', size: 1 } } } },
    })
    edge.append()
    expect((await events.next()).value).toMatchObject({ data: { recordAppended: { cursor: 'c1' } } })
    await events.return?.()
    await subscribed(edge, 0)
  })

  test('after a cursor, what was missed is replayed and then it goes on live', async () => {
    await using own = await startEdge()
    for (let i = 0; i < 5; i++) own.append()
    const events = connect(own).iterate({ query: subscription, variables: { id: 'acme', after: 'c1' } })
    const cursors: unknown[] = []
    own.append()
    for await (const { data } of events) {
      cursors.push((data as { recordAppended: { cursor: string } }).recordAppended.cursor)
      if (cursors.length === 4) break
    }
    expect(cursors).toEqual(['c2', 'c3', 'c4', 'c5'])
  })

  test('queries and mutations work over it too', async () => {
    const client = connect(edge)
    const ask = async (query: string): Promise<unknown> => (await client.iterate({ query }).next()).value
    expect(await ask('{ whoAmI }')).toEqual({ data: { whoAmI: 'acme' } })
    expect(await ask('mutation { rename(id: "acme", name: "Acme") { name } }')).toMatchObject({
      data: { rename: { name: 'Acme' } },
      extensions: { position: expect.any(String) as string },
    })
    expect(await ask('{ broken }')).toMatchObject({
      data: { broken: null },
      errors: [{ path: ['broken'], extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
    })
  })

  test('a subscription ends when its source does', async () => {
    const values: unknown[] = []
    for await (const { data } of connect(edge).iterate({ query: 'subscription { ticks }' }))
      values.push(data?.['ticks'])
    expect(values).toEqual([1, 2, 3])
  })

  test.each<[string, Record<string, unknown>]>([
    ['authorization', { authorization: `Bearer ${keys.acme}` }],
    ['Authorization', { Authorization: `Bearer ${keys.acme}` }],
    ['x-api-key', { 'x-api-key': keys.acme }],
    ['apiKey', { apiKey: keys.acme }],
  ])('the key may come in connection_init as %s', async (_name, params) => {
    const { value } = await connect(edge, params).iterate({ query: '{ whoAmI }' }).next()
    expect(value).toEqual({ data: { whoAmI: 'acme' } })
  })

  test.each<[string, string, string]>([
    ['a document that is not valid', 'subscription { nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a top level field that depends on a variable',
      'subscription ($no: Boolean!) { ticks @skip(if: $no) }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'a top level fragment that depends on a variable',
      'subscription ($no: Boolean!) { ...Ticks @include(if: $no) } fragment Ticks on Subscription { ticks }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['a document that is none', 'subscription {', 'GRAPHQL_PARSE_FAILED'],
    ['another company’s ledger', 'subscription { recordAppended(companyId: "other") { cursor } }', 'FORBIDDEN'],
    ['a missing variable', 'subscription ($id: ID!) { recordAppended(companyId: $id) { cursor } }', 'BAD_USER_INPUT'],
    ['a number that would be rounded', '{ echo(value: 9007199254740993) }', 'JSON_NUMBER_PRECISION'],
  ])('%s is an error of that operation alone', async (_name, query, code) => {
    const client = connect(edge)
    const failed = client.iterate({ query }).next()
    const outcome = await failed.then(
      ({ value }) => (value as { errors: unknown[] }).errors,
      (errors: unknown[]) => errors,
    )
    expect(outcome).toMatchObject([{ extensions: { code } }])
    expect((await client.iterate({ query: '{ whoAmI }' }).next()).value).toEqual({ data: { whoAmI: 'acme' } })
  })
})

describe('how a connection ends', () => {
  test.each<[string, unknown]>([
    ['no key', {}],
    ['a wrong key', { authorization: 'Bearer lwk_wrong' }],
  ])('with %s: 4401', async (_name, init) => {
    const [code] = (await once(await openRaw(edge, init), 'close')) as [number]
    expect(code).toBe(4401)
  })

  test('with a message that is no JSON: 4400', async () => {
    const socket = await openRaw(edge)
    socket.send('{"type":')
    expect(((await once(socket, 'close')) as [number])[0]).toBe(4400)
  })

  test('a message whose JSON would lose something is an error of its operation, and the connection goes on', async () => {
    const socket = await openAcknowledged(edge)
    socket.send('{"type":"subscribe","id":"1","payload":{"query":"{ whoAmI }","variables":{"a":{"b":1,"b":2}}}}')
    const [message] = (await once(socket, 'message')) as [Buffer]
    expect(JSON.parse(message.toString())).toMatchObject({
      id: '1',
      type: 'error',
      payload: [{ extensions: { code: 'JSON_DUPLICATE_KEY', path: '$.payload.variables.a.b' } }],
    })
    socket.close()
  })

  test('with a message over the limit: 1009', async () => {
    await using small = await startEdge({ limits: { bodyBytes: 1000 } })
    const socket = await openRaw(small)
    socket.send('x'.repeat(2000))
    expect(((await once(socket, 'close')) as [number])[0]).toBe(1009)
  })

  test('without connection_init in time: 4408', async () => {
    await using hasty = await startEdge({ limits: { connectionInitMs: 50 } })
    const socket = new WebSocket(socketUrl(hasty), 'graphql-transport-ws')
    expect(((await once(socket, 'close')) as [number])[0]).toBe(4408)
  })

  test('also when its client never answers the close', async () => {
    await using hasty = await startEdge({ limits: { connectionInitMs: 50 } })
    const { hostname, port } = new URL(hasty.url)
    const mute = connectTcp(Number(port), hostname)
    mute.write(
      `GET /graphql HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
        'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        'sec-websocket-protocol: graphql-transport-ws\r\n\r\n',
    )
    mute.resume()
    // The library by itself would wait thirty seconds.
    await expect(once(mute, 'close', { signal: AbortSignal.timeout(25_000) })).resolves.toBeDefined()
  })

  test('when its key is revoked: each stream with UNAUTHENTICATED, then 4401', async () => {
    await using own = await startEdge()
    const socket = await openAcknowledged(own)
    socket.send(
      JSON.stringify({ type: 'subscribe', id: 's', payload: { query: subscription, variables: { id: 'acme' } } }),
    )
    await subscribed(own, 1)
    const messages: unknown[] = []
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString())))
    const closed = once(socket, 'close')
    own.revoke('key-acme')
    expect(((await closed) as [number])[0]).toBe(4401)
    expect(messages).toMatchObject([{ id: 's', type: 'error', payload: [{ extensions: { code: 'UNAUTHENTICATED' } }] }])
    await subscribed(own, 0)
  })

  test('when the server stops: 1001, and its subscriptions are let go', async () => {
    const own = await startEdge()
    const socket = await openAcknowledged(own)
    socket.send(
      JSON.stringify({ type: 'subscribe', id: 's', payload: { query: subscription, variables: { id: 'acme' } } }),
    )
    await subscribed(own, 1)
    const closed = once(socket, 'close')
    const stopped = own[Symbol.asyncDispose]()
    expect(((await closed) as [number])[0]).toBe(1001)
    await stopped
    await subscribed(own, 0)
  })

  test('a client that takes no events is closed with 4290, and finds that out when it reads on', async () => {
    await using own = await startEdge({ limits: { slowClientMs: 200 } })
    own.world.companies.set('acme', { id: 'acme', name: 'x'.repeat(500_000), secret: '' })
    const socket = await openAcknowledged(own)
    const closed = once(socket, 'close')
    socket.send(
      JSON.stringify({ type: 'subscribe', id: 's', payload: { query: subscription, variables: { id: 'acme' } } }),
    )
    await subscribed(own, 1)
    socket.pause()
    for (let i = 0; i < 200; i++) own.append()
    await subscribed(own, 0)
    socket.resume()
    const [code] = (await closed) as [number]
    expect(code).toBe(4290)
  })

  test('a client that does not answer pings is let go', async () => {
    await using own = await startEdge({ limits: { keepAliveMs: 50 } })
    const socket = new WebSocket(socketUrl(own), 'graphql-transport-ws', { autoPong: false })
    expect(((await once(socket, 'close')) as [number])[0]).toBe(1006)
  })
})

describe('limits', () => {
  test('operations of one connection', async () => {
    await using own = await startEdge({ limits: { subscriptionsPerConnection: 2 } })
    const client = connect(own)
    const next = (): Promise<unknown> => client.iterate({ query: subscription, variables: { id: 'acme' } }).next()
    // They end when the server does.
    for (const open of [next(), next()]) open.catch(() => undefined)
    await subscribed(own, 2)
    await expect(next()).rejects.toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }])
  })

  test('subscriptions of one company over all its connections', async () => {
    await using own = await startEdge({ limits: { subscriptionsPerPrincipal: 1 } })
    connect(own)
      .iterate({ query: subscription, variables: { id: 'acme' } })
      .next()
      .catch(() => undefined)
    await subscribed(own, 1)
    const second = connect(own)
      .iterate({ query: subscription, variables: { id: 'acme' } })
      .next()
    await expect(second).rejects.toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }])
  })

  test('connections of one principal', async () => {
    await using own = await startEdge({ limits: { connectionsPerPrincipal: 1 } })
    const first = await openAcknowledged(own)
    expect(((await once(await openRaw(own), 'close')) as [number])[0]).toBe(4291)
    first.close()
    await left(own)
    const again = await openAcknowledged(own)
    again.close()
  })

  test('connections of the process: 503 at the upgrade', async () => {
    await using own = await startEdge({ limits: { connections: 1 } })
    const first = await openAcknowledged(own)
    await expect(openRaw(own)).rejects.toThrow('503')
    first.close()
    await left(own)
    const again = await openAcknowledged(own)
    again.close()
  })

  test('other paths are not for WebSockets', async () => {
    const socket = new WebSocket(socketUrl(edge).replace('/graphql', '/elsewhere'), 'graphql-transport-ws')
    await expect(once(socket, 'open')).rejects.toThrow('404')
  })
})
