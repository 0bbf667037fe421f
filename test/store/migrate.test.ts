import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { silentLogger } from '../../core/log.ts'
import { migrate, migrateDatabase, readMigrations } from '../../store/migrate.ts'
import { acquireShards } from '../support/postgres.ts'
import { startTcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

let databases: Awaited<ReturnType<typeof acquireShards>>
beforeAll(async () => {
  databases = await acquireShards({ count: 1 })
})
afterAll(() => databases[Symbol.asyncDispose]())

const migration = (number: number, sql: string, checksum = sql) => ({ number, name: `${number}-test`, sql, checksum })

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  )

/** A schema of its own stands for an empty database. */
async function emptyDatabase(): Promise<{ url: string; sql: Sql }> {
  const name = `empty_${Math.random().toString(36).slice(2)}`
  const base = databases.shards[0]!.primaryUrl
  const admin = postgres(base, { max: 1 })
  await admin`create schema ${admin(name)}`
  await admin.end()
  const url = `${base}${base.includes('?') ? '&' : '?'}search_path=${name}`
  const sql = postgres(url, { max: 2, onnotice() {} })
  onTestFinished(() => sql.end())
  return { url, sql }
}

const run = (url: string, migrations: ReturnType<typeof migration>[]) =>
  migrateDatabase({ url, kind: 'shard', server: 'shard-1', logger: silentLogger, migrations })

test('the numbers of migrations are unique and in order', () => {
  for (const kind of ['shard', 'catalog'] as const) {
    const numbers = readMigrations(kind).map(({ number }) => number)
    expect(numbers.length).toBeGreaterThan(0)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
  }
})

test('processes that start at once apply each migration once', async () => {
  const { url, sql } = await emptyDatabase()
  const migrations = [
    migration(1, 'create table once (n int); insert into once values (1)'),
    migration(2, 'insert into once values (2)'),
  ]
  await Promise.all(Array.from({ length: 6 }, () => run(url, migrations)))
  expect(await sql`select n from once order by n`).toEqual([{ n: 1 }, { n: 2 }])
})

test('one that is added later with a lower number is applied, too', async () => {
  const { url, sql } = await emptyDatabase()
  await run(url, [migration(5, 'create table five ()')])
  await run(url, [migration(2, 'create table two ()'), migration(5, 'create table five ()')])
  expect(await sql`select number from schema_migrations order by number`).toEqual([{ number: 2 }, { number: 5 }])
})

test('a failing migration leaves nothing behind and can be tried again', async () => {
  const { url, sql } = await emptyDatabase()
  await expect(run(url, [migration(1, 'create table half (); select 1/0')])).rejects.toThrow('division')
  expect(await sql`select to_regclass('half') as half`).toEqual([{ half: null }])
  await run(url, [migration(1, 'create table half ()')])
})

test('a migration that was changed after it had been applied is refused', async () => {
  const { url } = await emptyDatabase()
  await run(url, [migration(1, 'create table a ()')])
  expect(await codeOf(run(url, [migration(1, 'create table a ()', 'other')]))).toBe('CONFIG_INVALID')
})

test('a migration gives up a lock it waits for, lets others through, and gets it in the end', async () => {
  const { url, sql } = await emptyDatabase()
  await run(url, [migration(1, 'create table busy (n int)')])
  const release = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  onTestFinished(() => release.resolve())
  const holding = sql.begin(async (tx) => {
    await tx`lock table busy in row exclusive mode`
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const migrating = run(url, [migration(1, 'create table busy (n int)'), migration(2, 'alter table busy add m int')])
  const waiting = async () => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int from pg_locks where relation = 'busy'::regclass and not granted`
    return row?.count
  }
  await until(async () => (await waiting()) === 1)
  await until(async () => (await waiting()) === 0)
  release.resolve()
  await Promise.all([holding, migrating])
  expect(await sql`select m from busy`).toEqual([])
})

test('a shard that is down is named, and the others are migrated', async () => {
  await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
  await proxy.cut()
  const [shard] = databases.shards
  const { pending } = await migrate({
    shards: [shard!, { ...shard!, name: 'lost' as never, primaryUrl: proxy.url }],
    catalogUrl: databases.catalogUrl,
    logger: silentLogger,
  })
  expect(pending).toEqual(['lost'])
  expect(await codeOf(migrate({ shards: [], catalogUrl: proxy.url, logger: silentLogger }))).toBe('CATALOG_UNAVAILABLE')
})
