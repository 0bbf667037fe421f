import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import postgres, { type Sql } from 'postgres'
import { startEmbeddedPostgres } from '../../app/embedded/postgres.ts'
import { newCompanyId, type CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger, type Ledger, type NewRecord } from '../../ledger/ledger.ts'
import { createStore } from '../../store/create-store.ts'
import { poolProfiles } from '../../store/pool/options.ts'
import type { Store } from '../../store/store.ts'
import { insertRaw, makeLargeRecord, makePrivateRecord, makeRecord } from './rows.ts'

/**
 * `npm run bench -- append [--short] [--ledgers 1,16,1000] [--batches 1,10,100,1000] [--records N] [--rounds N]`: records a
 * second through the ledger's API, on one embedded Postgres (fsync on). Baseline: one `insert … select unnest(…)` of the same
 * rows (same columns, same indexes, hashes replaced by random bytes, everything prepared beforehand), by the same number of
 * writers in the same batches, without any ledger: no lock, no versions, no hashing, no feed. Rounds take turns, the median
 * counts. `rawPrimaryKeyOnly` is the same insert into a table whose only index is the primary key. In the end the verifier
 * beside bare SHA-256 of the same messages (`bench/verify.ts`). `--short`: all cases with fewer records, some three minutes.
 */
const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    ledgers: { type: 'string', default: '1,16,1000' },
    batches: { type: 'string', default: '1,10,100,1000' },
    records: { type: 'string' },
    rounds: { type: 'string', default: '3' },
  },
})
const { short } = values
const numbers = (text: string): number[] => text.split(',').map(Number)
const recordCount = Number(values.records ?? (short ? 6_000 : 20_000))
const singleCount = short ? 1_200 : 4_000
const rounds = Number(values.rounds)
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
process.env['BENCH_RECORDS'] ??= short ? '40000' : '100000'
await import('../verify.ts')

async function run(store: Store, raw: Sql): Promise<void> {
  const wrappingKey = Buffer.alloc(32, 1)
  const ledger = createLedger({ store, wrappingKey })
  const alone = createLedger({ store, limits: { maxGroupRecords: 1 } })
  const companies = await makeCompanies(ledger, 1000)
  const append = (companyId: CompanyId, records: NewRecord[]): Promise<unknown> => ledger.append(companyId, { records })

  async function compareWithRaw(
    what: { case: string; ledgers: number; batch: number; records: number },
    make: (i: number) => NewRecord = makeRecord,
  ): Promise<void> {
    const { ledgers, batch, records } = what
    const chosen = companies.slice(0, ledgers)
    const next = new Map<CompanyId, number>()
    const write = (to: Write): Promise<number> => writeAll(chosen, batch, records, make, to)
    const insert =
      (table: string): Write =>
      async (companyId, rows) => {
        const from = next.get(companyId) ?? 0
        next.set(companyId, from + rows.length)
        await insertRaw(raw, table, companyId, rows, from)
      }
    const emptied = async (table: string): Promise<number> => {
      next.clear()
      await raw.unsafe('truncate bench_raw, bench_raw_key')
      return write(insert(table))
    }
    const rates = await compare({
      ledger: () => write(append),
      raw: () => emptied('bench_raw'),
      rawKey: () => emptied('bench_raw_key'),
    })
    report(what, rates)
  }

  // Warm: connections, prepared statements, catalogs.
  await writeAll(companies.slice(0, 16), 100, 3_200, makeRecord, append)

  for (const ledgers of numbers(values.ledgers)) {
    for (const batch of numbers(values.batches)) {
      const enough = Math.max(recordCount, batch * Math.min(ledgers, 32))
      const records = batch === 1 ? Math.min(recordCount, singleCount) : enough
      await compareWithRaw({ case: 'batches', ledgers, batch, records })
    }
  }
  const large = { ledgers: 16, batch: 20, records: short ? 640 : 2_000 }
  await compareWithRaw({ case: '16 kB payloads, stored compressed', ...large }, makeLargeRecord)
  const personal = { ledgers: 16, batch: 1000, records: Math.max(recordCount, 16_000) }
  await compareWithRaw({ case: 'with a private part each', ...personal }, makePrivateRecord)

  // A hundred callers at once on one ledger, each with one record at a time: the API as it is, and one group a record.
  const [one = newCompanyId()] = companies
  const singles = (target: Ledger) => async () => {
    const each = short ? 10 : 30
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

type Write = (companyId: CompanyId, records: NewRecord[]) => Promise<unknown>

async function makeCompanies(ledger: Ledger, count: number): Promise<CompanyId[]> {
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
  make: (i: number) => NewRecord,
  write: Write,
): Promise<number> {
  const batches = Math.ceil(total / batch)
  const prepared = Array.from({ length: batches }, (_, i) => ({
    companyId: companies[i % companies.length] ?? newCompanyId(),
    records: Array.from({ length: batch }, (_, n) => make(i * batch + n)),
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
