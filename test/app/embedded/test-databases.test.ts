import postgres from 'postgres'
import { expect, test } from 'vitest'
import { acquireShards } from '../../support/postgres.ts'

test('every caller gets migrated databases of its own', async () => {
  await using first = await acquireShards({ count: 2 })
  await using second = await acquireShards({ count: 1 })
  const urls = [first, second].flatMap(({ shards, catalogUrl }) => [catalogUrl, ...shards.map((s) => s.primaryUrl)])
  expect(new Set(urls).size).toBe(5)
  const sql = postgres(first.shards[0]!.primaryUrl)
  const tables = await sql`select table_name from information_schema.tables where table_schema = 'public'`
  expect(tables.map((r) => r.table_name)).toContain('companies')
  await sql.end()
})
