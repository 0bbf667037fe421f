import { createRequire } from 'node:module'
import {
  createPostgresBackend,
  type PgPool,
  type Processor,
  Queue,
  runMigrations,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import { Redis } from 'ioredis'
import type { FairOrder } from './fair-order.ts'
import { createPostgresFairOrder, fairOrderSchema } from './postgres-fair-order.ts'
import type { QueueClass } from './queues.ts'
import { createRedisFairOrder } from './redis-fair-order.ts'

/** Redis, every key under `prefix`; or, without Redis, a Postgres database that holds nothing else. */
export type JobsConnection = { redisUrl: string; prefix: string } | { postgresUrl: string }

/** What every job carries in the queue: references only. */
export interface JobData {
  readonly companyId: string | null
  readonly arguments: Readonly<Record<string, unknown>>
  readonly submittedBy: string
  /** Of the times that its process ended, those before it was redriven. */
  readonly forgivenDeaths?: number
}

export type BullQueue = Queue<JobData, unknown>
export type BullWorker = Worker<JobData, unknown>

/** BullMQ on one of its two backends. */
export interface JobsBackend extends AsyncDisposable {
  readonly fairOrder: FairOrder
  queue(queue: QueueClass): BullQueue
  worker(
    queue: QueueClass,
    run: Processor<JobData, unknown>,
    options: Omit<WorkerOptions, 'connection' | 'prefix'>,
  ): BullWorker
}

/** Connections of the Postgres pool: each of the four workers keeps one to listen on, the rest is for work. */
const poolSize = 14

export async function openJobsBackend(connection: JobsConnection): Promise<JobsBackend> {
  return 'redisUrl' in connection ? openRedis(connection) : openPostgres(connection)
}

async function openRedis({ redisUrl, prefix }: { redisUrl: string; prefix: string }): Promise<JobsBackend> {
  // Submitting fails at once when Redis is gone, so that the caller hears of it; workers wait for it.
  const producing = new Redis(redisUrl, { maxRetriesPerRequest: 1, enableOfflineQueue: true, commandTimeout: 5_000 })
  const consuming = new Redis(redisUrl, { maxRetriesPerRequest: null })
  for (const redis of [producing, consuming]) redis.on('error', () => undefined)
  return {
    fairOrder: createRedisFairOrder(producing, prefix),
    queue: (queue) => new Queue<JobData, unknown>(queue, { connection: producing, prefix }),
    worker: (queue, run, options) =>
      new Worker<JobData, unknown>(queue, run, { ...options, connection: consuming, prefix }),
    async [Symbol.asyncDispose]() {
      producing.disconnect()
      consuming.disconnect()
    },
  }
}

async function openPostgres({ postgresUrl }: { postgresUrl: string }): Promise<JobsBackend> {
  // `pg` has no types of its own and is loaded only here: with Redis it stays out of memory.
  const { Pool } = createRequire(import.meta.url)('pg') as { Pool: new (config: object) => PgPool }
  const pool = new Pool({
    connectionString: postgresUrl,
    max: poolSize,
    keepAlive: true,
    options: '-c search_path=bullmq -c application_name=ledgerway-jobs',
  })
  pool.on('error', () => undefined)
  const client = await pool.connect()
  try {
    await runMigrations(client)
    await client.query('select pg_advisory_lock(7416924)')
    await client.query(fairOrderSchema)
    await client.query('select pg_advisory_unlock(7416924)')
  } finally {
    client.release()
  }
  return {
    fairOrder: createPostgresFairOrder(pool),
    queue: (queue) => new Queue(queue, { connection: pool }, createPostgresBackend) as unknown as BullQueue,
    worker: (queue, run, options) =>
      new Worker(queue, run as never, { ...options, connection: pool }, createPostgresBackend) as unknown as BullWorker,
    async [Symbol.asyncDispose]() {
      await pool.end()
    },
  }
}
