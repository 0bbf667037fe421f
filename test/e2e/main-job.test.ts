import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postGraphql, startProduct, type Product } from '../support/product.ts'

/** Processes whose working directory or command line names the data directory. */
function processesOf(dataDir: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(dataDir) && !line.includes('ps -eo'))
}

describe('a running product', () => {
  let product: Product
  let companyId: string

  beforeAll(async () => {
    product = await startProduct({ env: { DEBUG_EXTENSIONS: '1' } })
    const made: string[] = []
    for (let index = 0; index < 20; index += 1) {
      const answer = await product.graphql<{ createCompany: { company: { id: string } } }>(
        `mutation($input: CreateCompanyInput!) { createCompany(input: $input) { company { id } position } }`,
        { input: { name: `Company ${index}`, identifiers: [{ scheme: 'symbol', value: `E2E${index}` }] } },
      )
      made.push(answer.data?.createCompany.company.id ?? '')
    }
    companyId = made[0] ?? ''
  })
  afterAll(() => product[Symbol.asyncDispose]())

  const append = (input: object) =>
    product.graphql<{
      appendRecords: { position: string; records: { id: string; position: number; version: number }[] }
    }>(
      `mutation($input: AppendRecordsInput!) { appendRecords(input: $input) { position records { id position version } } }`,
      { input },
    )
  const note = (stream: string, data: unknown = { text: 'hello' }) => ({
    kind: 'note.added',
    source: 'test',
    stream,
    data,
  })

  test('20 companies with their records and webhooks cost at most depth times shards statements', async () => {
    const answer = await product.graphql<{ companies: { nodes: { ledger: { records: { nodes: unknown[] } } }[] } }>(
      `{ companies(first: 20) { nodes { id name sector { name } ledger { size records(last: 3) { nodes { kind } } } webhooks { url } } } }`,
    )
    expect(answer.errors).toBeUndefined()
    expect(answer.data?.companies.nodes).toHaveLength(20)
    for (const company of answer.data?.companies.nodes ?? [])
      expect(company.ledger.records.nodes.length).toBeGreaterThan(0)
    const statements = answer.extensions?.['statements'] as Record<string, Record<string, number>>
    const total = Object.values(statements)
      .flatMap((perShard) => Object.values(perShard))
      .reduce((a, b) => a + b, 0)
    const depth = 5
    const shards = 3
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThanOrEqual(depth * shards)
  })

  test('an append is seen by a read that carries its position', async () => {
    const appended = await append({ companyId, records: [note('seen')] })
    const id = appended.data?.appendRecords.records[0]?.id
    const read = await product.graphql(
      `query($id: ID!) { record(id: $id) { kind data stream version } }`,
      { id },
      {
        'ledgerway-position': appended.data?.appendRecords.position ?? '',
      },
    )
    expect(read.data).toEqual({ record: { kind: 'note.added', data: { text: 'hello' }, stream: 'seen', version: 1 } })
    expect(appended.headers.get('ledgerway-position')).toBe(appended.data?.appendRecords.position)
  })

  test.each([
    ['an unknown company', () => append({ companyId: 'no-such-company', records: [note('x')] }), 'NOT_FOUND'],
    ['an id that is none', () => append({ companyId: 'No Such', records: [note('x')] }), 'INVALID_ID'],
    [
      'a wrong expected version',
      () => append({ companyId, expected: [{ stream: 'fresh', version: 7 }], records: [note('fresh')] }),
      'VERSION_CONFLICT',
    ],
    [
      'a list too long',
      () => append({ companyId, records: Array.from({ length: 1001 }, () => note('x')) }),
      'LIST_TOO_LONG',
    ],
    ['a page too long', () => product.graphql('{ companies(first: 1000) { nodes { id } } }'), 'LIST_TOO_LONG'],
    [
      'a reserved kind',
      () => append({ companyId, records: [{ ...note('x'), kind: 'ledger.erased' }] }),
      'BAD_USER_INPUT',
    ],
  ])('%s gets its code', async (_name, call, code) => {
    const answer = await call()
    expect(answer.errors?.[0]?.extensions?.['code']).toBe(code)
    expect(JSON.stringify(answer)).not.toMatch(/stacktrace|select |insert |node_modules|at .*\.ts:/i)
  })

  test.each([
    ['malformed JSON', '{"query": ', 'JSON_SYNTAX'],
    ['a key twice', '{"query":"{ __typename }","variables":{"a":1,"a":2}}', 'JSON_DUPLICATE_KEY'],
    [
      'a number that a double cannot hold',
      '{"query":"{ __typename }","variables":{"a":9007199254740993}}',
      'JSON_NUMBER_PRECISION',
    ],
    [
      'a payload too large',
      `{"query":"{ __typename }","variables":{"a":"${'x'.repeat(17_000_000)}"}}`,
      'PAYLOAD_TOO_LARGE',
    ],
  ])('%s gets its code', async (_name, body, code) => {
    const answer = await postGraphql(product.url, body, { authorization: `Bearer ${product.adminKey}` })
    expect(answer.errors?.[0]?.extensions?.['code']).toBe(code)
    expect(answer.status).toBeGreaterThanOrEqual(400)
  })

  test('without a key or with a wrong one nothing is told', async () => {
    const query = { query: `{ company(id: "${companyId}") { name } }` }
    for (const headers of [{}, { 'x-api-key': 'lw_wrong-key-that-nobody-was-ever-given' }] as Record<
      string,
      string
    >[]) {
      const answer = await postGraphql<{ company: unknown }>(product.url, query, headers)
      expect(answer.errors?.[0]?.extensions?.['code']).toBe('UNAUTHENTICATED')
      expect(answer.data?.company ?? null).toBeNull()
    }
  })

  test('health tells what runs', async () => {
    const base = product.url.replace('/graphql', '')
    expect((await fetch(`${base}/health/live`)).status).toBe(200)
    await expect.poll(async () => (await fetch(`${base}/health/ready`)).status).toBe(200)
  })

  test('a job verifies a ledger and says so in it', async () => {
    const submitted = await product.graphql<{ submitJob: { id: string } }>(
      `mutation($input: SubmitJobInput!) { submitJob(input: $input) { id state } }`,
      { input: { name: 'verifyLedger', companyId } },
    )
    expect(submitted.errors).toBeUndefined()
    const job = () =>
      product.graphql<{ job: { state: string; result: unknown } }>(
        `query($id: ID!) { job(id: $id) { state result error } }`,
        {
          id: submitted.data?.submitJob.id,
        },
      )
    await expect.poll(async () => (await job()).data?.job.state).toBe('COMPLETED')
    const range = await product.graphql<{ verifyLedger: { id: string } }>(
      `mutation($id: ID!) { verifyLedger(companyId: $id, from: 1, to: 1) { id } }`,
      { id: companyId },
    )
    const rangeJob = () =>
      product.graphql<{ job: { result: unknown } }>(`query($id: ID!) { job(id: $id) { result } }`, {
        id: range.data?.verifyLedger.id,
      })
    await expect
      .poll(async () => (await rangeJob()).data?.job.result)
      .toMatchObject({ ok: true, from: 1, size: 2, firstBreak: null })
    const ledger = await product.graphql(
      `query($id: ID!) { company(id: $id) { ledger { records(last: 5) { nodes { kind } } } } }`,
      { id: companyId },
    )
    expect(JSON.stringify(ledger.data)).toContain('chain.verified')
  })

  test('a ledger is exported by a job, downloaded with the same rights, and verifies offline', async () => {
    const newKey = async (input: object) => {
      const made = await product.graphql<{ createApiKey: { key: string; apiKey: { id: string } } }>(
        `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }`,
        { input: { label: 'export', ...input } },
      )
      return made.data?.createApiKey ?? { key: '', apiKey: { id: '' } }
    }
    const own = await newKey({ companyId })
    const as = (key: string) => ({ authorization: `Bearer ${key}` })
    await append({
      companyId,
      records: [{ ...note('p'), private: { subject: 'p1', data: { mail: 'ada@example.com' } } }],
    })
    const submitted = await product.graphql<{ exportLedger: { id: string } }>(
      `mutation($id: ID!) { exportLedger(companyId: $id, private: true) { id name company { id } } }`,
      { id: companyId },
      as(own.key),
    )
    expect(submitted.data?.exportLedger).toMatchObject({ name: 'exportLedger', company: { id: companyId } })

    type Seen = { state: string; progress: number; result: { url: string; size: number; sha256: string } }
    const seen: Seen[] = []
    const stream = await fetch(`${product.url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...as(own.key) },
      body: JSON.stringify({
        query: `subscription($id: ID!) { jobChanged(id: $id) { state progress result } }`,
        variables: { id: submitted.data?.exportLedger.id },
      }),
    })
    for (const line of (await stream.text()).split('\n')) {
      if (!line.startsWith('data: {')) continue
      seen.push((JSON.parse(line.slice(6)) as { data: { jobChanged: Seen } }).data.jobChanged)
    }
    const { state, progress, result } = seen.at(-1)!
    expect({ state, progress }).toEqual({ state: 'COMPLETED', progress: 1 })

    const download = (key?: string) =>
      fetch(new URL(result.url, product.url), { headers: key === undefined ? {} : as(key) })
    const bundle = Buffer.from(await (await download(own.key)).arrayBuffer())
    expect(createHash('sha256').update(bundle).digest('hex')).toBe(result.sha256)
    expect(gunzipSync(bundle).toString()).toContain('ada@example.com')
    const file = join(product.dataDir, 'export.ndjson.gz')
    await writeFile(file, bundle)
    const { data } = await product.graphql<{ company: { ledger: { vkey: string; origin: string } } }>(
      `query($id: ID!) { company(id: $id) { ledger { vkey origin } } }`,
      { id: companyId },
    )
    const { vkey, origin } = data!.company.ledger
    const verified = execFileSync(
      process.execPath,
      ['app/cli.ts', 'verify', file, '--vkey', vkey, '--origin', origin],
      { encoding: 'utf8' },
    )
    expect(verified).toContain(`${result.size} records`)

    const admin = await newKey({})
    const neighbour = await product.graphql<{ createCompany: { company: { id: string } } }>(
      `mutation { createCompany(input: { name: "Neighbour" }) { company { id } } }`,
    )
    const other = await newKey({ companyId: neighbour.data?.createCompany.company.id })
    const reader = await newKey({ companyId, scopes: ['ledger.read'] })
    await product.graphql(`mutation($id: ID!) { revokeApiKey(id: $id) }`, { id: own.apiKey.id })
    const statuses = [admin.key, other.key, reader.key, own.key, undefined].map(
      async (key) => (await download(key)).status,
    )
    expect(await Promise.all(statuses)).toEqual([200, 403, 403, 401, 401])
    const readerAsks = await product.graphql(
      `mutation($id: ID!) { exportLedger(companyId: $id, private: true) { id } }`,
      { id: companyId },
      as(reader.key),
    )
    expect(readerAsks.errors?.[0]?.extensions?.['code']).toBe('FORBIDDEN')
  })
})

test('data survives kill -9, which leaves no server behind, and Ctrl-C ends everything', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-kill-'))
  try {
    const first = await startProduct({ dataDir })
    const created = await first.graphql<{ createCompany: { company: { id: string } } }>(
      `mutation { createCompany(input: { name: "Durable" }) { company { id } } }`,
    )
    const id = created.data?.createCompany.company.id
    await first.stop('SIGKILL')
    await expect.poll(() => processesOf(dataDir)).toEqual([])

    const second = await startProduct({ dataDir })
    const found = await second.graphql(`query($id: ID!) { company(id: $id) { name ledger { size } } }`, { id })
    expect(found.data).toEqual({ company: { name: 'Durable', ledger: { size: 1 } } })
    expect(await second.stop('SIGINT')).toBe(0)
    await expect.poll(() => processesOf(dataDir)).toEqual([])
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
})
