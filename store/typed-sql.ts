import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy'
import type { Sql, TransactionSql } from 'postgres'

/**
 * Drizzle's typed queries over a client or a transaction of the store, so that they keep its limits, its statement count
 * and its transaction. For rare commands over plain tables: loading Drizzle costs about 100 MB, so import what uses it
 * where it is first needed; hot paths are written in SQL.
 */
export function typedSql(sql: Sql | TransactionSql): PgRemoteDatabase {
  return drizzle(async (text, parameters) => ({ rows: await sql.unsafe(text, parameters as never[]).values() }))
}
