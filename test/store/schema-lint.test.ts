import { expect, test } from 'vitest'
import postgres from 'postgres'
import { readMigrations } from '../../store/migrate.ts'
import { acquireShards } from '../support/postgres.ts'
import { companyTables } from '../../store/move/company-tables.ts'
import { citusViolations } from './lint-sql.ts'
import { openStore } from './open-store.ts'
import { sqlInCode, taggedTemplates, withoutCompany } from './sql-in-code.ts'

/** Tables with a company_id that belong to the shard: they stay when a company moves, and are local under Citus. */
const shardOwned = ['feed', 'feed_dirty']

test('every shard migration keeps to the SQL that Citus runs', () => {
  const migrations = readMigrations('shard')
  expect(migrations.length).toBeGreaterThan(0)
  expect(migrations.flatMap(({ name, sql }) => citusViolations(name, sql))).toEqual([])
})

const root = new URL('../..', import.meta.url).pathname
const statements = sqlInCode(root, ['events', 'ledger', 'loaders', 'network', 'subgraphs', 'webhooks', 'workers'])

/** `docs/scaling.md` says what to do about them. */
const exceptions = ['ledger/as-of.ts: recursive queries are not distributed']

/** Asks for all companies on purpose: how much room exports take. */
const ofTheShard = ['select coalesce(sum(bytes), 0)::bigint as bytes from ledger_exports']

test('so do the statements in the code, and those on company-owned tables name the company', async () => {
  expect(statements.length).toBeGreaterThan(150)
  expect(statements.flatMap(({ file, text }) => citusViolations(file, text))).toEqual(exceptions)
  await using databases = await acquireShards({ count: 1 })
  await using store = await openStore(databases)
  const tables = (await store.onPrimary(store.shards[0]!, companyTables)).map(({ name }) => name)
  expect(tables).toContain('relationships')
  const touching = new Set(
    tables.filter((table) => statements.some(({ text }) => new RegExp(`\\b${table}\\b`).test(text))),
  )
  expect([...touching]).toEqual(expect.arrayContaining(['companies', 'ledger_records', 'relationships', 'webhooks']))
  expect(withoutCompany(statements, tables).map(({ text }) => text.trim())).toEqual(ofTheShard)
})

test('a statement that names no company is found, wherever it stands', () => {
  const source = 'await tx<{ n: 1 }[]>`update webhooks set enabled = ${on ? sql`true` : sql`false`} where url = ${url}`'
  const found = taggedTemplates(source).map((text) => ({ file: 'x.ts', text }))
  expect(found.map(({ text }) => text.slice(0, 6))).toEqual(['update', 'true', 'false'])
  expect(withoutCompany(found, ['webhooks'])).toHaveLength(1)
  expect(withoutCompany(found, ['companies'])).toHaveLength(0)
})

test.each([
  ['a foreign key', 'create table a (company_id text references companies)'],
  ['a trigger', 'create trigger t after insert on a execute function f()'],
  ['a serial', 'create table a (id bigserial primary key)'],
  ['a recursive query', 'with recursive t as (select 1) select * from t'],
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
