import type { Sql, TransactionSql } from 'postgres'
import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import { fenceColumn, quote, type CompanyTable } from './company-tables.ts'

/** Rows a batch: with records of the largest allowed size it still fits in memory. */
const batchRows = 200
const largeBatchRows = 4

export interface SyncDeps {
  readonly source: Sql
  readonly target: Sql
  readonly tables: readonly CompanyTable[]
  readonly companyId: CompanyId
  /** Locks the company's place on the target, or throws: another mover has taken over. First in every transaction there. */
  readonly holdTarget: (tx: TransactionSql) => Promise<void>
  /** Between batches: keeps the lease, and throws to stop. */
  readonly step: (rowsCopied: number) => Promise<void>
}

export interface SyncResult {
  /** The next round needs only rows changed by this transaction or a later one. */
  readonly syncedBefore: string
  readonly copied: number
  readonly rows: number
}

/**
 * Makes the target's copy equal to one snapshot of the source: copies what changed since `syncedBefore` (everything, when
 * null), deletes what is gone, and compares the counts. With `checksums`, compares every row. Reads only on the source.
 *
 * What changed is told by the rows' own `xmin`: it needs no trigger, slot or column, costs writers nothing, and a round
 * that was killed is simply run again.
 * @throws AppError LEDGER_CORRUPT when the copies differ
 */
export function syncOnce(
  deps: SyncDeps,
  options: { syncedBefore: string | null; checksums: boolean },
): Promise<SyncResult> {
  // In a transaction, since only there a statement may take its time.
  const thereNow = (table: CompanyTable): Promise<Summary> =>
    deps.target.begin<Summary>('read only', (tx) => summary(tx, table, deps.companyId, options.checksums))
  return deps.source.begin('isolation level repeatable read read only', async (snapshot) => {
    const [now] = await snapshot<{ xmin: string }[]>`select pg_snapshot_xmin(pg_current_snapshot())::text as xmin`
    let copied = 0
    let rows = 0
    for (const table of deps.tables) {
      copied += await copyChanged(deps, snapshot, table, options.syncedBefore)
      let [here, there] = await Promise.all([
        summary(snapshot, table, deps.companyId, options.checksums),
        thereNow(table),
      ])
      if (there.count > here.count) {
        await deleteGone(deps, snapshot, table)
        there = await thereNow(table)
      }
      if (here.count !== there.count || here.checksum !== there.checksum) {
        throw new AppError('LEDGER_CORRUPT', `The copy of "${table.name}" differs from the original.`, {
          details: { table: table.name, source: here, target: there },
        })
      }
      rows += here.count
    }
    return { syncedBefore: now?.xmin ?? '0', copied, rows }
  }) as Promise<SyncResult>
}

async function copyChanged(
  deps: SyncDeps,
  snapshot: TransactionSql,
  table: CompanyTable,
  syncedBefore: string | null,
): Promise<number> {
  const columns = table.columns.map(({ name }) => `${quote(name)}::text`)
  const changed = syncedBefore === null ? '' : 'and age(xmin) <= age($2::text::xid8::xid)'
  const text = `select ${columns.join(', ')} from ${quote(table.name)} where company_id = $1 ${changed}`
  const parameters = syncedBefore === null ? [deps.companyId] : [deps.companyId, syncedBefore]
  let copied = 0
  for await (const batch of snapshot
    .unsafe(text, parameters)
    .values()
    .cursor(table.large.length > 0 ? largeBatchRows : batchRows)) {
    const rows = batch as unknown as (string | null)[][]
    await deps.target.begin(async (tx) => {
      await deps.holdTarget(tx)
      await upsert(tx, table, rows)
    })
    copied += rows.length
    await deps.step(rows.length)
  }
  return copied
}

/** The copy of a head stays closed to appends until the company has arrived. */
async function upsert(tx: TransactionSql, table: CompanyTable, rows: readonly (string | null)[][]): Promise<void> {
  const names = table.columns.map(({ name }) => quote(name))
  const values = table.columns.map(({ type }, i) => `v.c${i}::${type}`)
  const fenced = table.name === fenceColumn.table
  if (fenced) {
    names.push(quote(fenceColumn.column))
    values.push('false')
  }
  const others = names.filter((name) => !table.key.map(quote).includes(name))
  const update = others.length === 0 ? 'nothing' : `update set ${others.map((n) => `${n} = excluded.${n}`).join(', ')}`
  const arrays = table.columns.map((_, i) => rows.map((row) => row[i] ?? null))
  const result = await tx.unsafe(
    `insert into ${quote(table.name)} (${names.join(', ')}) overriding system value
     select ${values.join(', ')}
     from unnest(${table.columns.map((_, i) => `$${i + 1}::text[]`).join(', ')})
       as v (${table.columns.map((_, i) => `c${i}`).join(', ')})
     on conflict (${table.key.map(quote).join(', ')}) do ${update}`,
    arrays as never[],
    { prepare: true },
  )
  if (others.length > 0 && result.count !== rows.length) {
    throw new AppError('LEDGER_CORRUPT', `Not every row of "${table.name}" was stored.`)
  }
}

/** Rows deleted on the source since they were copied: rare, so they are looked for only when the counts differ. */
async function deleteGone(deps: SyncDeps, snapshot: TransactionSql, table: CompanyTable): Promise<void> {
  const key = table.key.slice(1)
  const types = key.map((name) => table.columns.find((column) => column.name === name)?.type ?? 'text')
  const parameters = ['c', ...key].map((_, i) => `$${i + 2}::text[]`)
  const aliases = ['c', ...key.map((_, i) => `k${i}`), 'n']
  const keys = `unnest(${parameters.join(', ')}) with ordinality as k (${aliases.join(', ')})`
  const columns = ['company_id', ...key].map((name) => `${quote(name)}::text`)
  const same = key.map((name, i) => `t.${quote(name)} = k.k${i}::${types[i]}`)
  const match = ['t.company_id = $1', ...same].join(' and ')
  const list = `select ${columns.join(', ')} from ${quote(table.name)} where company_id = $1`
  await deps.target.begin('read only', async (there) => {
    for await (const batch of there.unsafe(list, [deps.companyId]).values().cursor(batchRows)) {
      const rows = batch as unknown as string[][]
      const arrays = ['company_id', ...key].map((_, i) => rows.map((row) => row[i] ?? null))
      const gone = await snapshot.unsafe(
        `select k.n::int as n from ${keys} where not exists (select from ${quote(table.name)} t where ${match})`,
        [deps.companyId, ...arrays] as never[],
      )
      if (gone.length === 0) continue
      const places = gone.map((row) => Number(row['n']) - 1)
      await deps.target.begin(async (tx) => {
        await deps.holdTarget(tx)
        await tx.unsafe(`delete from ${quote(table.name)} t using ${keys} where ${match}`, [
          deps.companyId,
          ...arrays.map((array) => places.map((place) => array[place] ?? null)),
        ] as never[])
      })
      await deps.step(0)
    }
  })
}

interface Summary {
  readonly count: number
  readonly checksum: string
}

/**
 * Count and, if asked for, a checksum that does not depend on the order of rows. Of large values only the length: reading
 * gigabytes of them behind the fence would hold back writes, and what is kept so carries a seal of its own.
 */
async function summary(
  sql: Sql | TransactionSql,
  table: CompanyTable,
  companyId: CompanyId,
  checksums: boolean,
): Promise<Summary> {
  const values = table.columns.map(({ name }) =>
    table.large.includes(name) ? `octet_length(${quote(name)})` : `${quote(name)}::text`,
  )
  const row = `row(${values.join(', ')})::text`
  const checksum = checksums ? `coalesce(sum(hashtextextended(${row}, 0)::numeric), 0)::text` : `''`
  const [found] = await sql.unsafe(
    `select count(*) as count, ${checksum} as checksum from ${quote(table.name)} where company_id = $1`,
    [companyId],
  )
  return { count: Number(found?.['count']), checksum: String(found?.['checksum']) }
}
