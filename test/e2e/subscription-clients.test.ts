import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { follow as followWithApollo } from '../../docs/examples/subscriptions/apollo-client.ts'
import { follow as followWithEventSource } from '../../docs/examples/subscriptions/event-source.ts'
import { type Follow, query } from '../../docs/examples/subscriptions/follow.ts'
import { follow as followWithGraphqlSse } from '../../docs/examples/subscriptions/graphql-sse.ts'
import { follow as followWithGraphqlWs } from '../../docs/examples/subscriptions/graphql-ws.ts'
import { follow as followWithUrql } from '../../docs/examples/subscriptions/urql.ts'
import { cuttable, type Cuttable } from '../support/cuttable.ts'
import { type Product, startProduct, unconfigured } from '../support/product.ts'

/** The recipes of docs/subscriptions.md, each with the real client library against the running product. */
const recipes: Record<string, (follow: Follow) => (() => void) | Promise<() => void>> = {
  'apollo-client': followWithApollo,
  urql: followWithUrql,
  'graphql-ws': followWithGraphqlWs,
  'graphql-sse': followWithGraphqlSse,
  'event-source': followWithEventSource,
}

let product: Product
/** Another process of the same deployment. */
let elsewhere: Product
beforeAll(async () => {
  product = await startProduct()
  elsewhere = await startProduct({
    dataDir: product.dataDir,
    env: { ROLES: 'gateway,records,companies,ops' },
  })
})
afterAll(async () => {
  await elsewhere?.[Symbol.asyncDispose]()
  await product?.[Symbol.asyncDispose]()
})

/** A company, its own key, and the cursor behind its first record. */
async function newCompany(id: string): Promise<{ companyId: string; key: string; keyId: string; after: string }> {
  const made = await product.graphql(
    `mutation ($id: ID) { createCompany(input: { id: $id, name: "Followed" }) { position } }`,
    { id },
  )
  expect(made.errors).toBeUndefined()
  const { data } = await product.graphql<{ createApiKey: { key: string; apiKey: { id: string } } }>(
    `mutation ($id: ID) { createApiKey(input: { companyId: $id, label: "test" }) { key apiKey { id } } }`,
    { id },
  )
  const read = await product.graphql<{ company: { ledger: { records: { pageInfo: { endCursor: string } } } } }>(
    `query ($id: ID!) { company(id: $id) { ledger { records(last: 1) { pageInfo { endCursor } } } } }`,
    { id },
  )
  return {
    companyId: id,
    key: data!.createApiKey.key,
    keyId: data!.createApiKey.apiKey.id,
    after: read.data!.company.ledger.records.pageInfo.endCursor,
  }
}

async function append(companyId: string, count: number): Promise<void> {
  const record = { kind: 'order.placed', source: 'test', stream: 'orders', data: { order: 1 } }
  const { errors } = await product.graphql(
    'mutation ($input: AppendRecordsInput!) { appendRecords(input: $input) { position } }',
    { input: { companyId, records: Array.from({ length: count }, () => record) } },
  )
  expect(errors).toBeUndefined()
}

interface Seen {
  readonly positions: number[]
  readonly ends: unknown[]
  last: string
  stop(): void
}

async function start(name: string, from: Omit<Follow, 'onRecord' | 'onEnd'>): Promise<Seen> {
  const seen: Seen = { positions: [], ends: [], last: from.after, stop: () => undefined }
  seen.stop = await recipes[name]!({
    ...from,
    onRecord(position, cursor) {
      seen.positions.push(position)
      seen.last = cursor
    },
    onEnd: (reason) => seen.ends.push(reason),
  })
  return seen
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)

describe('the client libraries', () => {
  test('lose and double nothing while their connections are cut again and again', async () => {
    const names = Object.keys(recipes)
    const { companyId, key, after } = await newCompany('cut-off')
    await using cable: Cuttable = await cuttable(product.url)
    const all = await Promise.all(names.map((name) => start(name, { url: cable.url, key, companyId, after })))
    const cuts = 2
    for (let cut = 0; cut < cuts; cut += 1) {
      for (let i = 0; i < 8; i += 1) await append(companyId, 5)
      const before = all.map(({ positions }) => positions.length)
      await cable.cut()
      for (let i = 0; i < 8; i += 1) await append(companyId, 5)
      await cable.mend()
      await append(companyId, 1)
      // Each has come back, so the next cut is a cut for all of them.
      await expect.poll(() => names.filter((_, i) => all[i]!.positions.length <= before[i]!)).toEqual([])
    }
    const total = 1 + cuts * 81
    for (const { positions } of all) {
      await expect.poll(() => positions.at(-1)).toBe(total - 1)
      expect(positions).toEqual(range(1, total))
    }
    for (const { stop, ends } of all) {
      stop()
      expect(ends).toEqual([])
    }
  })

  test('resume from a cursor that was kept, at another process', async () => {
    const { companyId, key, after } = await newCompany('kept')
    for (const [turn, name] of Object.keys(recipes).entries()) {
      const size = 1 + 5 * turn
      const first = await start(name, { url: product.url, key, companyId, after })
      await append(companyId, 3)
      await expect.poll(() => first.positions).toEqual(range(1, size + 3))
      first.stop()
      await append(companyId, 2)
      const second = await start(name, { url: elsewhere.url, key, companyId, after: first.last })
      await expect.poll(() => second.positions).toEqual(range(size + 3, size + 5))
      second.stop()
    }
  })

  test('are told when their key is revoked by another process, and do not come back', async () => {
    const { companyId, key, keyId, after } = await newCompany('revoked')
    const all = await Promise.all(
      Object.keys(recipes).map((name) => start(name, { url: elsewhere.url, key, companyId, after })),
    )
    await append(companyId, 1)
    for (const { positions } of all) await expect.poll(() => positions).toEqual([1])
    const { data } = await product.graphql('mutation ($id: ID!) { revokeApiKey(id: $id) }', { id: keyId })
    expect(data).toEqual({ revokeApiKey: true })
    for (const { ends } of all) await expect.poll(() => ends.length).toBe(1)
    await append(companyId, 1)
    await sleep(100)
    for (const { positions, stop } of all) {
      expect(positions).toEqual([1])
      stop()
    }
  })
})

test.each(['limit=x', 'limit=0', 'limit=1.5', 'wait=soon', 'limit=1&limit=2'])(
  'the feed refuses %s, which it would have to guess at',
  async (parameter) => {
    const response = await fetch(new URL(`/feed/shard-1?after=0&${parameter}`, product.url), {
      headers: { 'x-api-key': product.adminKey },
    })
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] }
    expect([response.status, errors[0]?.extensions.code]).toEqual([400, 'BAD_USER_INPUT'])
  },
)

test('the sample consumer of the feed loses nothing when it is killed and when the server cannot be reached', async () => {
  const { companyId } = await newCompany('sunk')
  const directory = await mkdtemp(join(tmpdir(), 'ledgerway-sink-'))
  await using cable: Cuttable = await cuttable(product.url)
  const script = new URL('../../docs/examples/feed-consumer.sh', import.meta.url).pathname
  const shards = ['shard-1', 'shard-2', 'shard-3']
  const folder = (shard: string): string => join(directory, shard)
  for (const shard of shards) await mkdir(folder(shard))
  const run = () =>
    shards.map((shard) =>
      spawn('sh', [script, new URL(`/feed/${shard}`, cable.url).href], {
        cwd: folder(shard),
        env: { ...process.env, KEY: product.adminKey },
        stdio: 'ignore',
        detached: true,
      }),
    )
  const kill = (consumers: ReturnType<typeof run>): void => {
    for (const { pid } of consumers) {
      try {
        if (pid !== undefined) process.kill(-pid, 'SIGKILL')
      } catch {
        // It has ended.
      }
    }
  }
  /** Positions of the company's records in the order they arrived in, repetitions left out. */
  const sunk = async (): Promise<number[]> => {
    const texts = await Promise.all(
      shards.map((shard) => readFile(join(folder(shard), 'sink.ndjson'), 'utf8').catch(() => '')),
    )
    const events = texts.flatMap((text) => text.split('\n').filter((line) => line.endsWith('}')))
    const own = events
      .map((line) => JSON.parse(line) as { source: string; position: number })
      .filter(({ source }) => source.endsWith(`/${companyId}`))
    return [...new Set(own.map(({ position }) => position))]
  }
  let consumers = run()
  onTestFinished(() => kill(consumers))
  await append(companyId, 20)
  await expect.poll(sunk).toEqual(range(0, 21))
  kill(consumers)
  await append(companyId, 20)
  consumers = run()
  await cable.cut()
  await append(companyId, 20)
  await cable.mend()
  await expect.poll(sunk).toEqual(range(0, 61))
  kill(consumers)
  await rm(directory, { recursive: true, maxRetries: 10 })
})

test('the command line shows who follows the feed, and a consumer that is forgotten while it runs comes back', async () => {
  const feed = async (...args: string[]): Promise<string> => {
    const root = new URL('../..', import.meta.url).pathname
    const env = { ...unconfigured(), DATA_DIR: product.dataDir }
    const { stdout } = await promisify(execFile)(process.execPath, ['app/cli.ts', 'feed', ...args], { cwd: root, env })
    return stdout
  }
  const [shown, refused] = await Promise.all([feed('consumers'), feed('forget', 'nobody').catch(String)])
  expect(refused).toContain('No consumer is called nobody.')
  for (const shard of ['shard-1', 'shard-2', 'shard-3']) expect(shown).toMatch(new RegExp(`^${shard}: at \\d+, `, 'm'))
  for (const name of ['checkpoints', 'counterparts', 'webhooks']) expect(shown).toContain(`  ${name}: `)
  expect(await feed('forget', 'webhooks')).toBe('webhooks is forgotten\n')
  await expect
    .poll(async () => {
      const { data } = await product.graphql<{ feeds: { consumers: { name: string }[] }[] }>(
        '{ feeds { consumers { name } } }',
      )
      return data!.feeds.map(({ consumers }) => consumers.map(({ name }) => name))
    })
    .toEqual(Array.from({ length: 3 }, () => ['checkpoints', 'counterparts', 'webhooks']))
})

test('with a certificate the product speaks HTTP/2 and resumes an event stream over it', async () => {
  const { companyId, key, after } = await newCompany('encrypted')
  const file = (name: string): string => new URL(`../support/tls/${name}.pem`, import.meta.url).pathname
  await using secure = await startProduct({
    dataDir: product.dataDir,
    env: { ROLES: 'gateway,records,companies,ops', TLS_CERT: file('cert'), TLS_KEY: file('key') },
  })
  expect(secure.url).toMatch(/^https:/)
  const session = connectHttp2(new URL(secure.url).origin, { ca: readFileSync(file('cert')) })
  session.on('error', () => undefined)
  await append(companyId, 2)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/graphql/stream',
    'content-type': 'application/json',
    authorization: `Bearer ${key}`,
    'last-event-id': after,
  })
  stream.on('error', () => undefined)
  stream.setEncoding('utf8')
  let got = ''
  stream.on('data', (chunk: string) => (got += chunk))
  stream.end(JSON.stringify({ query, variables: { companyId } }))
  await expect.poll(() => [...got.matchAll(/"position":(\d+),/g)].map(([, position]) => position)).toEqual(['1', '2'])
  const goaway = once(session, 'goaway')
  expect(await secure.stop('SIGTERM')).toBe(0)
  await goaway
  // The process is gone before all that it sent was read here.
  await expect.poll(() => got).toContain('"code":"SHUTTING_DOWN"')
})

test('the page on subscriptions names every recipe, and shows lines that are in them', () => {
  const directory = new URL('../../docs/', import.meta.url)
  const page = readFileSync(new URL('subscriptions.md', directory), 'utf8')
  const names = ['resuming', ...Object.keys(recipes)]
  for (const name of names) expect(page).toContain(`(examples/subscriptions/${name}.ts)`)
  const tested = names.map((name) => readFileSync(new URL(`examples/subscriptions/${name}.ts`, directory), 'utf8'))
  const lines = new Set(
    tested
      .join('\n')
      .split('\n')
      .map((line) => line.trim()),
  )
  const shown = [...page.matchAll(/^```ts\n(.*?)^```/gms)].flatMap(([, block = '']) => block.trim().split('\n'))
  expect(shown.length).toBeGreaterThan(10)
  expect(shown.filter((line) => !lines.has(line.trim()))).toEqual([])
})
