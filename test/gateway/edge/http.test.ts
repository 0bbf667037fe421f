import { connect } from 'node:net'
import { createMemoryRateLimiter } from '../../../access/rate-limits-in-memory.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, keys, startEdge } from './harness.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ deps: { debugExtensions: true, corsOrigins: ['https://shop.example'] } })
})
afterAll(() => edge[Symbol.asyncDispose]())

describe('who asks', () => {
  test.each<[string, Record<string, string>]>([
    ['authorization: Bearer', { authorization: `Bearer ${keys.acme}` }],
    ['authorization: bearer, in lower case', { authorization: `bearer ${keys.acme}` }],
    ['x-api-key', { 'x-api-key': keys.acme }],
  ])('a key is taken from %s', async (_name, headers) => {
    const { status, body } = await edge.post({ query: '{ whoAmI }' }, headers)
    expect({ status, data: body.data }).toEqual({ status: 200, data: { whoAmI: 'acme' } })
  })

  test.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['a wrong key', { authorization: 'Bearer lwk_wrong' }],
    ['a key in another scheme', { authorization: `Basic ${keys.acme}` }],
  ])('with %s the answer is UNAUTHENTICATED', async (_name, headers) => {
    const { status, body } = await edge.post({ query: '{ whoAmI }' }, headers)
    expect(status).toBe(401)
    expect(body.data).toBeUndefined()
    expect(body.errors?.[0]?.extensions['code']).toBe('UNAUTHENTICATED')
  })

  test('in development the schema is open without a key, and nothing else', async () => {
    const open = await edge.post({ query: '{ __schema { queryType { name } } }' }, {})
    expect(open.body.data).toEqual({ __schema: { queryType: { name: 'Query' } } })
    const mixed = await edge.post({ query: '{ __schema { queryType { name } } whoAmI }' }, {})
    expect(mixed.status).toBe(401)
  })

  test('in production the schema needs a key and there is no console', async () => {
    await using production = await startEdge({ deps: { development: false } })
    const query = { query: '{ __schema { queryType { name } } }' }
    expect((await production.post(query, {})).status).toBe(401)
    expect((await production.post(query)).status).toBe(200)
    expect((await fetch(new URL('/', production.url))).status).toBe(404)
  })
})

test('in production what an operation cost the databases is for administrators only', async () => {
  await using production = await startEdge({ deps: { development: false, debugExtensions: true } })
  const statements = async (key: string) =>
    (await production.post({ query: '{ whoAmI }' }, { authorization: `Bearer ${key}` })).body.extensions?.['statements']
  expect(await statements(keys.acme)).toBeUndefined()
  expect(await statements(keys.admin)).toBeDefined()
})

describe('what is refused', () => {
  const code = async (body: unknown, headers?: Record<string, string>): Promise<[number, unknown]> => {
    const answer = await edge.post(body, headers)
    return [answer.status, answer.body.errors?.[0]?.extensions['code']]
  }

  test.each<[string, string, string]>([
    ['JSON that is none', '{"query": "{ whoAmI }"', 'JSON_SYNTAX'],
    ['a key that comes twice', '{"query": "{ whoAmI }", "query": "{ uncached }"}', 'JSON_DUPLICATE_KEY'],
    [
      'a number that would be rounded',
      '{"query":"{whoAmI}","variables":{"a":9007199254740993}}',
      'JSON_NUMBER_PRECISION',
    ],
    ['a lone surrogate', '{"query":"{whoAmI}","variables":{"a":"\\ud800"}}', 'JSON_LONE_SURROGATE'],
    ['JSON that is too deep', `{"query":"{whoAmI}","variables":${'['.repeat(99)}${']'.repeat(99)}}`, 'JSON_TOO_DEEP'],
    ['no query', '{}', 'BAD_REQUEST'],
    ['an array', '[{"query":"{whoAmI}"}]', 'BAD_REQUEST'],
    ['a document that is no GraphQL', '{"query":"{"}', 'GRAPHQL_PARSE_FAILED'],
    ['a field that is not there', '{"query":"{ nothing }"}', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'an operation that is not there',
      '{"query":"query A { whoAmI }","operationName":"B"}',
      'OPERATION_RESOLUTION_FAILURE',
    ],
    ['a missing variable', '{"query":"query ($id: ID!) { company(id: $id) { id } }"}', 'BAD_USER_INPUT'],
    [
      'a literal that would be rounded',
      '{"query":"{ echo(value: {a: [9007199254740993]}) }"}',
      'JSON_NUMBER_PRECISION',
    ],
    ['a subscription', '{"query":"subscription { ticks }"}', 'BAD_REQUEST'],
  ])('%s', async (_name, body, expected) => {
    expect(await code(body)).toEqual([400, expected])
  })

  test('the place of a number that would be rounded is named', async () => {
    const { body } = await edge.post('{"query":"{whoAmI}","variables":{"a":[1,1e400]}}')
    expect(body.errors?.[0]?.extensions['path']).toBe('$.variables.a[1]')
  })

  test('a body over the limit', async () => {
    await using small = await startEdge({ limits: { bodyBytes: 2000 } })
    const { status, body } = await small.post({ query: '{ whoAmI }', variables: { a: 'x'.repeat(3000) } })
    expect([status, body.errors?.[0]?.extensions['code']]).toEqual([413, 'PAYLOAD_TOO_LARGE'])
  })

  test('a body that is not said to be JSON, which a form of a foreign page could send', async () => {
    const response = await fetch(edge.url, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', authorization: `Bearer ${keys.acme}` },
      body: '{"query":"{ whoAmI }"}',
    })
    expect(response.status).toBe(415)
  })

  test.each<[string, Record<string, string>]>([
    ['in another charset', { 'content-type': 'application/json; charset=utf-16' }],
    ['compressed', { 'content-type': 'application/json', 'content-encoding': 'gzip' }],
  ])('a body %s', async (_name, headers) => {
    expect(await code({ query: '{ whoAmI }' }, headers)).toEqual([415, 'BAD_REQUEST'])
    const plain = { 'content-type': 'application/json; charset="UTF-8"', 'x-api-key': keys.acme }
    expect((await edge.post({ query: '{ whoAmI }' }, plain)).status).toBe(200)
  })

  test.each<[string, string, string]>([
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n', '400'],
    ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '400'],
    ['two hosts', 'Host: b\r\nContent-Length: 0\r\n', '400'],
    ['headers without end', `X: ${'a'.repeat(40_000)}\r\n`, '431'],
  ])('what is to be read in two ways, or never ends: %s', async (_name, headers, status) => {
    const { port } = new URL(edge.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n${headers}\r\n`,
    )
    const answer = Buffer.concat(await socket.toArray()).toString()
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain('"code":"BAD_REQUEST"')
  })

  test('a GET that a foreign page could make', async () => {
    const response = await fetch(`${edge.url}?query={whoAmI}`, { headers: { authorization: `Bearer ${keys.acme}` } })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('CSRF')
  })

  test('a mutation over GET', async () => {
    const response = await fetch(`${edge.url}?query=mutation{rename(id:"acme",name:"x"){id}}`, {
      headers: { authorization: `Bearer ${keys.acme}`, 'apollo-require-preflight': '1' },
    })
    expect(response.status).toBe(405)
    expect(edge.world.companies.get('acme')?.name).toBe('Acme')
  })

  test.each<[string, string]>([
    ['tokens', `{ ${'whoAmI '.repeat(10_001)} }`],
    ['brackets', `${'{ a '.repeat(300)}${'}'.repeat(300)}`],
    [
      'depth',
      `{ company(id: "acme") ${'{ __schema { types { fields { type { ofType '.repeat(6)}{ name }${'} } } } }'.repeat(6)} }`,
    ],
    ['aliases', `{ ${Array.from({ length: 501 }, (_, i) => `a${i}: __typename`).join(' ')} }`],
    ['root fields', `{ ${Array.from({ length: 51 }, (_, i) => `a${i}: whoAmI`).join(' ')} }`],
    ['characters, if only of comments', `{ whoAmI } ${'#\n'.repeat(1_000_001)}`],
    ['one field again and again', `{ ${'whoAmI '.repeat(101)} }`],
    [
      'fragments that double each other',
      `{ ...f0 } ${Array.from({ length: 20 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f20 on Query { whoAmI }`,
    ],
  ])('a document with too many: %s', async (_name, query) => {
    expect(await code({ query })).toEqual([400, 'QUERY_TOO_LARGE'])
  })

  test('an address where there is nothing', async () => {
    const response = await fetch(new URL('/nowhere', edge.url))
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] })
  })

  test.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s, with the methods that there are', async (method) => {
    const response = await fetch(edge.url, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, POST')
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] })
    expect((await fetch(new URL('/health', edge.url), { method })).headers.get('allow')).toBe('GET')
  })

  test('a list in variables that is too long, before anything is done for its items', async () => {
    const query = 'query ($numbers: [Int!]!) { sum(numbers: $numbers) }'
    expect(await code({ query, variables: { numbers: Array.from({ length: 1001 }, () => 1) } })).toEqual([
      400,
      'LIST_TOO_LONG',
    ])
    const fits = await edge.post({ query, variables: { numbers: Array.from({ length: 1000 }, () => 1) } })
    expect(fits.body.data).toEqual({ sum: 1000 })
  })

  test('a position that is none of ours', async () => {
    const headers = { authorization: `Bearer ${keys.acme}`, 'ledgerway-position': 'nonsense' }
    expect(await code({ query: '{ whoAmI }' }, headers)).toEqual([400, 'INVALID_POSITION'])
  })
})

describe('errors', () => {
  test('what was not written for clients is masked, and named by a request id', async () => {
    const { status, headers, body } = await edge.post({ query: '{ broken whoAmI }' })
    expect(status).toBe(200)
    expect(body.data).toEqual({ broken: null, whoAmI: 'acme' })
    expect(body.errors).toHaveLength(1)
    expect(body.errors?.[0]).toMatchObject({
      path: ['broken'],
      extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: headers.get('ledgerway-request-id') },
    })
    expect(JSON.stringify(body)).not.toMatch(/select|passwd|\.ts|node_modules/)
  })

  test('errors of ours pass with code and details, at their place', async () => {
    const { body } = await edge.post({ query: '{ r: refused }' })
    expect(body.errors?.[0]).toMatchObject({
      message: 'There is no such thing.',
      path: ['r'],
      extensions: { code: 'NOT_FOUND', thing: 7 },
    })
  })
})

describe('limits of time and number', () => {
  test('an operation that takes too long is ended with DEADLINE_EXCEEDED', async () => {
    await using impatient = await startEdge({ limits: { requestMs: 1_000 } })
    const { status, body } = await impatient.post({ query: '{ slow }' })
    expect([status, body.errors?.[0]?.extensions['code']]).toEqual([504, 'DEADLINE_EXCEEDED'])
    expect(impatient.world.contexts.at(-1)?.signal.aborted).toBe(true)
  })

  test('when the client goes away, what works for it is cancelled', async () => {
    const controller = new AbortController()
    const seen = edge.world.contexts.length
    const asking = fetch(edge.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keys.acme}` },
      body: JSON.stringify({ query: '{ slow }' }),
      signal: controller.signal,
    })
    await expect.poll(() => edge.world.contexts.length).toBeGreaterThan(seen)
    controller.abort()
    await expect(asking).rejects.toThrow('aborted')
    await expect.poll(() => edge.world.contexts.at(-1)?.signal.aborted).toBe(true)
  })

  test('one principal’s share does not touch another’s', async () => {
    await using narrow = await startEdge({ limits: { operationsPerPrincipal: 1 } })
    const gate = Promise.withResolvers<void>()
    narrow.world.afterRead = () => gate.promise
    const first = narrow.post({ query: '{ company(id: "acme") { name } }' })
    await expect.poll(() => narrow.world.loads).toBe(1)
    const second = await narrow.post({ query: '{ whoAmI }' })
    expect(second.status).toBe(429)
    expect(second.headers.get('retry-after')).toBe('1')
    expect(second.body.errors?.[0]?.extensions['code']).toBe('RATE_LIMITED')
    const others = await narrow.post({ query: '{ whoAmI }' }, { 'x-api-key': keys.other })
    expect(others.body.data).toEqual({ whoAmI: 'other' })
    gate.resolve()
    expect((await first).status).toBe(200)
  })
})

describe('rates', () => {
  test('over its rate a key is told when to come again; others are not touched', async () => {
    const limiter = createMemoryRateLimiter({ clock: { now: () => 0 } })
    await using limited = await startEdge({
      deps: {
        rates: { limiter, rates: { perKey: { perSecond: 0.5, burst: 2 }, everybody: { perSecond: 100, burst: 100 } } },
      },
    })
    for (let i = 0; i < 2; i++) expect((await limited.post({ query: '{ whoAmI }' })).status).toBe(200)
    const refused = await limited.post({ query: '{ whoAmI }' })
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('2')
    expect(refused.body.errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryable: true, scope: 'key' })
    expect((await limited.post({ query: '{ whoAmI }' }, { 'x-api-key': keys.other })).status).toBe(200)
  })
})

describe('what comes back', () => {
  test('a write answers with its position, in header and extensions, which covers the one sent', async () => {
    const query = 'mutation { rename(id: "other", name: "Other & Co") { name } }'
    const { headers, body } = await edge.post({ query })
    const position = headers.get('ledgerway-position')
    expect(position).toBeTruthy()
    expect(body.extensions?.['position']).toBe(position)
    expect(headers.get('cache-control')).toBe('no-store')
    const read = await edge.post(
      { query: '{ whoAmI }' },
      { 'x-api-key': keys.acme, 'ledgerway-position': position ?? '' },
    )
    expect(read.headers.get('ledgerway-position')).toBe(position)
    expect(edge.world.contexts.at(-1)?.position).toBe(position)
  })

  test('who does not send the position back still reads its own writes here', async () => {
    const { headers } = await edge.post({ query: 'mutation { rename(id: "acme", name: "Acme") { name } }' })
    await edge.post({ query: '{ uncached }' })
    expect(edge.world.contexts.at(-1)?.position).toBe(headers.get('ledgerway-position'))
    await edge.post({ query: '{ uncached }' }, { 'x-api-key': keys.other })
    expect(edge.world.contexts.at(-1)?.position).toBeUndefined()
  })

  test('statements are told where debugging is on', async () => {
    const { body } = await edge.post({ query: '{ company(id: "acme") { name size } }' })
    expect(body.extensions?.['statements']).toEqual({ companies: { one: 1 }, records: { one: 1 } })
  })

  test('a caller’s request id follows the request', async () => {
    const headers = { 'x-api-key': keys.acme, 'ledgerway-request-id': 'abc-12345678' }
    const answer = await edge.post({ query: '{ uncached }' }, headers)
    expect(answer.headers.get('ledgerway-request-id')).toBe('abc-12345678')
    expect(edge.world.contexts.at(-1)?.requestId).toBe('abc-12345678')
  })

  test('a document may be sent once and then named by its hash', async () => {
    const query = '{ whoAmI uncached }'
    const hash = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(query))).toString('hex')
    const extensions = { persistedQuery: { version: 1, sha256Hash: hash } }
    const unknown = await edge.post({ extensions })
    expect(unknown.body.errors?.[0]).toMatchObject({
      message: 'PersistedQueryNotFound',
      extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' },
    })
    await edge.post({ query, extensions })
    expect((await edge.post({ extensions })).body.data).toEqual({ whoAmI: 'acme', uncached: 'fresh' })
  })
})

describe('pages of other origins', () => {
  test('those that are listed may read answers, with the headers that clients need', async () => {
    const preflight = await fetch(edge.url, {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
    const answer = await edge.post({ query: '{ whoAmI }' }, { 'x-api-key': keys.acme, origin: 'https://shop.example' })
    expect(answer.headers.get('access-control-expose-headers')).toContain('ledgerway-position')
  })

  test('others may not', async () => {
    const answer = await edge.post({ query: '{ whoAmI }' }, { 'x-api-key': keys.acme, origin: 'https://evil.example' })
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('health', () => {
  const get = async (path: string, url = edge.url): Promise<[number, unknown]> => {
    const response = await fetch(new URL(path, url))
    return [response.status, await response.json()]
  }

  test('live and ready, part by part', async () => {
    expect(await get('/health/live')).toEqual([200, { status: 'live' }])
    expect(await get('/health/ready')).toEqual([200, { status: 'ready', parts: { companies: { ok: true } } }])
  })

  test('not ready while queries do not answer, or the check does not', async () => {
    let checks = 0
    let running = 0
    let most = 0
    await using failing = await startEdge({
      deps: {
        checkReady: async () => {
          checks += 1
          most = Math.max(most, (running += 1))
          await new Promise(setImmediate)
          running -= 1
          throw new Error('connect ECONNREFUSED 10.0.0.1:5432')
        },
      },
    })
    const answers = await Promise.all(Array.from({ length: 20 }, () => get('/health/ready', failing.url)))
    expect(answers[0]).toEqual([503, { status: 'not ready', parts: { check: { ok: false } } }])
    // Never twice at once, and at most once a second.
    expect(most).toBe(1)
    expect(checks).toBeLessThan(20)
  })
})

describe('the console', () => {
  test.each(['/', '/graphql'])('is at %s for browsers, under a policy that lets nothing foreign in', async (path) => {
    const response = await fetch(new URL(path, edge.url), { headers: { accept: 'text/html,*/*' } })
    expect(response.status).toBe(200)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    const page = await response.text()
    for (const [, path] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      expect((await fetch(new URL(path ?? '', edge.url))).status).toBe(200)
    }
    expect(page).not.toMatch(/<script(?![^>]*src)|style=|onclick=/)
    // A browser would ask for /favicon.ico, which there is not.
    expect(page).toMatch(/<link\s+rel="icon"\s+href="data:/)
  })

  test('every element that its script asks for is on the page', async () => {
    const [page, script] = await Promise.all(
      ['/', '/console/console.js'].map(async (path) => (await fetch(new URL(path, edge.url))).text()),
    )
    const named = [...(script ?? '').matchAll(/element\('(\w+)'\)/g)].map(([, id]) => id)
    const listed = /const \[(.*?)\] = \[/s.exec(script ?? '')?.[1]?.split(',') ?? []
    const ids = [...named, ...listed.map((id) => id.trim()).filter((id) => id !== '')]
    expect(ids.length).toBeGreaterThan(8)
    expect(ids.filter((id) => page?.includes(`id="${id}"`) !== true)).toEqual([])
  })
})

test('stopping waits for what is in flight, and says so to who asks for health', async () => {
  const stopping = await startEdge()
  const gate = Promise.withResolvers<void>()
  stopping.world.afterRead = () => gate.promise
  const asking = stopping.post({ query: '{ company(id: "acme") { name } }' })
  await expect.poll(() => stopping.world.loads).toBe(1)
  const stopped = stopping[Symbol.asyncDispose]()
  expect((await fetch(new URL('/health/ready', stopping.url))).status).toBe(503)
  gate.resolve()
  expect((await asking).body.data).toEqual({ company: { name: 'Acme' } })
  await stopped
  await expect(fetch(stopping.url)).rejects.toThrow('fetch failed')
})

describe('compression', () => {
  test.each(['zstd', 'br', 'gzip'])('long answers are compressed by %s for clients that ask', async (encoding) => {
    const query = `{ echo(value: "${'x'.repeat(5000)}") }`
    const ask = (accept: string): Promise<Response> =>
      fetch(edge.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': keys.acme, 'accept-encoding': accept },
        body: JSON.stringify({ query }),
      })
    const response = await ask(`${encoding}, identity;q=0.1`)
    expect(response.headers.get('content-encoding')).toBe(encoding)
    expect(response.headers.get('vary')).toContain('Accept-Encoding')
    expect(await response.json()).toMatchObject({ data: { echo: 'x'.repeat(5000) } })
    const plain = await ask(`${encoding};q=0`)
    expect(plain.headers.get('content-encoding')).toBeNull()
    await plain.body?.cancel()
  })

  test('short ones are not', async () => {
    const answer = await edge.post({ query: '{ whoAmI }' }, { 'x-api-key': keys.acme, 'accept-encoding': 'gzip' })
    expect(answer.headers.get('content-encoding')).toBeNull()
  })
})

test('caches outside are told what answers depend on', async () => {
  const { headers } = await edge.post({ query: '{ whoAmI }' })
  for (const name of ['Authorization', 'X-Api-Key', 'Ledgerway-Position']) expect(headers.get('vary')).toContain(name)
})
