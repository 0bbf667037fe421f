import postgres, { type Sql } from 'postgres'
import { superuser } from './cluster.ts'
import { replicationRole } from './replica.ts'

/** The role that the product connects as. It owns its databases and is no superuser, as on a team's own servers. */
export const ownerRole = 'ledgerway'

export interface Passwords {
  readonly superuser: string
  readonly owner: string
  readonly replication: string
}

export function databaseUrl(port: number, passwords: Passwords, database: string): string {
  return `postgres://${ownerRole}:${passwords.owner}@127.0.0.1:${port}/${database}`
}

/** One superuser connection for the length of `fn`. */
export async function asSuperuser<T>(
  port: number,
  passwords: Pick<Passwords, 'superuser'>,
  fn: (sql: Sql) => Promise<T>,
  database = 'postgres',
): Promise<T> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    user: superuser,
    password: passwords.superuser,
    database,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connect_timeout: 10,
  })
  try {
    return await fn(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** Roles and databases that are missing come into being; an interrupted first start is completed by the next. */
export async function ensureDatabases(sql: Sql, passwords: Passwords, databases: readonly string[]): Promise<void> {
  const roles = [
    { name: ownerRole, options: `login password '${passwords.owner}' in role pg_monitor` },
    { name: replicationRole, options: `login replication password '${passwords.replication}'` },
  ]
  const present = await sql<{ roles: string[]; databases: string[] }[]>`
    select array(select rolname::text from pg_roles) as roles, array(select datname::text from pg_database) as databases
  `
  for (const { name, options } of roles) {
    if (!present[0]?.roles.includes(name)) await sql.unsafe(`create role ${name} ${options}`)
  }
  for (const name of databases) {
    if (!present[0]?.databases.includes(name)) await sql.unsafe(`create database ${name} owner ${ownerRole}`)
  }
}

/**
 * The operator's `promote` runs as the owner. A right of this one database, and so of its replicas. A primary that was
 * fenced after a promotion takes no writes any more, and needs this none either.
 */
export async function allowPromotion(sql: Sql): Promise<void> {
  const [state] = await sql<{ granted: boolean; readonly: boolean }[]>`
    select has_function_privilege(${ownerRole}, 'pg_promote(boolean, integer)', 'execute') as granted,
      current_setting('transaction_read_only')::boolean as readonly
  `
  if (state?.granted === true || state?.readonly === true) return
  await sql.unsafe(`grant execute on function pg_promote(boolean, integer) to ${ownerRole}`)
}

/**
 * The directory names a promoted server by its address. Where another program has taken a server's port meanwhile, the
 * directory learns the new one; all at once, since servers may have changed ports with each other.
 */
export async function renamePrimaries(
  sql: Sql,
  moved: readonly { before: number; now: number }[],
  keyOf: (port: number) => string,
): Promise<void> {
  const [catalog] = await sql<{ there: boolean }[]>`select to_regclass('shards') is not null as there`
  if (catalog?.there !== true) return
  const pairs = moved.map(({ before, now }) => ({ before: keyOf(before), now: keyOf(now) }))
  await sql.begin(async (tx) => {
    const renamed = await tx`
      update shards set primary_server = m.now
      from jsonb_to_recordset(${tx.json(pairs)}) as m (before text, now text)
      where primary_server = m.before`
    if (renamed.count > 0) await tx`update deployment set epoch = epoch + 1`
  })
}
