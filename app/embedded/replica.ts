import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { makeReplicaDirectory } from './base-backup.ts'
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts'

export const replicationRole = 'replicator'
const streamingWithinMs = 15_000

/**
 * Starts a streaming replica of a running cluster on this machine. It is made, or made anew where its place in the
 * primary's log is lost. One that was promoted holds newer records than its former primary: it is started as it is, and the
 * store's directory, which names it the primary, fences the other. @throws AppError CONFIG_INVALID
 */
export async function startReplica(options: {
  cluster: Omit<ClusterOptions, 'replication'>
  primary: Cluster
  /** Runs on one superuser connection to the primary. */
  withPrimary: <T>(fn: (sql: Sql) => Promise<T>) => Promise<T>
  replicationPassword: string
}): Promise<Cluster> {
  const { cluster, primary, withPrimary } = options
  const slot = cluster.name.replaceAll('-', '_')
  const make = (directory: string): Promise<void> =>
    withPrimary((sql) =>
      makeReplicaDirectory({ sql, primaryDirectory: primary.directory, directory, slot, account: cluster.account }),
    )
  const start = (): Promise<Cluster> =>
    startCluster({
      ...cluster,
      replication: {
        slot,
        primaryConnection: `host=127.0.0.1 port=${primary.port} user=${replicationRole} password=${options.replicationPassword} application_name=${slot}`,
        async prepare(directory) {
          if (!existsSync(directory)) return make(directory)
          if (!(await withPrimary((sql) => slotIsUsable(sql, slot)))) {
            cluster.logger.warn({ server: cluster.name }, 'the replica has lost its place in the log; making it anew')
            await make(directory)
          }
        },
      },
    })
  const directory = join(cluster.parent, cluster.name)
  if (existsSync(directory) && !existsSync(join(directory, 'standby.signal'))) {
    cluster.logger.warn({ server: cluster.name }, 'this replica was promoted and runs as a primary')
    return startCluster(cluster)
  }
  const replica = await start()
  if (await withPrimary((sql) => streams(sql, slot))) return replica
  cluster.logger.warn({ server: cluster.name }, 'the replica does not stream; making it anew')
  await replica[Symbol.asyncDispose]()
  await make(replica.directory)
  return start()
}

/** `lost`: the log it still needed has been removed. */
async function slotIsUsable(sql: Sql, slot: string): Promise<boolean> {
  const rows = await sql`select from pg_replication_slots where slot_name = ${slot} and wal_status <> 'lost'`
  return rows.length > 0
}

async function streams(sql: Sql, slot: string): Promise<boolean> {
  for (const giveUp = performance.now() + streamingWithinMs; performance.now() < giveUp; await sleep(20)) {
    const rows = await sql`select from pg_stat_replication where application_name = ${slot} and state = 'streaming'`
    if (rows.length > 0) return true
  }
  return false
}
