import { chownSync, existsSync, renameSync } from 'node:fs'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import type { ServerAccount } from './account.ts'
import { makeServerDirectory, writeFor } from './cluster.ts'

/** What a copy must not carry over (the PostgreSQL manual, "Making a Base Backup Using the Low Level API"). */
const emptyDirectories = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
])
const omittedFiles = /^(postmaster\.(pid|opts)|pg_internal\.init|current_logfiles|standby\.signal|pgsql_tmp.*)$/

/**
 * Makes a streaming replica's data directory from a running primary's, on the same machine, as pg_basebackup would (the
 * embedded binaries have none). The replica reads the log written meanwhile through its slot, which this makes first.
 * `sql` MUST be a single connection: the backup belongs to its session.
 */
export async function makeReplicaDirectory(options: {
  sql: Sql
  primaryDirectory: string
  directory: string
  slot: string
  account: ServerAccount | undefined
}): Promise<void> {
  const { sql, primaryDirectory, directory, slot, account } = options
  await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot}`
  await sql`select pg_create_physical_replication_slot(${slot}, true)`
  const fresh = `${directory}.new`
  makeServerDirectory(fresh, account)
  await sql`select pg_backup_start('ledgerway replica', fast => true)`
  await copyTree(primaryDirectory, fresh, account)
  const [label] = await sql<{ labelfile: string }[]>`select labelfile from pg_backup_stop(wait_for_archive => false)`
  await writeFor(account, join(fresh, 'backup_label'), label?.labelfile ?? '')
  await writeFor(account, join(fresh, 'standby.signal'), '')
  if (existsSync(directory)) makeServerDirectory(directory, account)
  renameSync(fresh, directory)
}

/** Files that vanish meanwhile are no loss: the log that replays over the copy knows of their removal. */
async function copyTree(from: string, to: string, account: ServerAccount | undefined): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (omittedFiles.test(entry.name)) continue
    const target = join(to, entry.name)
    try {
      if (entry.isDirectory()) {
        await mkdir(target, { mode: 0o700 })
        if (!emptyDirectories.has(entry.name)) await copyTree(join(from, entry.name), target, account)
      } else {
        await copyFile(join(from, entry.name), target)
      }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') continue
      throw error
    }
    if (account !== undefined) chownSync(target, account.uid, account.gid)
  }
}
