import type { Sql } from 'postgres'
import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'

/** A table whose primary key begins with company_id: its rows go where their company goes, unlogged ones' too. */
export interface CompanyTable {
  readonly name: string
  /** Without generated ones, in a fixed order; with the type to cast text to. */
  readonly columns: readonly { name: string; type: string }[]
  /** Values of a megabyte or so, sealed by who stores them: those of an unlogged table that are stored apart. */
  readonly large: readonly string[]
  readonly key: readonly string[]
}

/** The store's own, which tell of the move itself. */
const ownTables = ['company_places']
/** Set by the mover on each side for itself, see `0002-moves.sql`. */
export const fenceColumn = { table: 'ledger_heads', column: 'here' }

/** Every company-owned table of a shard, found by its primary key, so that no list can be forgotten. */
export async function companyTables(sql: Sql): Promise<CompanyTable[]> {
  const rows = await sql<{ name: string; columns: string[]; types: string[]; large: boolean[]; key: string[] }[]>`
    select c.relname as name, k.key,
      array_agg(a.attstorage = 'e' and c.relpersistence = 'u' order by a.attname) as large,
      array_agg(a.attname order by a.attname) as columns,
      array_agg(format_type(a.atttypid, a.atttypmod) order by a.attname) as types
    from pg_class c
    join lateral (
      select array(
        select attname from unnest(i.indkey) with ordinality as n (attnum, place)
        join pg_attribute p on p.attrelid = c.oid and p.attnum = n.attnum order by place) as key
      from pg_index i where i.indrelid = c.oid and i.indisprimary) as k on k.key[1] = 'company_id'
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relkind = 'r' and c.relpersistence in ('p', 'u') and c.relnamespace = current_schema()::regnamespace and c.relname <> all (${ownTables}::text[])
    group by c.oid, c.relname, k.key
    order by c.relname`
  return rows.map(({ name, columns, types, large, key }) => ({
    name,
    key,
    large: columns.filter((_, i) => large[i]),
    columns: columns
      .map((column, i) => ({ name: column, type: types[i] ?? 'text' }))
      .filter((column) => name !== fenceColumn.table || column.name !== fenceColumn.column),
  }))
}

/** @throws AppError CONFIG_INVALID when the two shards do not have the same tables: one of them misses migrations */
export function requireSameTables(source: readonly CompanyTable[], target: readonly CompanyTable[]): void {
  if (JSON.stringify(source) === JSON.stringify(target)) return
  throw new AppError('CONFIG_INVALID', 'The two shards do not have the same tables: migrate both first.')
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** One statement; index: each table's primary key. */
export async function countRows(sql: Sql, tables: readonly CompanyTable[], companyId: CompanyId): Promise<number> {
  const counts = tables.map(({ name }) => `(select count(*) from ${quote(name)} where company_id = $1)`)
  const [row] = await sql.unsafe<{ count: number }[]>(`select ${counts.join(' + ') || '0'} as count`, [companyId])
  return row?.count ?? 0
}
