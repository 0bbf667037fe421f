import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createClient } from 'graphql-ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { followKeyPair, readKeyPair } from '../../../app/tls.ts'
import { silentLogger } from '../../../core/log.ts'
import { type Edge, keys, startEdge } from './harness.ts'

const file = (name: string): string => new URL(`../../support/tls/${name}.pem`, import.meta.url).pathname
const tls = { cert: readFileSync(file('cert'), 'utf8'), key: readFileSync(file('key'), 'utf8') }
const withKey = { authorization: `Bearer ${keys.acme}` }
const subscription =
  'subscription ($id: ID!) { recordAppended(companyId: $id) { cursor record { id company { name } } } }'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ deps: { tls } })
})
afterAll(() => edge[Symbol.asyncDispose]())

function open(at: Edge): ClientHttp2Session {
  const session = connect(new URL(at.url).origin, { ca: tls.cert })
  session.on('error', () => undefined)
  return session
}

function post(session: ClientHttp2Session, path: string, body: unknown, headers: object = {}): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/json',
    ...withKey,
    ...headers,
  })
  stream.setEncoding('utf8')
  stream.on('error', () => undefined)
  stream.end(JSON.stringify(body))
  return stream
}

/** What a stream brought so far. */
function collect(stream: ClientHttp2Stream): { text: string } {
  const got = { text: '' }
  stream.on('data', (chunk: string) => (got.text += chunk))
  return got
}

const subscribed = (at: Edge, count: number): Promise<void> =>
  expect.poll(() => at.world.events.listenerCount('record')).toBe(count)

describe('over HTTP/2', () => {
  test('one connection carries queries and many event streams at once, which resume by Last-Event-ID', async () => {
    await using own = await startEdge({ deps: { tls } })
    const session = open(own)
    const body = { query: subscription, variables: { id: 'acme' } }
    const streams = Array.from({ length: 20 }, () => post(session, '/graphql/stream', body))
    const events = streams.map(collect)
    await subscribed(own, 20)
    own.append()
    const answer = post(session, '/graphql', { query: '{ whoAmI }' })
    const [headers] = (await once(answer, 'response')) as [Record<string, unknown>]
    expect(headers).toMatchObject({ ':status': 200, 'x-content-type-options': 'nosniff' })
    expect(JSON.parse(await text(answer))).toEqual({ data: { whoAmI: 'acme' } })
    for (const got of events) await expect.poll(() => got.text).toContain('id: c0\nevent: next\n')
    for (const stream of streams) stream.close()
    await subscribed(own, 0)
    own.append()
    const again = collect(post(session, '/graphql/stream', body, { 'last-event-id': 'c0' }))
    await expect.poll(() => again.text).toContain('id: c1\nevent: next\n')
    expect(again.text).not.toContain('"cursor":"c0"')
    expect(own.server.load().eventStreams).toMatchObject({ connections: 1, subscriptions: 1 })
    session.destroy()
    await subscribed(own, 0)
  })

  test('a large answer comes compressed and whole, and a body over the limit is refused by a status', async () => {
    await using own = await startEdge({ deps: { tls }, limits: { bodyBytes: 2_000 } })
    own.world.companies.set('acme', { id: 'acme', name: 'x'.repeat(500_000), secret: '' })
    const session = open(own)
    const large = post(session, '/graphql', { query: '{ company(id: "acme") { name } }' })
    expect((await text(large)).length).toBeGreaterThan(500_000)
    const refused = post(session, '/graphql', { query: `{ whoAmI } # ${'x'.repeat(3_000)}` })
    const [headers] = (await once(refused, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(413)
    session.destroy()
  })

  test('a client that takes no events is let go, and the others of its connection go on', async () => {
    await using own = await startEdge({ deps: { tls }, limits: { slowClientMs: 200 } })
    own.world.companies.set('acme', { id: 'acme', name: 'x'.repeat(100_000), secret: '' })
    const session = open(own)
    const body = { query: subscription, variables: { id: 'acme' } }
    const slow = post(session, '/graphql/stream', body)
    slow.pause()
    const light = 'subscription { recordAppended(companyId: "acme") { cursor } }'
    const other = collect(post(session, '/graphql/stream', { query: light }))
    await subscribed(own, 2)
    for (let i = 0; i < 50; i += 1) own.append()
    await subscribed(own, 1)
    await expect.poll(() => other.text).toContain('"cursor":"c49"')
    session.destroy()
  })

  test('a request whose body does not come is given up', async () => {
    await using own = await startEdge({ deps: { tls }, limits: { requestMs: 100 } })
    const session = open(own)
    const headers = { 'content-type': 'application/json', ...withKey }
    const stream = session.request({ ':method': 'POST', ':path': '/graphql', ...headers })
    stream.on('error', () => undefined)
    stream.write('{"query":')
    await once(stream, 'close')
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL)
    session.destroy()
  })

  test('when the server stops, the client is sent away: streams end so that it resumes, what is under way is answered', async () => {
    const own = await startEdge({ deps: { tls } })
    const session = open(own)
    const goaway = once(session, 'goaway')
    const closed = once(session, 'close')
    const events = collect(post(session, '/graphql/stream', { query: subscription, variables: { id: 'acme' } }))
    await subscribed(own, 1)
    const held = Promise.withResolvers<void>()
    own.world.afterRead = () => held.promise
    const query = post(session, '/graphql', { query: '{ company(id: "acme") { name } }' })
    await expect.poll(() => own.world.loads).toBe(1)
    const stopped = own[Symbol.asyncDispose]()
    await goaway
    await expect.poll(() => events.text).toContain('"code":"SHUTTING_DOWN"')
    expect(events.text).not.toContain('event: complete')
    held.resolve()
    expect(JSON.parse(await text(query))).toEqual({ data: { company: { name: 'Acme' } } })
    await closed
    await stopped
    expect(own.world.events.listenerCount('record')).toBe(0)
  })
})

describe('over HTTP/1.1 with TLS, at the same port', () => {
  const ask = (at: Edge, path: string, body: unknown) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', ...withKey }
      const asked = request(new URL(path, at.url), { method: 'POST', headers, ca: tls.cert }, resolve)
      asked.once('error', reject)
      asked.end(JSON.stringify(body))
    })

  test('queries, event streams and WebSockets work, and end as they should when the server stops', async () => {
    const own = await startEdge({ deps: { tls } })
    expect(own.url).toMatch(/^https:/)
    const answer = await ask(own, '/graphql', { query: '{ whoAmI }' })
    expect(answer.httpVersion).toBe('1.1')
    expect(JSON.parse(await text(answer))).toEqual({ data: { whoAmI: 'acme' } })
    const stream = text(await ask(own, '/graphql/stream', { query: subscription, variables: { id: 'acme' } }))
    class Trusting extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols, { ca: tls.cert })
      }
    }
    let code: number | undefined
    const client = createClient({
      url: own.url.replace('https', 'wss'),
      webSocketImpl: Trusting,
      connectionParams: withKey,
      retryAttempts: 0,
      on: { closed: (event) => (code = (event as { code: number }).code) },
    })
    const events = client.iterate({ query: subscription, variables: { id: 'acme' } })
    const first = events.next()
    await subscribed(own, 2)
    expect(own.server.load()).toMatchObject({ webSockets: { connections: 1, subscriptions: 1 } })
    own.append()
    expect((await first).value).toMatchObject({ data: { recordAppended: { cursor: 'c0' } } })
    const second = events.next().catch(() => 'closed')
    await own[Symbol.asyncDispose]()
    expect(await second).toBe('closed')
    expect(code).toBe(1001)
    const got = await stream
    expect(got).toContain('id: c0\n')
    expect(got).toContain('"code":"SHUTTING_DOWN"')
    await client.dispose()
  })
})

describe('the certificate', () => {
  const serialOf = async (at: Edge): Promise<string> => {
    const { port } = new URL(at.url)
    const socket: TLSSocket = connectTls({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }

  test('once renewed is taken for new connections while the old ones go on, and half of a pair is not', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ledgerway-tls-'))
    const files = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }
    await copyFile(file('cert'), files.certFile)
    await copyFile(file('key'), files.keyFile)
    await using own = await startEdge({ deps: { tls: await readKeyPair(files) } })
    let refused = 0
    const logger = { ...silentLogger, warn: () => void (refused += 1) }
    const replace = own.server.replaceKeyPair
    using _following = followKeyPair({ files, replace, logger, everyMs: 10 })
    const before = await serialOf(own)
    const session = open(own)
    await once(session, 'connect')
    await copyFile(file('renewed-cert'), files.certFile)
    await expect.poll(() => refused).toBeGreaterThan(0)
    expect(await serialOf(own)).toBe(before)
    await copyFile(file('renewed-key'), files.keyFile)
    await expect.poll(() => serialOf(own)).not.toBe(before)
    expect(JSON.parse(await text(post(session, '/graphql', { query: '{ whoAmI }' })))).toMatchObject({ data: {} })
    session.destroy()
    await rm(directory, { recursive: true })
  })

  test('that cannot be read or is none stops the start, without showing what is in the file', async () => {
    const wrong = { certFile: file('cert'), keyFile: file('renewed-key') }
    await expect(readKeyPair(wrong)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(readKeyPair({ ...wrong, keyFile: '/nowhere' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const secret = await readFile(file('renewed-key'), 'utf8')
    await expect(readKeyPair({ ...wrong, keyFile: file('cert') })).rejects.not.toThrow(secret)
  })
})
