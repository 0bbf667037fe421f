import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { postGraphql, type Product, startProduct } from '../support/product.ts'

const token = 'a-token-for-scrapers-only'
const env = { METRICS_TOKEN: token, STATUS_PORT: '0' }

let dataDir: string
let serving: Product
let working: Product
let companyId: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-metrics-'))
  serving = await startProduct({ dataDir, env, args: ['--roles=gateway,companies,records,ops'] })
  working = await startProduct({ dataDir, env, args: ['--roles=workers'] })
  const created = await serving.graphql<{ createCompany: { company: { id: string } } }>(
    `mutation { createCompany(input: { name: "Acme" }) { company { id } } }`,
  )
  companyId = created.data?.createCompany.company.id ?? ''
  await serving.graphql(
    `mutation($id: ID!) { appendRecords(input: { companyId: $id, records: [{ kind: "a", source: "s", stream: "t", data: {} }] }) { position } }`,
    { id: companyId },
  )
  await serving.graphql('query($id: ID!) { company(id: $id) { name ledger { size } } }', { id: companyId })
  await serving.graphql('{ companies(first: 1000) { nodes { id } } }')
  await serving.graphql('{ nonsense }')
  await postGraphql(serving.url, { query: '{ companies { nodes { id } } }' }, { authorization: 'Bearer wrong' })
})

afterAll(async () => {
  await working[Symbol.asyncDispose]()
  await serving[Symbol.asyncDispose]()
  await rm(dataDir, { recursive: true, force: true })
})

const pageOf = (product: Product): string => new URL('/metrics', product.url).href

async function scrape(url: string, key = token): Promise<{ status: number; type: string; text: string }> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
  return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() }
}

interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/

/** By the text format's grammar; a line that is neither sample nor comment is an error, as is a sample of an undeclared metric. */
function parsePage(text: string): Series[] {
  expect(text.endsWith('\n')).toBe(true)
  const types = new Map<string, string>()
  const helped = new Set<string>()
  return text.split('\n').flatMap((line) => {
    if (line === '') return []
    const [, kind, metric = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') helped.add(metric)
    if (kind === 'TYPE') types.set(metric, rest)
    if (kind !== undefined) return []
    const [, name = '', labels = '', value = ''] = sampleLine.exec(line) ?? []
    if (name === '') throw new Error(`not a line of the format: ${line}`)
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
    expect({ line, type: types.get(family), helped: helped.has(family) }).toMatchObject({
      type: expect.stringMatching(/^(counter|gauge|histogram|summary)$/),
      helped: true,
    })
    const number = value === '+Inf' ? Number.POSITIVE_INFINITY : value === 'Nan' ? Number.NaN : Number(value)
    expect(Number.isNaN(number) && value !== 'Nan').toBe(false)
    const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])
    return [{ name, labels: Object.fromEntries(pairs), value: number }]
  })
}

const valueOf = (series: readonly Series[], name: string, labels: object = {}): number | undefined =>
  series.find((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    ?.value

describe('metrics', () => {
  test('every line can be read, and none names a company or a key', async () => {
    for (const product of [serving, working]) {
      const { status, type, text } = await scrape(pageOf(product))
      expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' })
      const series = parsePage(text)
      const names = series.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`)
      expect(new Set(names).size).toBe(names.length)
      expect(text).not.toContain(companyId)
      expect(text).not.toContain(serving.adminKey)
    }
  })

  test('the gateway tells what it answered, from where and how fast', async () => {
    const series = parsePage((await scrape(pageOf(serving))).text)
    const requests = (operation: string, code: string) =>
      valueOf(series, 'ledgerway_requests_total', { operation, code })
    expect(requests('mutation', 'OK')).toBe(2)
    expect(requests('query', 'OK')).toBe(1)
    expect(requests('query', 'LIST_TOO_LONG')).toBe(1)
    expect(requests('none', 'GRAPHQL_VALIDATION_FAILED')).toBe(1)
    expect(requests('none', 'UNAUTHENTICATED')).toBe(1)
    expect(valueOf(series, 'ledgerway_request_duration_seconds_count', { operation: 'mutation' })).toBe(2)
    expect(valueOf(series, 'ledgerway_subgraph_requests_total', { subgraph: 'records', code: 'OK' })).toBeGreaterThan(0)
    expect(valueOf(series, 'ledgerway_ledger_records_total', { way: 'append' })).toBe(1)
    expect(valueOf(series, 'ledgerway_ledger_group_appends_count')).toBe(1)
    expect(valueOf(series, 'ledgerway_server_up', { shard: 'shard-1', server: 'primary' })).toBe(1)
    expect(valueOf(series, 'ledgerway_replica_in_rotation', { shard: 'shard-1' })).toBeDefined()
    expect(valueOf(series, 'nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0)
    expect(valueOf(series, 'process_resident_memory_bytes')).toBeGreaterThan(1e7)
    expect(series.some(({ name }) => name.startsWith('ledgerway_feed_'))).toBe(false)
  })

  test('workers by themselves, that listen on nothing else, tell of feed, queues and their health', async () => {
    expect(working.url).toMatch(/\/health\/ready$/)
    const ready = async () => {
      const response = await fetch(working.url)
      return { status: response.status, body: await response.json() }
    }
    await expect.poll(ready).toMatchObject({
      status: 200,
      body: { status: 'ready', parts: { 'shard shard-1': { ok: true }, queues: { ok: true }, feed: { ok: true } } },
    })
    const series = parsePage((await scrape(pageOf(working))).text)
    expect(valueOf(series, 'ledgerway_feed_consumer_behind', { shard: 'shard-1', consumer: 'webhooks' })).toBeDefined()
    expect(valueOf(series, 'ledgerway_jobs', { queue: 'normal', state: 'failed' })).toBe(0)
    expect(valueOf(series, 'ledgerway_checkpoints_refused')).toBe(0)
    expect((await fetch(new URL('/graphql', working.url))).status).toBe(404)
  })

  test('only administrators and who holds the token see them, and the token opens nothing else', async () => {
    const page = pageOf(serving)
    expect((await fetch(page)).status).toBe(401)
    expect((await scrape(page, 'not-the-token-at-all')).status).toBe(401)
    expect((await scrape(page, serving.adminKey)).status).toBe(200)
    const made = await serving.graphql<{ createApiKey: { key: string } }>(
      `mutation($id: ID!) { createApiKey(input: { companyId: $id, label: "l" }) { key } }`,
      { id: companyId },
    )
    expect((await scrape(page, made.data?.createApiKey.key)).status).toBe(403)
    const asked = await postGraphql(serving.url, { query: '{ shards { name } }' }, { authorization: `Bearer ${token}` })
    expect(asked.status).toBe(401)
  })

  test('the operations page and the alerts name exactly the metrics there are', async () => {
    const pages = await Promise.all([serving, working].map((product) => scrape(pageOf(product))))
    const ours = (text: string): Set<string> => new Set(text.match(/\bledgerway_[a-z_]*[a-z]\b/g))
    const declared = new Set(
      pages.flatMap(({ text }) => [...text.matchAll(/^# TYPE (ledgerway_\S+)/gm)].map(([, name]) => name)),
    )
    const section = /## Metrics\n([\s\S]*?)\n## /.exec(await readFile('docs/operations.md', 'utf8'))?.[1] ?? ''
    expect(ours([...section.matchAll(/^- (`ledgerway[^:]*):/gm)].map(([, names]) => names).join(' '))).toEqual(declared)

    const alerts = await readFile('deploy/prometheus/alerts.yml', 'utf8')
    const { groups } = z
      .object({
        groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() }).loose()) })),
      })
      .parse(parse(alerts))
    const known = new Set(pages.flatMap(({ text }) => parsePage(text).map(({ name }) => name)))
    for (const { alert, expr } of groups.flatMap(({ rules }) => rules)) {
      const named = expr.match(/\b(ledgerway|nodejs|process)_\w+/g) ?? []
      const unknown = named.filter((name) => !known.has(name) && !declared.has(name))
      expect({ alert, unknown }).toEqual({ alert, unknown: [] })
      expect(section).toContain(`\`${alert}\``)
    }
  })
})
