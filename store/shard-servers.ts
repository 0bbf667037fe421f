import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { formatLsn, parseLsn } from '../core/position.ts'
import { unavailable } from './pool/errors.ts'
import { createGuard } from './pool/guard.ts'
import type { PoolOptions } from './pool/options.ts'
import { createPool, type Pool } from './pool/pool.ts'
import { pooledSql } from './pool/sql.ts'
import { fenceOldPrimary } from './promote.ts'
import { serverKey } from './server-key.ts'
import type { ShardConfig } from './shard-config.ts'
import type { ServerStats } from './store.ts'

export interface ReplicaOptions {
  /** How often replicas are asked how far they are. */
  readonly watchMs: number
  /** A replica further behind than this serves no reads. */
  readonly maxLagMs: number
}

export const defaultReplicaOptions: ReplicaOptions = { watchMs: 200, maxLagMs: 5_000 }

/** One shard's servers: which one takes the writes, and which may serve a read that needs a certain state. */
export interface ShardServers extends AsyncDisposable {
  readonly id: ShardId
  primary(): Pool
  /**
   * The healthy replica with the fewest reads in flight that has replayed `need`; else the primary. To be disposed of
   * when the read is over.
   */
  forRead(need: bigint | undefined): { readonly pool: Pool } & Disposable
  /**
   * Who takes the writes from now on: `primaryServer` is its `host:port/database`, or null for the first configured.
   * Servers that believe themselves to be the primary of an older generation are fenced when they are seen.
   */
  setPrimary(role: { primaryServer: string | null; generation: number }): void
  stats(): ServerStats[]
  /** Asks the replicas now how far they are, for who cannot wait for the next round. */
  observe(): Promise<void>
}

interface Server {
  readonly url: string
  readonly key: string
  readonly label: string
  pool: Pool
  replayed: bigint
  lagMs: number
  healthy: boolean
  standby: boolean | undefined
  /** In flight: counted from the choice on, so that many at once do not all choose the same. */
  reads: number
  /** The generation for which this server was seen not to be a standby, and fenced if it had to be. */
  fencedFor: number
}

/** Samples of the primary's position that a replica's lag is measured against: 256 of them, 200 ms apart. */
const sampleCount = 256

export function createShardServers(deps: {
  config: ShardConfig
  pool: PoolOptions
  replicas: ReplicaOptions
  deployment: string
  clock: Clock
  logger: Logger
}): ShardServers {
  const { config, clock, replicas, logger } = deps
  const { name: shard } = config
  let stopped = false
  let generation = 1

  const openPool = (url: string): Pool =>
    createPool({
      url,
      server: shard,
      options: deps.pool,
      logger,
      accept: ({ standby }) =>
        standby && url === primary.url ? unavailable(shard, new Error('the primary is a standby')) : null,
    })
  const createServer = (url: string, index: number): Server => ({
    url,
    key: serverKey(url),
    label: index === 0 ? 'primary' : `replica-${index}`,
    pool: openPool(url),
    replayed: -1n,
    lagMs: Number.POSITIVE_INFINITY,
    healthy: false,
    standby: undefined,
    reads: 0,
    fencedFor: 0,
  })
  const servers = [config.primaryUrl, ...config.replicaUrls].map(createServer)
  let primary = servers[0] as Server

  // Newest last. Lag is told by our own clock alone: how long ago the primary was where the replica is now.
  const samples: { at: number; lsn: bigint }[] = []

  async function watch(): Promise<void> {
    const round = { signal: AbortSignal.timeout(2_000) }
    await Promise.all(
      servers.map(async (server) => {
        using guard = createGuard(round, clock)
        const sql = pooledSql({ pool: server.pool, guard, onStatement() {} })
        try {
          const [row] = await sql<{ lsn: string; standby: boolean }[]>`
            select pg_is_in_recovery() as standby,
              (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end)::text
                as lsn`
          if (row !== undefined) note(server, parseLsn(row.lsn), row.standby)
        } catch (error) {
          if (server.healthy) logger.warn({ shard, server: server.label, error }, 'a replica leaves the rotation')
          server.healthy = false
          server.standby = undefined
        }
      }),
    )
  }

  function note(server: Server, lsn: bigint, standby: boolean): void {
    const now = clock.now()
    if (server === primary) {
      samples.push({ at: now, lsn })
      if (samples.length > sampleCount) samples.shift()
      return
    }
    server.replayed = lsn
    server.standby = standby
    const newest = samples.at(-1)
    const reached = samples.findLast((sample) => sample.lsn <= lsn)
    server.lagMs = newest === undefined || newest.lsn <= lsn ? 0 : now - (reached?.at ?? Number.NEGATIVE_INFINITY)
    if (!standby) void fenceAgain(server)
    // A server that is neither our primary nor a standby has a history of its own.
    const healthy = standby && server.lagMs <= replicas.maxLagMs
    if (healthy !== server.healthy) {
      logger.info(
        { shard, server: server.label, lagMs: server.lagMs, replayed: formatLsn(lsn) },
        healthy ? 'a replica joins the rotation' : 'a replica leaves the rotation',
      )
    }
    server.healthy = healthy
  }

  async function fenceAgain(server: Server): Promise<void> {
    if (server.fencedFor === generation) return
    server.fencedFor = generation
    try {
      const fenced = await fenceOldPrimary(server.url, { deployment: deps.deployment, id: shard, generation })
      if (fenced) logger.error({ shard, server: server.label }, 'an old primary has returned and was fenced')
    } catch (error) {
      server.fencedFor = 0
      logger.warn({ shard, server: server.label, error }, 'an old primary has returned and could not be fenced')
    }
  }

  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> = Promise.resolve()
  const loop = (): void => {
    round = watch().finally(() => {
      if (stopped) return
      timer = setTimeout(loop, replicas.watchMs)
      timer.unref()
    })
  }
  if (servers.length > 1) loop()

  return {
    id: shard,
    primary: () => primary.pool,
    forRead(need) {
      let best: Server | undefined
      for (const server of servers) {
        if (server === primary || !server.healthy || !server.pool.up()) continue
        if (need !== undefined && server.replayed < need) continue
        if (best === undefined || server.reads < best.reads) best = server
      }
      const { pool } = best ?? primary
      if (best === undefined) return { pool, [Symbol.dispose]() {} }
      const chosen = best
      chosen.reads += 1
      return { pool, [Symbol.dispose]: () => void (chosen.reads -= 1) }
    },
    setPrimary(role) {
      const key = role.primaryServer
      generation = role.generation
      const chosen = key === null ? servers[0] : servers.find((server) => server.key === key)
      if (chosen === undefined) {
        throw new AppError('CONFIG_INVALID', `SHARDS does not name the server that is the primary of "${shard}" now.`)
      }
      if (chosen === primary) return
      logger.info({ shard, server: chosen.label }, 'the shard has another primary than the first configured')
      primary = chosen
      samples.length = 0
      for (const server of servers) {
        server.healthy = false
        server.standby = undefined
        // Connections were accepted for another role.
        const old = server.pool
        server.pool = openPool(server.url)
        void old[Symbol.asyncDispose]()
      }
    },
    stats: () =>
      servers.map((server) => ({
        ...server.pool.stats(),
        shard,
        server: server === primary ? 'primary' : server.label === 'primary' ? 'replica-0' : server.label,
        formerPrimary: server !== primary && server.standby === false,
        lagMs: server === primary ? 0 : server.lagMs,
        inRotation: server.pool.up() && (server === primary || server.healthy),
      })),
    async observe() {
      if (servers.length > 1) await watch()
    },
    async [Symbol.asyncDispose]() {
      stopped = true
      clearTimeout(timer)
      await Promise.all(servers.map(({ pool }) => pool[Symbol.asyncDispose]()))
      await round
    },
  }
}
