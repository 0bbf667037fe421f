import type { Logger } from '../core/log.ts'
import { untilCatalogAnswers } from '../core/patience.ts'
import type { ShardConfig } from '../store/shard-config.ts'
import { type Config, roles } from './config.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { soloModeLine, startRedis } from './embedded/redis.ts'
import { ensureJobsDatabase } from './jobs-database.ts'
import { claimDataDirectory, type DataDirectoryClaim, joinOrClaim, type RunInfo } from './embedded/run-file.ts'

/** The databases that this process works with, whoever runs them. URLs carry credentials: never log them. */
export interface Servers extends AsyncDisposable {
  readonly shards: readonly ShardConfig[]
  readonly catalogUrl: string
  /** Undefined: solo mode. */
  readonly redisUrl: string | undefined
  /** Where BullMQ keeps its queues in solo mode, a database of its own; otherwise of no use. */
  readonly jobsUrl: string
  /** Lets the command line and other roles find what runs here. */
  announce(url: string | undefined): Promise<void>
}

/**
 * External servers where they are configured; else those of a running product on the same data directory, for the command
 * line and for further roles; else embedded ones, started here and stopped with this process.
 * @throws AppError CONFIG_INVALID
 */
export async function openServers(deps: {
  config: Config
  logger: Logger
  out: NodeJS.WriteStream
  /** Whether a product that runs on the data directory is joined; else a second start is refused. */
  joinRunning: boolean
  signal: AbortSignal
}): Promise<Servers> {
  const { config, logger, out, signal } = deps
  await using stack = new AsyncDisposableStack()
  let claim: DataDirectoryClaim | undefined
  if (config.external === undefined && !deps.joinRunning) claim = stack.use(await claimDataDirectory(config.dataDir))
  else if (config.external === undefined) {
    const onWaiting = (): void => void out.write(`waiting for the start of Ledgerway on ${config.dataDir}\n`)
    const found = await joinOrClaim(config.dataDir, { signal, onWaiting })
    if ('claim' in found) claim = stack.use(found.claim)
    else {
      const { running } = found
      return {
        shards: running.shards,
        catalogUrl: running.catalogUrl,
        redisUrl: running.redisUrl ?? undefined,
        jobsUrl: running.jobsUrl ?? running.catalogUrl,
        announce: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }
    }
  }
  const [postgres, redis] = await startAll(openPostgres(config, logger), openRedisServer(config, logger))
  stack.use(postgres)
  stack.use(redis)
  const soloLine = soloModeLine(redis)
  if (soloLine !== undefined) out.write(`${soloLine}\n`)
  const redisUrl = redis.kind === 'redis' ? redis.url : undefined
  const jobsUrl =
    redisUrl === undefined && postgres.jobsUrl === undefined
      ? await untilCatalogAnswers(() => ensureJobsDatabase(postgres.catalogUrl), { logger })
      : postgres.jobsUrl
  const info: RunInfo = {
    roles: [...config.roles],
    shards: postgres.shards.map((shard) => ({ ...shard, replicaUrls: [...shard.replicaUrls] })),
    catalogUrl: postgres.catalogUrl,
    ...(jobsUrl === undefined ? {} : { jobsUrl }),
    redisUrl: redisUrl ?? null,
  }
  const running = stack.move()
  return {
    shards: postgres.shards,
    catalogUrl: postgres.catalogUrl,
    redisUrl,
    jobsUrl: jobsUrl ?? '',
    announce: async (url) => claim?.publish(url === undefined ? info : { ...info, url }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

type PostgresServers = Pick<Servers, 'shards' | 'catalogUrl'> & { readonly jobsUrl?: string } & AsyncDisposable

async function openPostgres(config: Config, logger: Logger): Promise<PostgresServers> {
  const { external, dataDir, embeddedShards, jobsUrl } = config
  if (external === undefined) return startEmbeddedPostgres({ dataDir, shardCount: embeddedShards, logger })
  return {
    ...external,
    ...(jobsUrl === undefined ? {} : { jobsUrl }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** A private server serves this process alone, so it is no help where external databases are shared with other roles. */
function openRedisServer(config: Config, logger: Logger): ReturnType<typeof startRedis> {
  const shared = config.external !== undefined && config.roles.size < roles.length
  const redisUrl = config.redisUrl ?? (shared ? 'none' : undefined)
  return startRedis({ redisUrl, dataDir: config.dataDir, logger })
}

/** Both at once; where one fails, the other is stopped again. */
async function startAll<A extends AsyncDisposable, B extends AsyncDisposable>(
  first: Promise<A>,
  second: Promise<B>,
): Promise<[A, B]> {
  const results = await Promise.allSettled([first, second])
  const [a, b] = results
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value]
  for (const result of results) if (result.status === 'fulfilled') await result.value[Symbol.asyncDispose]()
  throw a.status === 'rejected' ? a.reason : b.status === 'rejected' ? b.reason : new Error('unreachable')
}
