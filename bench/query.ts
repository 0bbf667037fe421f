import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { request } from 'undici'
import { compose } from '../app/compose.ts'
import { readConfig } from '../app/config.ts'
import { loadDemo } from '../app/demo.ts'
import { silentLogger } from '../core/log.ts'
import { createStatementCounter, type RequestContext } from '../core/request.ts'

/**
 * What the gateway costs on top of a resolver: the same read of 20 companies asked of the companies subgraph directly
 * (baseline: its executor called in process) and of the whole product over HTTP, in turns; and the query over all three
 * subgraphs. Every request differs in a variable, so that none is answered by another's work.
 */
const seconds = Number(process.env['BENCH_SECONDS'] ?? 2)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const concurrency = 16

/** A new value each time, so that neither the response cache nor a request in flight can answer. */
const probe = 'probe: company(id: $nonce) { id }'
const oneSubgraph = `query($first: Int, $nonce: ID!) { ${probe} companies(first: $first) { nodes { id name sector { name } } } }`
const allSubgraphs = `query($first: Int, $nonce: ID!) { ${probe} companies(first: $first) { nodes { id name sector { name } ledger { size records(last: 3) { nodes { kind position } } } webhooks { url } } } }`
let nonces = 0
const adminKey = 'bench-administrator-key-0123456789'

const dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-bench-'))
try {
  const config = readConfig([], { DATA_DIR: dataDir, PORT: '0', ADMIN_API_KEY: adminKey, LOG_LEVEL: 'error' })
  const stop = new AbortController()
  await using app = await compose({ config, logger: silentLogger, out: process.stderr, signal: stop.signal })
  await loadDemo({
    store: app.data.store,
    target: app.data.importTarget,
    logger: silentLogger,
    out: process.stderr,
    signal: stop.signal,
    markerFile: join(dataDir, 'demo-loading'),
  })
  const [url = ''] = app.urls
  const companies = app.subgraphs.companies
  if (companies === undefined) throw new Error('the companies subgraph does not run here')

  const direct = async (): Promise<void> => {
    const context = benchContext()
    const variables = { first: 20, nonce: nextNonce() }
    const result = await companies(
      { subgraph: 'companies', kind: 'query', query: oneSubgraph, variables, context },
      context.signal,
    )
    if (!('data' in result) || result.data == null || result.errors !== undefined) throw new Error('no answer')
    JSON.stringify(result)
  }
  const overHttp = (query: string) => async (): Promise<void> => {
    const { statusCode, body } = await request(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminKey}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ query, variables: { first: 20, nonce: nextNonce() } }),
    })
    const text = await (body as Readable & { text(): Promise<string> }).text()
    if (statusCode !== 200 || text.includes('"errors"')) throw new Error(`no answer: ${text.slice(0, 200)}`)
  }

  const cases = { direct, gateway: overHttp(oneSubgraph), 'gateway, all subgraphs': overHttp(allSubgraphs) }
  for (const call of Object.values(cases)) await measure(call, 0.5)
  const results = new Map<string, number[]>()
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, call] of Object.entries(cases)) {
      results.set(name, [...(results.get(name) ?? []), await measure(call, seconds)])
    }
  }
  const baseline = median(results.get('direct') ?? [])
  for (const [name, rates] of results) {
    const perSecond = median(rates)
    console.log(
      JSON.stringify({
        bench: 'query',
        case: name,
        baseline: 'direct',
        requestsPerSecond: Math.round(perSecond),
        ratio: Number((perSecond / baseline).toFixed(3)),
        concurrency,
        rounds,
        seconds,
      }),
    )
  }
} finally {
  await rm(dataDir, { recursive: true, force: true })
}

function nextNonce(): string {
  nonces += 1
  return `bench-${nonces}`
}

/** Calls a second, `concurrency` at a time. */
async function measure(call: () => Promise<void>, forSeconds: number): Promise<number> {
  const startedMs = performance.now()
  const untilMs = startedMs + forSeconds * 1000
  let calls = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() < untilMs) {
        await call()
        calls += 1
      }
    }),
  )
  return (calls / (performance.now() - startedMs)) * 1000
}

function benchContext(): RequestContext {
  return {
    requestId: 'bench',
    principal: { kind: 'admin', keyId: 'bench', scopes: ['*'] },
    deadlineMs: Date.now() + 30_000,
    signal: AbortSignal.timeout(30_000),
    startedMs: performance.now(),
    statements: createStatementCounter(),
    written: [],
    missingShards: new Set(),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
