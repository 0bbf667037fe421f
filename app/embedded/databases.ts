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
export async function asSuperuser<T>(port: number, passwords: Passwords, fn: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    user: superuser,
    password: passwords.superuser,
    database: 'postgres',
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
