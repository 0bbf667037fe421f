import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import postgres, { type Sql } from 'postgres'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { failureOf, translate } from './pool/errors.ts'
import type { ShardConfig } from './shard-config.ts'

export type MigrationKind = 'catalog' | 'shard'

interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/** Any constant: it keeps processes that start at once from migrating the same database together. */
const advisoryLock = 7_416_923
const lockTimeoutMs = 2_000
const attempts = 15

/**
 * Brings the catalog and every shard up to date. Shards that are down are left out and named in the answer; the store
 * migrates them when they return. @throws AppError CATALOG_UNAVAILABLE | CONFIG_INVALID (a migration was changed later)
 */
export async function migrate(deps: {
  shards: readonly ShardConfig[]
  catalogUrl: string
  logger: Logger
}): Promise<{ pending: ShardId[] }> {
  const { shards, catalogUrl, logger } = deps
  await migrateDatabase({ url: catalogUrl, kind: 'catalog', server: 'catalog', logger })
  const pending: ShardId[] = []
  await Promise.all(
    shards.map(async ({ name, primaryUrl }) => {
      try {
        await migrateDatabase({ url: primaryUrl, kind: 'shard', server: name, logger })
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'SHARD_UNAVAILABLE') throw error
        logger.warn({ shard: name }, 'the shard is down: it gets its migrations when it returns')
        pending.push(name)
      }
    }),
  )
  return { pending }
}

/** One database. @throws AppError as `migrate`, and SHARD_UNAVAILABLE */
export async function migrateDatabase(deps: {
  url: string
  kind: MigrationKind
  server: string
  logger: Logger
  migrations?: readonly Migration[]
}): Promise<void> {
  const { url, kind, server, logger, migrations = readMigrations(kind) } = deps
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: 3,
    onnotice() {},
    connection: { application_name: 'ledgerway-migrate', lock_timeout: lockTimeoutMs },
  })
  try {
    if (isCurrent(migrations, await appliedOf(sql))) return
    await withRetries(() => sql`select pg_advisory_lock(${advisoryLock})`)
    await sql`
      create table if not exists schema_migrations (
        number integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`
    const applied = await appliedOf(sql)
    for (const migration of migrations) {
      if (isApplied(migration, applied)) continue
      await withRetries(() => apply(sql, migration))
      logger.info({ server, migration: migration.name }, 'migrated')
    }
  } catch (error) {
    throw translate(error, server)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** In its own transaction, so that a failing one leaves nothing behind, and one that waits for a lock holds no other. */
async function apply(sql: Sql, { number, name, checksum, sql: text }: Migration): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe(text).simple()
    await tx`insert into schema_migrations (number, name, checksum) values (${number}, ${name}, ${checksum})`
  })
}

/** number -> checksum; empty before the first migration. */
async function appliedOf(sql: Sql): Promise<Map<number, string>> {
  const [table] = await sql<{ found: boolean }[]>`select to_regclass('schema_migrations') is not null as found`
  if (table?.found !== true) return new Map()
  const rows = await sql<{ number: number; checksum: string }[]>`select number, checksum from schema_migrations`
  return new Map(rows.map(({ number, checksum }) => [number, checksum]))
}

function isCurrent(migrations: readonly Migration[], applied: ReadonlyMap<number, string>): boolean {
  return migrations.every((migration) => isApplied(migration, applied))
}

function isApplied(migration: Migration, applied: ReadonlyMap<number, string>): boolean {
  const checksum = applied.get(migration.number)
  if (checksum !== undefined && checksum !== migration.checksum) {
    throw new AppError('CONFIG_INVALID', `The migration ${migration.name} was changed after it had been applied.`)
  }
  return checksum !== undefined
}

/** A lock that is not got in time is given up and asked for again, so that those queued behind it get through. */
async function withRetries(step: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await step()
      return
    } catch (error) {
      const failure = failureOf(error)
      if (attempt >= attempts || (failure !== 'overloaded' && failure !== 'retry')) throw error
      await setTimeout(100 * attempt * (0.5 + Math.random()))
    }
  }
}

/** `NNNN-name.sql`, in order of their numbers. */
export function readMigrations(kind: MigrationKind): Migration[] {
  const folder = new URL(`migrations/${kind}/`, import.meta.url)
  const migrations = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const number = Number(/^([0-9]{4})-[a-z0-9-]+\.sql$/.exec(file)?.[1])
      if (Number.isNaN(number)) throw new AppError('CONFIG_INVALID', `"${file}" is not named NNNN-name.sql.`)
      const sql = readFileSync(new URL(file, folder), 'utf8')
      return { number, name: file.slice(0, -4), sql, checksum: hash('sha256', sql) }
    })
  const twice = migrations.find(({ number }, i) => migrations[i + 1]?.number === number)
  if (twice !== undefined) throw new AppError('CONFIG_INVALID', `Two migrations have the number ${twice.number}.`)
  return migrations
}
