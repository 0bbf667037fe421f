import { expect, test } from 'vitest'
import { type Edge, keys, startEdge } from './harness.ts'

const bundle = Buffer.alloc(300_000, 'bundle ')

/** One export of Acme's; counts how often any is looked up. */
async function edgeWith(
  options: {
    private?: boolean
    chunks?: (signal: AbortSignal, range?: { start: number; end: number }) => AsyncIterable<Buffer>
    perKey?: number
  } = {},
) {
  const asked: string[] = []
  const chunks =
    options.chunks ??
    async function* (_signal: AbortSignal, range = { start: 0, end: bundle.length }) {
      yield bundle.subarray(range.start, range.end)
    }
  const edge = await startEdge({
    limits: { downloadsPerPrincipal: options.perKey ?? 8 },
    deps: {
      openExport: async (id) => {
        asked.push(id)
        if (id !== 'acme:normal.1') return null
        return { size: 7, bytes: bundle.length, sha256: 'ab', private: options.private ?? false, read: chunks }
      },
    },
  })
  return Object.assign(edge, { asked })
}

const get = (edge: Edge, id: string, key?: string, more: Record<string, string> = {}): Promise<Response> =>
  fetch(edge.url.replace('/graphql', `/exports/${id}`), {
    headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...more },
  })

const codeOf = async (response: Response): Promise<unknown> => {
  const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] }
  return errors[0]?.extensions.code
}

test('an export is sent to its company and to administrators, as a file that no cache keeps', async () => {
  await using edge = await edgeWith()
  for (const key of [keys.acme, keys.admin]) {
    const response = await get(edge, 'acme:normal.1', key)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/gzip',
      'content-length': String(bundle.length),
      'content-disposition': 'attachment; filename="acme-7.ndjson.gz"',
      'repr-digest': 'sha-256=:qw==:',
      'cache-control': 'private, no-store',
    })
    expect(Buffer.from(await response.arrayBuffer()).equals(bundle)).toBe(true)
  }
})

test.each([
  ['without a key', undefined, 'acme:normal.1', 401, 'UNAUTHENTICATED'],
  ['with a wrong key', 'lwk_wrong', 'acme:normal.1', 401, 'UNAUTHENTICATED'],
  ["with another company's key", keys.other, 'acme:normal.1', 403, 'FORBIDDEN'],
  ["with another company's key where there is none", keys.other, 'acme:normal.2', 403, 'FORBIDDEN'],
  ['with a key that may read the ledger, and no export', keys.acmeReader, 'acme:none', 404, 'NOT_FOUND'],
  ['of no company', keys.admin, 'normal.1', 400, 'INVALID_ID'],
])('a download %s is refused', async (_, key, id, status, code) => {
  await using edge = await edgeWith()
  const response = await get(edge, id, key)
  expect(response.status).toBe(status)
  expect(await codeOf(response)).toBe(code)
  // What was not the caller's to know was not even looked up.
  expect(edge.asked).toEqual(status === 404 ? [id] : [])
})

const length = bundle.length

test.each<[string, Record<string, string>, number, string | null, [number, number]]>([
  ['from a byte on', { range: 'bytes=1000-' }, 206, `bytes 1000-${length - 1}/${length}`, [1000, length]],
  ['between two', { range: 'bytes=5-9' }, 206, `bytes 5-9/${length}`, [5, 10]],
  ['over the end', { range: 'bytes=5-999999999' }, 206, `bytes 5-${length - 1}/${length}`, [5, length]],
  ['of the last', { range: 'bytes=-7' }, 206, `bytes ${length - 7}-${length - 1}/${length}`, [length - 7, length]],
  [
    'of more last ones than there are',
    { range: 'bytes=-999999999' },
    206,
    `bytes 0-${length - 1}/${length}`,
    [0, length],
  ],
  ['of the same file', { range: 'bytes=5-', 'if-range': '"ab"' }, 206, `bytes 5-${length - 1}/${length}`, [5, length]],
  ['of another file by now', { range: 'bytes=5-', 'if-range': '"cd"' }, 200, null, [0, length]],
  ['of the file of a day', { range: 'bytes=5-', 'if-range': 'Tue, 03 Feb 2026 04:05:06 GMT' }, 200, null, [0, length]],
  ['twice', { range: 'bytes=0-1,4-5' }, 200, null, [0, length]],
  ['backwards', { range: 'bytes=9-5' }, 200, null, [0, length]],
  ['in lines', { range: 'lines=1-2' }, 200, null, [0, length]],
  ['of nothing said', { range: 'bytes=-' }, 200, null, [0, length]],
])('a range %s', async (_, headers, status, range, [start, end]) => {
  await using edge = await edgeWith()
  const response = await get(edge, 'acme:normal.1', keys.acme, headers)
  expect([response.status, response.headers.get('content-range'), response.headers.get('etag')]).toEqual([
    status,
    range,
    '"ab"',
  ])
  expect(response.headers.get('content-length')).toBe(String(end - start))
  expect(Buffer.from(await response.arrayBuffer()).equals(bundle.subarray(start, end))).toBe(true)
})

test.each([`bytes=${length}-`, 'bytes=99999999999999999999-', 'bytes=-0'])('no bytes are in %s', async (range) => {
  await using edge = await edgeWith()
  const response = await get(edge, 'acme:normal.1', keys.acme, { range })
  expect([response.status, response.headers.get('content-range')]).toEqual([416, `bytes */${length}`])
  expect(await codeOf(response)).toBe('BAD_REQUEST')
})

test('a range takes the same rights as the whole, at each request', async () => {
  await using edge = await edgeWith()
  const range = { range: 'bytes=5-' }
  expect((await get(edge, 'acme:normal.1', keys.other, range)).status).toBe(403)
  const first = await get(edge, 'acme:normal.1', keys.acme, range)
  expect(first.status).toBe(206)
  await first.arrayBuffer()
  edge.revoke('key-acme')
  expect((await get(edge, 'acme:normal.1', keys.acme, range)).status).toBe(401)
})

test('one with private parts takes the right to them', async () => {
  await using edge = await edgeWith({ private: true })
  const refused = await get(edge, 'acme:normal.1', keys.acmeReader)
  expect([refused.status, await codeOf(refused)]).toEqual([403, 'FORBIDDEN'])
  const sent = await get(edge, 'acme:normal.1', keys.acme)
  expect((await sent.arrayBuffer()).byteLength).toBe(bundle.length)
})

test('a key that is revoked ends its downloads, and begins none', async () => {
  const proceed = Promise.withResolvers<void>()
  await using edge = await edgeWith({
    chunks: async function* () {
      yield bundle.subarray(0, 1000)
      await proceed.promise
      yield bundle.subarray(1000)
    },
  })
  const response = await get(edge, 'acme:normal.1', keys.acme)
  expect(response.status).toBe(200)
  edge.revoke('key-acme')
  proceed.resolve()
  await expect(response.arrayBuffer()).rejects.toThrow(/terminated|aborted|network|closed/i)
  expect((await get(edge, 'acme:normal.1', keys.acme)).status).toBe(401)
})

test('downloads at once are bounded, and a stopping server waits for none', async () => {
  const never = Promise.withResolvers<void>()
  const edge = await edgeWith({
    perKey: 1,
    chunks: async function* () {
      yield bundle.subarray(0, 1000)
      await never.promise
    },
  })
  const first = await get(edge, 'acme:normal.1', keys.acme)
  const second = await get(edge, 'acme:normal.1', keys.acme)
  expect(second.status).toBe(429)
  await second.arrayBuffer()
  const cut = first.arrayBuffer().then(
    () => 'whole',
    () => 'cut off',
  )
  await edge[Symbol.asyncDispose]()
  expect(await cut).toBe('cut off')
})
