import { expect, test } from 'vitest'
import postgres from 'postgres'
import { readMigrations } from '../../store/migrate.ts'
import { acquireShards } from '../support/postgres.ts'
import { citusViolations } from './lint-sql.ts'

/** Tables with a company_id that belong to the shard: they stay when a company moves, and are local under Citus. */
const shardOwned = ['feed', 'feed_dirty']

test('every shard migration keeps to the SQL that Citus runs', () => {
  const migrations = readMigrations('shard')
  expect(migrations.length).toBeGreaterThan(0)
  expect(migrations.flatMap(({ name, sql }) => citusViolations(name, sql))).toEqual([])
})

test.each([
  ['a foreign key', 'create table a (company_id text references companies)'],
  ['a trigger', 'create trigger t after insert on a execute function f()'],
  ['a serial', 'create table a (id bigserial primary key)'],
])('%s is a violation', (_name, sql) => {
  expect(citusViolations('0999-x', sql)).toHaveLength(1)
})

test('what only a comment says is none', () => {
  expect(citusViolations('0999-x', '-- references nothing\nselect 1')).toEqual([])
})

test('primary keys and unique constraints of company-owned tables begin with company_id', async () => {
  await using databases = await acquireShards({ count: 1 })
  const sql = postgres(databases.shards[0]!.primaryUrl, { max: 1 })
  try {
    const tables = await sql<{ table: string; primary: string | null; unique: string[] }[]>`
      select c.relname as table,
        (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
          where i.indrelid = c.oid and i.indisprimary) as primary,
        array(select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
          where i.indrelid = c.oid and i.indisunique) as unique
      from pg_class c
      join pg_attribute k on k.attrelid = c.oid and k.attname = 'company_id' and not k.attisdropped
      where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace`
    expect(tables.length).toBeGreaterThan(0)
    for (const { table, primary, unique } of tables) {
      if (shardOwned.includes(table)) continue
      expect({ table, primary }).toEqual({ table, primary: 'company_id' })
      expect({ table, unique: new Set(unique) }).toEqual({ table, unique: new Set(['company_id']) })
    }
  } finally {
    await sql.end()
  }
})
