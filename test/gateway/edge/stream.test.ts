import { createClient } from 'graphql-sse'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, keys, startEdge } from './harness.ts'

const subscription =
  'subscription ($id: ID!, $after: String) { recordAppended(companyId: $id, after: $after) { cursor record { id } } }'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge[Symbol.asyncDispose]())

interface StreamEvent {
  event?: string
  id?: string
  data?: string
}

/** Reads an event stream as the HTML standard says; `lastId` is what a browser would send back. */
class EventReader implements AsyncDisposable {
  readonly #response: Response
  #reader: ReadableStreamDefaultReader<string> | undefined
  readonly #controller: AbortController
  #rest = ''
  lastId = ''

  constructor(response: Response, controller: AbortController) {
    this.#response = response
    this.#controller = controller
  }

  /** The next event that has data; undefined at the end. */
  async next(): Promise<StreamEvent | undefined> {
    for (;;) {
      const end = this.#rest.indexOf('\n\n')
      if (end < 0) {
        this.#reader ??= (this.#response.body as ReadableStream<Uint8Array<ArrayBuffer>>)
          .pipeThrough(new TextDecoderStream())
          .getReader()
        const { value, done } = await this.#reader.read()
        if (done) return undefined
        this.#rest += value
        continue
      }
      const block = this.#rest.slice(0, end)
      this.#rest = this.#rest.slice(end + 2)
      const found: StreamEvent = {}
      for (const line of block.split('\n')) {
        const [, field = '', value = ''] = /^(\w*): ?(.*)$/.exec(line) ?? []
        if (field === 'id') this.lastId = value
        if (field === 'event' || field === 'id' || field === 'data') found[field] = value
      }
      if (found.data !== undefined) return found
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort()
    await this.#reader?.cancel().catch(() => {})
  }
}

async function open(
  at: Edge,
  options: { search?: Record<string, string>; headers?: Record<string, string>; body?: unknown },
): Promise<{ response: Response; events: EventReader }> {
  const controller = new AbortController()
  const response = await fetch(`${at.url}/stream?${new URLSearchParams(options.search).toString()}`, {
    method: options.body === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'text/event-stream',
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    signal: controller.signal,
  })
  return { response, events: new EventReader(response, controller) }
}

const withKey = { authorization: `Bearer ${keys.acme}` }
const subscribed = (at: Edge, count: number): Promise<void> =>
  expect.poll(() => at.world.events.listenerCount('record')).toBe(count)
const cursorOf = (event: StreamEvent | undefined): unknown =>
  (JSON.parse(event?.data ?? '{}') as { data: { recordAppended: { cursor: string } } }).data.recordAppended.cursor

test('the graphql-sse client subscribes, queries and gets errors', async () => {
  const client = createClient({ url: `${edge.url}/stream`, headers: withKey, retryAttempts: 0 })
  const events = client.iterate({ query: subscription, variables: { id: 'acme' } })
  const first = events.next()
  await subscribed(edge, 1)
  edge.append()
  expect((await first).value).toMatchObject({ data: { recordAppended: { cursor: 'c0', record: { id: 'acme:0' } } } })
  await events.return?.()
  await subscribed(edge, 0)
  expect((await client.iterate({ query: '{ whoAmI }' }).next()).value).toEqual({ data: { whoAmI: 'acme' } })
  await expect(client.iterate({ query: '{ nothing }' }).next()).rejects.toMatchObject({
    message: expect.anything() as string,
  })
  client.dispose()
})

describe('a browser', () => {
  const search = { ticket: `ticket-${keys.acme}/1`, query: subscription, variables: '{"id":"acme"}' }

  test('opens a stream by a ticket, and its own reconnect resumes behind the last event', async () => {
    await using own = await startEdge()
    let lastId: string
    {
      const { response, events } = await open(own, { search })
      await using reader = events
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      await subscribed(own, 1)
      own.append()
      own.append()
      expect(cursorOf(await reader.next())).toBe('c0')
      expect(cursorOf(await reader.next())).toBe('c1')
      lastId = reader.lastId
    }
    own.append()
    own.append()
    const again = await open(own, { search, headers: { 'last-event-id': lastId } })
    await using reader = again.events
    expect(cursorOf(await reader.next())).toBe('c2')
    expect(cursorOf(await reader.next())).toBe('c3')
    own.append()
    expect(cursorOf(await reader.next())).toBe('c4')
  })

  test('resumes also where it had seen no event yet', async () => {
    await using own = await startEdge()
    const first = await open(own, { search })
    await subscribed(own, 1)
    own.append('other')
    const reading = first.events.next()
    await expect.poll(() => first.events.lastId).not.toBe('')
    await first.events[Symbol.asyncDispose]()
    await reading.catch(() => {})
    const again = await open(own, { search, headers: { 'last-event-id': first.events.lastId } })
    expect(again.response.status).toBe(200)
    await again.events[Symbol.asyncDispose]()
  })

  test('a ticket that was used opens nothing, whatever is claimed to have been seen', async () => {
    await using own = await startEdge()
    const first = await open(own, { search })
    const claims: Record<string, string>[] = [{}, { 'last-event-id': 'c0' }, { 'last-event-id': 'c0~guess' }]
    for (const headers of claims) {
      const second = await open(own, { search, headers })
      expect(second.response.status).toBe(401)
      expect(await second.response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
    }
    await first.events[Symbol.asyncDispose]()
  })

  test('a ticket whose key was revoked meanwhile opens nothing', async () => {
    await using own = await startEdge()
    own.revoke('key-acme')
    expect((await open(own, { search })).response.status).toBe(401)
  })
})

describe('with a key in a header', () => {
  test('an event’s id is its cursor, whatever name the client gave it', async () => {
    await using own = await startEdge()
    const query =
      'subscription { e: recordAppended(companyId: "acme") { ...C } } fragment C on RecordAppended { at: cursor }'
    const { events } = await open(own, { headers: withKey, body: { query } })
    await using reader = events
    await subscribed(own, 1)
    own.append()
    expect(await reader.next()).toEqual({ event: 'next', id: 'c0', data: '{"data":{"e":{"at":"c0"}}}' })
  })

  test.each([
    ['a variable', { query: subscription, variables: { id: 'acme', after: 'c0' } }],
    ['a variable that was not given', { query: subscription, variables: { id: 'acme' } }],
    ['a literal', { query: 'subscription { recordAppended(companyId: "acme", after: "c0") { cursor } }' }],
    ['absent', { query: 'subscription { recordAppended(companyId: "acme") { cursor } }' }],
    [
      'in a fragment',
      { query: 'subscription { ...R } fragment R on Subscription { recordAppended(companyId: "acme") { cursor } }' },
    ],
  ])('Last-Event-ID wins over `after`: %s', async (_name, body) => {
    await using own = await startEdge()
    for (let i = 0; i < 4; i++) own.append()
    const { events } = await open(own, { headers: { ...withKey, 'last-event-id': 'c2' }, body })
    await using reader = events
    expect(cursorOf(await reader.next())).toBe('c3')
  })

  test('a stream ends with `complete`', async () => {
    const { events } = await open(edge, { headers: withKey, body: { query: 'subscription { ticks }' } })
    await using reader = events
    const seen: unknown[] = []
    for (let event = await reader.next(); event !== undefined; event = await reader.next()) seen.push(event.event)
    expect(seen).toEqual(['next', 'next', 'next', 'complete'])
  })

  test('a subscription that cannot start is answered with a status, before anything is streamed', async () => {
    const query = 'subscription ($id: ID!) { recordAppended(companyId: $id) { cursor } }'
    const { response } = await open(edge, { headers: withKey, body: { query } })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] })
  })

  test('a mutation by GET is refused: what a link can start must not change anything', async () => {
    const query = 'mutation { rename(id: "acme", name: "x") { id } }'
    const { response } = await open(edge, { headers: withKey, search: { query } })
    expect(response.status).toBe(405)
    expect(edge.world.companies.get('acme')?.name).toBe('Acme')
  })

  test('without a key: 401, before anything is streamed', async () => {
    const { response } = await open(edge, { body: { query: 'subscription { ticks }' } })
    expect(response.status).toBe(401)
  })

  test.each<[string, unknown, string]>([
    ['a document that is not valid', { query: 'subscription { nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    ['no query', {}, 'BAD_REQUEST'],
    ['a number that would be rounded', { query: '{ echo(value: 1e400) }' }, 'JSON_NUMBER_PRECISION'],
  ])('%s: 400, before anything is streamed', async (_name, body, code) => {
    const { response } = await open(edge, { headers: withKey, body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code } }] })
  })
})

test('connections of one principal, and of the process, are bounded and given back', async () => {
  await using own = await startEdge({ limits: { connections: 2, connectionsPerPrincipal: 1 } })
  const body = { query: subscription, variables: { id: 'acme' } }
  const ask = (key: string) => open(own, { headers: { authorization: `Bearer ${key}` }, body })
  const first = await ask(keys.acme)
  const refused = await ask(keys.acme)
  expect(refused.response.status).toBe(429)
  expect(await refused.response.json()).toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED' } }] })
  const second = await open(own, { headers: { authorization: `Bearer ${keys.admin}` }, body })
  expect(second.response.status).toBe(200)
  const full = await open(own, { headers: { authorization: `Bearer ${keys.other}` }, body: { query: '{ whoAmI }' } })
  expect(full.response.status).toBe(503)
  await first.events[Symbol.asyncDispose]()
  await expect.poll(async () => (await ask(keys.acme)).response.status).toBe(200)
  await second.events[Symbol.asyncDispose]()
})

describe('how a stream ends', () => {
  test('when its key is revoked: UNAUTHENTICATED and complete, so that nobody tries again', async () => {
    await using own = await startEdge()
    const { events } = await open(own, { headers: withKey, body: { query: subscription, variables: { id: 'acme' } } })
    await using reader = events
    await subscribed(own, 1)
    own.revoke('key-acme')
    expect(JSON.parse((await reader.next())?.data ?? '')).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    })
    expect((await reader.next())?.event).toBe('complete')
    expect(await reader.next()).toBeUndefined()
  })

  test('when the server stops: SHUTTING_DOWN without complete, so that a browser comes back', async () => {
    const own = await startEdge()
    const { events } = await open(own, { headers: withKey, body: { query: subscription, variables: { id: 'acme' } } })
    await subscribed(own, 1)
    const stopped = own[Symbol.asyncDispose]()
    expect(JSON.parse((await events.next())?.data ?? '')).toMatchObject({
      errors: [{ extensions: { code: 'SHUTTING_DOWN' } }],
    })
    expect(await events.next()).toBeUndefined()
    await stopped
  })

  test('when the client goes, its subscription is let go', async () => {
    await using own = await startEdge()
    const { events } = await open(own, { headers: withKey, body: { query: subscription, variables: { id: 'acme' } } })
    await subscribed(own, 1)
    await events[Symbol.asyncDispose]()
    await expect.poll(() => own.world.events.listenerCount('record')).toBe(0)
  })

  test('a client that takes no events is let go', async () => {
    await using own = await startEdge({ limits: { slowClientMs: 200 } })
    own.world.companies.set('acme', { id: 'acme', name: 'x'.repeat(500_000), secret: '' })
    const query = 'subscription { recordAppended(companyId: "acme") { cursor record { company { name } } } }'
    const { events } = await open(own, { headers: withKey, body: { query } })
    await subscribed(own, 1)
    for (let i = 0; i < 200; i++) own.append()
    await expect.poll(() => own.world.events.listenerCount('record')).toBe(0)
    await events[Symbol.asyncDispose]()
  })

  test('keep-alives come while nothing happens', async () => {
    await using own = await startEdge({ limits: { keepAliveMs: 30 } })
    const controller = new AbortController()
    const response = await fetch(`${own.url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...withKey },
      body: JSON.stringify({ query: subscription, variables: { id: 'acme' } }),
      signal: controller.signal,
    })
    let text = ''
    for await (const chunk of (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(
      new TextDecoderStream(),
    )) {
      text += chunk
      if (text.split(':\n\n').length > 3) break
    }
    expect(text.replaceAll(':\n\n', '')).toBe('retry: 1000\n')
    controller.abort()
  })
})
