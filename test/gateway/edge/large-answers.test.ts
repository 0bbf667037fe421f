import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { type Edge, type EdgeOptions, keys, startEdge } from './harness.ts'

const count = 6_000

/** With far more companies than are answered in one go. */
async function startLarge(options: EdgeOptions = {}): Promise<Edge> {
  const edge = await startEdge(options)
  for (let index = 0; index < count; index++) {
    const id = `company-${index}`
    edge.world.companies.set(id, { id, name: `Näme "${index}" ${'.'.repeat(200)}`, secret: 'a secret' })
  }
  return edge
}

/** Without decoding or reading the body. */
async function raw(edge: Edge, query: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const asking = httpRequest(edge.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': keys.acme, ...headers },
  })
  asking.end(JSON.stringify({ query }))
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  return response
}

const query = '{ companies { id name } }'
const whole = (edge: Edge): string =>
  `${JSON.stringify({ data: { companies: [...edge.world.companies.values()].map(({ id, name }) => ({ id, name })) } })}\n`

describe('a large answer', () => {
  test('comes in chunks and is the same text, the first time and from a known document', async () => {
    await using edge = await startLarge({ cache: false })
    for (let times = 0; times < 2; times++) {
      const response = await raw(edge, query)
      expect(response.statusCode).toBe(200)
      expect(response.headers['transfer-encoding']).toBe('chunked')
      expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
      expect(response.headers['x-content-type-options']).toBe('nosniff')
      expect((await text(response)) === whole(edge)).toBe(true)
    }
  })

  test.each([
    ['zstd', createZstdDecompress],
    ['br', createBrotliDecompress],
    ['gzip', createGunzip],
  ] as const)('is compressed by %s on the way', async (encoding, decoder) => {
    await using edge = await startLarge()
    const response = await raw(edge, query, { 'accept-encoding': encoding })
    expect(response.headers['content-encoding']).toBe(encoding)
    expect((await text(response.pipe(decoder()))) === whole(edge)).toBe(true)
  })

  test('brings errors first and extensions last', async () => {
    await using edge = await startLarge({ deps: { debugExtensions: true } })
    const response = await raw(edge, `{ refused all: companies { id } }`)
    const answer = await text(response)
    expect(answer.startsWith('{"errors":[{"message":"There is no such thing."')).toBe(true)
    const { data, extensions } = JSON.parse(answer) as { data: Record<string, unknown[]>; extensions: object }
    expect(data['refused']).toBeNull()
    expect(data['all']).toHaveLength(count + 2)
    expect(extensions).toHaveProperty('statements')
  })

  test.each([
    ['is kept by the cache', 200, ['miss', 'hit']],
    ['is not kept where it is larger than anything the cache keeps', 400, ['miss', 'miss']],
  ])('%s', async (_name, length, states) => {
    await using edge = await startLarge()
    for (const company of edge.world.companies.values()) company.name = '.'.repeat(length)
    for (const state of states) {
      const response = await raw(edge, query)
      expect(response.headers['ledgerway-cache']).toBe(state)
      expect((await text(response)) === whole(edge)).toBe(true)
    }
  })

  test('whose data is not as the schema says is answered exactly, with the error in its place', async () => {
    await using edge = await startLarge()
    edge.world.companies.set('company-5000', { id: 'company-5000', name: null as never, secret: '' })
    const response = await raw(edge, query)
    const answer = JSON.parse(await text(response)) as { data: unknown; errors: { path: unknown[] }[] }
    expect(answer.data).toBeNull()
    expect(answer.errors[0]?.path).toEqual(['companies', 5002, 'name'])
  })

  test('is whole where another subgraph knows something of each of its items', async () => {
    await using edge = await startLarge()
    edge.append('company-5999')
    edge.append('company-0')
    const response = await raw(edge, '{ companies { id size } again: companies { ... on Company { size } } }')
    const { data } = JSON.parse(await text(response)) as { data: Record<string, { id: string; size: number }[]> }
    expect(data['companies']).toEqual(
      [...edge.world.companies.keys()].map((id) => ({ id, size: ['company-0', 'company-5999'].includes(id) ? 1 : 0 })),
    )
    expect(data['again']?.map(({ size }) => size)).toEqual(data['companies']?.map(({ size }) => size))
  })

  test('ends with the client that leaves, and the next one is answered', async () => {
    await using edge = await startLarge()
    const leaving = await raw(edge, query)
    await once(leaving, 'data')
    leaving.destroy()
    expect((await text(await raw(edge, query))) === whole(edge)).toBe(true)
  })

  test('does not wait for ever for a client that takes nothing', async () => {
    await using edge = await startLarge({ limits: { slowClientMs: 100, operations: 1 } })
    // 30 MB are more than the connection holds.
    for (const company of edge.world.companies.values()) company.name = '.'.repeat(5_000)
    const gate = Promise.withResolvers<void>()
    edge.world.afterRead = () => gate.promise
    const asking = raw(edge, query)
    await expect.poll(() => edge.world.loads).toBe(1)
    expect((await edge.post({ query: '{ whoAmI }' })).status).toBe(503)
    gate.resolve()
    const response = await asking
    await expect.poll(async () => (await edge.post({ query: '{ whoAmI }' })).status).toBe(200)
    await expect(text(response)).rejects.toThrow('aborted')
  })

  test('is one text to those who share it, and whole over a connection', async () => {
    await using edge = await startLarge()
    const answers = await Promise.all([1, 2, 3].map(async () => text(await raw(edge, query))))
    expect(answers.map((answer) => answer === whole(edge))).toEqual([true, true, true])
    const stream = await fetch(`${edge.url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': keys.acme },
      body: JSON.stringify({ query }),
    })
    expect((await stream.text()).includes(`data: ${whole(edge).trimEnd()}\n\n`)).toBe(true)
  })
})
