import { setTimeout } from 'node:timers/promises'
import postgres, { type Sql } from 'postgres'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { formatLsn, parseLsn } from '../core/position.ts'
import { loadDirectory } from './directory.ts'
import { failureOf, sqlState, translate, unavailable } from './pool/errors.ts'
import type { ShardConfig } from './shard-config.ts'
import { serverKey } from './server-key.ts'

const catchUpLimitMs = 10_000

/**
 * Makes a replica the shard's primary, in this order: the old primary, if it can be reached, takes no more writes and
 * its last one is on the replica; the replica is promoted; the directory names it. An old primary that cannot be reached
 * is fenced by the first process that sees it again, and whatever it had not sent is lost: that needs `acceptLoss`.
 * A former primary is taken back only so too, and only while the present one cannot be reached; a server that was promoted
 * by other means likewise, unless the old primary was fenced before it.
 * @throws AppError NOT_FOUND | SHARD_UNAVAILABLE | INVALID_TRANSITION (needs acceptLoss; a former primary)
 */
export async function promote(deps: {
  catalog: Sql
  config: ShardConfig
  /** The replica's `host:port/database`. */
  server: string
  acceptLoss: boolean
  logger: Logger
}): Promise<{ generation: number; lost: 'nothing' | 'unknown' }> {
  const { catalog, config, server, acceptLoss, logger } = deps
  const { name: shard } = config
  const urls = [config.primaryUrl, ...config.replicaUrls]
  const known = (await loadDirectory(catalog)).shards.get(shard)
  if (known === undefined) throw new AppError('NOT_FOUND', `There is no shard "${shard}".`)
  const newUrl = urls.find((url) => serverKey(url) === server)
  if (newUrl === undefined) throw new AppError('NOT_FOUND', `The shard "${shard}" has no server "${server}".`)
  const oldUrl = urls.find((url) => serverKey(url) === known.primaryServer) ?? config.primaryUrl
  if (oldUrl === newUrl) throw new AppError('INVALID_TRANSITION', 'That server is the primary already.')

  await using replica = connect(newUrl)
  const { standby, generation: reached } = await stateOf(replica.sql, shard)
  // A former primary lacks all that was written since, and no position tells: its log has gone another way.
  if (!standby && reached < known.generation && (!acceptLoss || (await answers(oldUrl)))) {
    throw new AppError(
      'INVALID_TRANSITION',
      'That server is a former primary and lacks what was written since: make it a replica of the present primary first.',
    )
  }
  // Nobody tells where the logs of two primaries parted. Only one that was fenced by a run before this took nothing since.
  const untouched = standby || (await isFenced(oldUrl))
  if (!untouched && !acceptLoss) {
    throw new AppError(
      'INVALID_TRANSITION',
      'That server was promoted by other means, so what the old primary took since is unknown. Compare the two, then promote with acceptance of loss.',
    )
  }
  const last = await fence(oldUrl)
  if (last === null && !acceptLoss) {
    throw new AppError(
      'INVALID_TRANSITION',
      'The primary cannot be reached, so what the replica lacks is unknown. Promote with acceptance of loss, or restore the primary.',
    )
  }
  let complete = untouched && last !== null
  try {
    if (standby && last !== null) complete = await caughtUp(replica.sql, last)
    if (standby) await promoteServer(replica.sql)
  } catch (error) {
    if (last !== null) {
      await using old = connect(oldUrl)
      await allowWrites(old.sql)
    }
    throw error
  }
  const generation = known.generation + 1
  // The fence of the old primary has reached its replicas as any other change.
  await allowWrites(replica.sql)
  await replica.sql.begin('read write', (tx) => tx`update shard_identity set generation = ${generation}`)
  await catalog.begin(async (tx) => {
    await tx`update shards set generation = ${generation}, primary_server = ${server} where name = ${shard}`
    await tx`update deployment set epoch = epoch + 1`
  })
  const lost = complete ? 'nothing' : 'unknown'
  logger.warn({ shard, server, generation, lost }, 'a replica was promoted')
  return { generation, lost }

  async function answers(url: string): Promise<boolean> {
    await using server = connect(url)
    try {
      await server.sql`select`
      return true
    } catch (error) {
      if (failureOf(error) !== 'unavailable') throw error
      return false
    }
  }

  async function isFenced(url: string): Promise<boolean> {
    await using old = connect(url)
    try {
      const [row] = await old.sql<{ fenced: boolean }[]>`
        select current_setting('default_transaction_read_only') = 'on' and not pg_is_in_recovery() as fenced`
      return row?.fenced === true
    } catch (error) {
      if (failureOf(error) !== 'unavailable') throw error
      return false
    }
  }

  /** Where the old primary's log ends, or null when it cannot be reached or is a replica by now. */
  async function fence(url: string): Promise<bigint | null> {
    await using old = connect(url)
    try {
      const [row] = await old.sql<{ standby: boolean }[]>`select pg_is_in_recovery() as standby`
      return row?.standby === true ? null : await forbidWrites(old.sql)
    } catch (error) {
      if (failureOf(error) !== 'unavailable') throw error
      logger.warn({ shard }, 'the old primary cannot be reached: it is fenced when it returns')
      return null
    }
  }

  /** Whether the replica has all of the log; false only where the loss is accepted. */
  async function caughtUp(sql: Sql, last: bigint): Promise<boolean> {
    const end = Date.now() + catchUpLimitMs
    for (;;) {
      const { replayed } = await stateOf(sql, shard)
      if (replayed >= last) return true
      if (acceptLoss) return false
      if (Date.now() > end) {
        throw new AppError(
          'INVALID_TRANSITION',
          `The replica is behind (${formatLsn(replayed)} of ${formatLsn(last)}); the primary goes on. Wait, or accept the loss.`,
        )
      }
      await setTimeout(50)
    }
  }
}

async function promoteServer(sql: Sql): Promise<void> {
  try {
    await sql`select pg_promote(true, 30)`
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    throw new AppError(
      'FORBIDDEN',
      'The role may not promote a replica. Grant it pg_promote, or promote the replica by other means and run this again.',
      { cause: error },
    )
  }
}

/**
 * Ends the life of a server that was the primary and does not know better: for whoever sees one again after a
 * promotion. Touches only a server that says itself to be an older generation of this very shard.
 */
export async function fenceOldPrimary(
  url: string,
  shard: { deployment: string; id: ShardId; generation: number },
): Promise<boolean> {
  await using server = connect(url)
  const [identity] = await server.sql<{ standby: boolean; deployment: string; shard: string; generation: string }[]>`
    select pg_is_in_recovery() as standby, deployment, shard, generation from shard_identity
    where current_setting('default_transaction_read_only') = 'off'`
  if (identity === undefined || identity.standby) return false
  if (identity.deployment !== shard.deployment || identity.shard !== shard.id) return false
  if (Number(identity.generation) >= shard.generation) return false
  await forbidWrites(server.sql)
  return true
}

/**
 * For the database, not the server: the catalog may lie in the same cluster. Ends the sessions of our role that began
 * before; a person's own session may go on writing.
 */
async function forbidWrites(sql: Sql): Promise<bigint> {
  await sql.unsafe(`set default_transaction_read_only = off`)
  const [row] = await sql<{ name: string }[]>`select current_database() as name`
  await sql`alter database ${sql(row?.name ?? '')} set default_transaction_read_only = on`
  const [at] = await sql<{ now: string }[]>`select clock_timestamp()::text as now`
  // Sessions from before may write until they are gone; later ones begin read-only.
  for (;;) {
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        and backend_start <= ${at?.now ?? ''}::text::timestamptz and usename = current_user`
    if (ended.count === 0) break
    await setTimeout(20)
  }
  const [end] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  return parseLsn(end?.lsn ?? '0/0')
}

async function allowWrites(sql: Sql): Promise<void> {
  await sql.unsafe(`set default_transaction_read_only = off`)
  const [row] = await sql<{ name: string }[]>`select current_database() as name`
  await sql`alter database ${sql(row?.name ?? '')} reset default_transaction_read_only`
  // Sessions that were opened while it was forbidden remember that.
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      and usename = current_user`
}

async function stateOf(sql: Sql, shard: ShardId): Promise<{ standby: boolean; replayed: bigint; generation: number }> {
  try {
    const [row] = await sql<{ standby: boolean; replayed: string | null; generation: string | null }[]>`
      select pg_is_in_recovery() as standby, pg_last_wal_replay_lsn()::text as replayed,
        (select generation from shard_identity) as generation`
    return {
      standby: row?.standby ?? false,
      replayed: parseLsn(row?.replayed ?? '0/0'),
      generation: Number(row?.generation ?? 0),
    }
  } catch (error) {
    throw failureOf(error) === 'unavailable' ? unavailable(shard, error) : translate(error, shard)
  }
}

function connect(url: string): { sql: Sql } & AsyncDisposable {
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: 3,
    onnotice() {},
    connection: { application_name: 'ledgerway-promote' },
  })
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) }
}
