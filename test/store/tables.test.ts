import { getTableColumns, getTableName } from 'drizzle-orm'
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { companyMoves } from '../../store/tables/company-moves.ts'
import { acquireShards } from '../support/postgres.ts'

test("Drizzle's tables are those of the migrations", async () => {
  await using databases = await acquireShards({ count: 1 })
  const sql = postgres(databases.catalogUrl, { max: 1 })
  try {
    const rows = await sql<{ name: string; type: string; required: boolean }[]>`
      select attname as name, format_type(atttypid, null) as type, attnotnull as required from pg_attribute
      where attrelid = ${getTableName(companyMoves)}::regclass and attnum > 0 and not attisdropped order by attnum`
    const columns = Object.values(getTableColumns(companyMoves)).map((column) => ({
      name: column.name,
      type: column.getSQLType(),
      required: column.notNull,
    }))
    expect(columns).toEqual([...rows])
  } finally {
    await sql.end()
  }
})
