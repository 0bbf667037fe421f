import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { startEmbeddedPostgres } from '../app/embedded/postgres.ts'
import { newCompanyId, type CompanyId } from '../core/ids.ts'
import { silentLogger } from '../core/log.ts'
import { headerText } from '../ledger/entry.ts'
import { createLedger, type NewRecord } from '../ledger/ledger.ts'
import { createStore } from '../store/create-store.ts'
import { poolProfiles } from '../store/pool/options.ts'
import type { Store } from '../store/store.ts'

/**
 * `npm run bench -- append`: records a second through the ledger's API, on one embedded Postgres (fsync on). Baseline: one
 * `insert … select unnest(…)` of the same rows (same columns, same indexes, hashes replaced by random bytes, everything
 * prepared beforehand), by the same number of writers in the same batches, without any ledger: no lock, no versions, no
 * hashing, no feed. Rounds take turns, the median counts. `rawPrimaryKeyOnly` is the same insert into a table whose only
 * index is the primary key. `BENCH_RECORDS` (20000) a case, `BENCH_ROUNDS` (3), `BENCH_LEDGERS` (1,16,1000).
 */
const recordCount = Number(process.env['BENCH_RECORDS'] ?? 20_000)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const only = (process.env['BENCH_LEDGERS'] ?? '1,16,1000').split(',').map(Number)
const at = '2026-11-21T08:00:00.000Z'
const folder = mkdtempSync(join(tmpdir(), 'ledgerway-bench-'))

try {
  await using servers = await startEmbeddedPostgres({
    dataDir: folder,
    shardCount: 1,
    replica: false,
    logger: silentLogger,
  })
  await using store = await createStore({
    shards: servers.shards,
    catalogUrl: servers.catalogUrl,
    pool: poolProfiles['high-throughput'],
    deployment: 'bench',
    logger: silentLogger,
  })
  const raw = postgres(servers.shards[0]?.primaryUrl ?? '', { max: 16, onnotice() {} })
  try {
    await raw.unsafe(`create table bench_raw (like ledger_records including all);
      create table bench_raw_key (like ledger_records);
      alter table bench_raw_key add primary key (company_id, position)`)
    await run(store, raw)
  } finally {
    await raw.end()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function run(store: Store, raw: Sql): Promise<void> {
  const ledger = createLedger({ store })
  const alone = createLedger({ store, limits: { maxGroupRecords: 1 } })
  const companies = await makeCompanies(ledger, 1000)

  // Warm: connections, prepared statements, catalogs.
  await writeAll(companies.slice(0, 16), 100, 3_200, (companyId, records) => ledger.append(companyId, { records }))

  for (const ledgers of only) {
    for (const batch of [1, 10, 100, 1000]) {
      const total = batch === 1 ? Math.min(recordCount, 4_000) : Math.max(recordCount, batch * Math.min(ledgers, 32))
      const chosen = companies.slice(0, ledgers)
      const next = new Map<CompanyId, number>()
      const insert = (table: string) => async (companyId: CompanyId, records: NewRecord[]) => {
        const from = next.get(companyId) ?? 0
        next.set(companyId, from + records.length)
        await insertRaw(raw, table, companyId, records, from)
      }
      const rates = await compare({
        ledger: () => writeAll(chosen, batch, total, (companyId, records) => ledger.append(companyId, { records })),
        raw: () => emptied(raw, next, () => writeAll(chosen, batch, total, insert('bench_raw'))),
        rawKey: () => emptied(raw, next, () => writeAll(chosen, batch, total, insert('bench_raw_key'))),
      })
      report({ case: 'batches', ledgers, batch, records: total }, rates)
    }
  }

  // A hundred callers at once on one ledger, each with one record at a time: the API as it is, and one group a record.
  const [one = newCompanyId()] = companies
  const singles = (target: typeof ledger) => async () => {
    const each = 30
    const start = performance.now()
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        for (let i = 0; i < each; i++) await target.append(one, { records: [makeRecord(i)] })
      }),
    )
    return (100 * each * 1000) / (performance.now() - start)
  }
  const { grouped, ungrouped } = await compare({ grouped: singles(ledger), ungrouped: singles(alone) })
  console.log(
    JSON.stringify({
      bench: 'append',
      case: '100 concurrent single appends on one ledger',
      baseline: 'without grouping',
      recordsPerSecond: Math.round(grouped ?? 0),
      baselinePerSecond: Math.round(ungrouped ?? 0),
      ratio: ratio(grouped, ungrouped),
      rounds,
    }),
  )
}

async function makeCompanies(ledger: ReturnType<typeof createLedger>, count: number): Promise<CompanyId[]> {
  const companies = Array.from({ length: count }, () => newCompanyId())
  const queue = companies.values()
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const companyId of queue) {
        await ledger.change(companyId, async () => ({ value: null, records: [makeRecord(0)] }))
      }
    }),
  )
  return companies
}

/** At most 16 writers, each with one batch on its way; ledgers take turns. Records a second. */
async function writeAll(
  companies: readonly CompanyId[],
  batch: number,
  total: number,
  write: (companyId: CompanyId, records: NewRecord[]) => Promise<unknown>,
): Promise<number> {
  const batches = Math.ceil(total / batch)
  const prepared = Array.from({ length: batches }, (_, i) => ({
    companyId: companies[i % companies.length] ?? newCompanyId(),
    records: Array.from({ length: batch }, (_, n) => makeRecord(i * batch + n)),
  })).values()
  const start = performance.now()
  // One batch at a time on one ledger, for the baseline too: there it would otherwise be 16 at a time.
  const writers = Math.min(16, companies.length)
  await Promise.all(
    Array.from({ length: writers }, async () => {
      for (const { companyId, records } of prepared) await write(companyId, records)
    }),
  )
  return (batches * batch * 1000) / (performance.now() - start)
}

/** Trades of about 300 bytes, ten a stream. */
function makeRecord(i: number): NewRecord {
  return {
    kind: 'trade.executed',
    source: 'otc-desk',
    stream: `trade/${Math.floor(i / 10)}`,
    occurredAt: at,
    data: {
      buyer: 'Acme Corporation',
      currency: 'EUR',
      legs: [{ notional: 1000 + i, rate: 1.25 }],
      note: 'Free text of about a hundred characters, as people write it when they book a trade by hand.',
      quantity: i,
      seller: 'Umbrella GmbH',
      tags: ['otc', 'spot', 'manual'],
    },
  }
}

async function emptied(raw: Sql, next: Map<CompanyId, number>, run: () => Promise<number>): Promise<number> {
  next.clear()
  await raw.unsafe('truncate bench_raw, bench_raw_key')
  return run()
}

async function insertRaw(
  raw: Sql,
  table: string,
  companyId: CompanyId,
  records: readonly NewRecord[],
  from: number,
): Promise<void> {
  const count = records.length
  const hashes = () => {
    const bytes = randomBytes(32 * count)
    return `{${records.map((_, i) => `"\\\\x${bytes.toString('hex', i * 32, i * 32 + 32)}"`).join(',')}}`
  }
  const positions = `{${records.map((_, i) => from + i).join(',')}}`
  const header = (record: NewRecord, i: number) =>
    headerText({ kind: record.kind, source: record.source, stream: record.stream, version: i, recordedAt: at })
  await raw.unsafe(
    `insert into ${table} (company_id, position, batch_id, kind, source, stream, version, recorded_at, header, data, salt,
      data_commitment, leaf, previous_leaf)
    select $1, unnest($2::text::bigint[]), $3, unnest($4::text[]), unnest($5::text[]), unnest($6::text[]),
      unnest($2::text::bigint[]), $7, unnest($8::text[]), unnest($9::text[]), unnest($10::text::bytea[]),
      unnest($11::text::bytea[]), unnest($12::text::bytea[]), unnest($13::text::bytea[])`,
    [
      companyId,
      positions,
      from,
      records.map(({ kind }) => kind),
      records.map(({ source }) => source),
      records.map(({ stream }) => stream),
      at,
      records.map(header),
      records.map(({ data }) => JSON.stringify(data)),
      hashes(),
      hashes(),
      hashes(),
      hashes(),
    ],
    { prepare: true },
  )
}

/** Every case once a round, in turns; the median of each. */
async function compare(cases: Record<string, () => Promise<number>>): Promise<Record<string, number>> {
  const rates = new Map(Object.keys(cases).map((name) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    const entries = Object.entries(cases)
    for (const [name, run] of round % 2 === 0 ? entries : entries.toReversed()) rates.get(name)?.push(await run())
  }
  return Object.fromEntries(
    [...rates].map(([name, all]) => [name, all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0]),
  )
}

function report(what: object, { ledger, raw, rawKey }: Record<string, number>): void {
  console.log(
    JSON.stringify({
      bench: 'append',
      ...what,
      baseline: 'raw unnest insert of the same rows with the same indexes',
      recordsPerSecond: Math.round(ledger ?? 0),
      baselinePerSecond: Math.round(raw ?? 0),
      ratio: ratio(ledger, raw),
      rawPrimaryKeyOnly: Math.round(rawKey ?? 0),
      ratioToPrimaryKeyOnly: ratio(ledger, rawKey),
      rounds,
    }),
  )
}

function ratio(value: number | undefined, baseline: number | undefined): number {
  return Number(((value ?? 0) / (baseline ?? 1)).toFixed(3))
}
