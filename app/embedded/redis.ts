import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { type ServerAccount, serverAccount } from './account.ts'
import { writeFor } from './cluster.ts'
import { dataDirectoryError } from './data-directory.ts'
import { freePort } from './free-port.ts'
import { fromInside } from './from-inside.ts'
import { type GuardedProcess, spawnGuarded } from './guard.ts'
import { reapOrphan } from './reap.ts'
import { supervise } from './supervise.ts'

export type RedisServer = (
  | { readonly kind: 'redis'; readonly url: string }
  /** No Redis: the parts that would use it run on Postgres or in the process. `reason` is for people. */
  | { readonly kind: 'solo'; readonly reason: string }
) &
  AsyncDisposable

const startTimeoutMs = 30_000

/**
 * The Redis to use: `redisUrl`, or a server found on the PATH and started privately with its data under
 * `dataDir`/redis, or none. `redisUrl: 'none'` asks for none. @throws AppError CONFIG_INVALID if it is found and does not
 * start
 */
export async function startRedis(options: {
  redisUrl?: string | undefined
  dataDir: string
  /** Settings of Redis to add or replace. */
  settings?: Readonly<Record<string, string>>
  logger: Logger
}): Promise<RedisServer> {
  const { redisUrl } = options
  const without = { async [Symbol.asyncDispose]() {} }
  if (redisUrl === 'none') return { kind: 'solo', reason: 'REDIS_URL is none', ...without }
  if (redisUrl !== undefined) return { kind: 'redis', url: redisUrl, ...without }
  const command = findOnPath()
  if (command === undefined) {
    return { kind: 'solo', reason: 'no redis-server or valkey-server on the PATH', ...without }
  }
  try {
    return await startPrivateRedis({ ...options, command })
  } catch (error) {
    throw dataDirectoryError(options.dataDir, error)
  }
}

/** One line for people, or undefined when there is nothing to say. */
export function soloModeLine(redis: RedisServer): string | undefined {
  if (redis.kind === 'redis') return undefined
  return `solo mode (${redis.reason}): queues, events and caches run on Postgres and in this process; set REDIS_URL to use Redis`
}

/** Asked of a shell, which reads the PATH, so that we need not. */
function findOnPath(): string | undefined {
  const { stdout } = spawnSync('/bin/sh', ['-c', 'command -v redis-server || command -v valkey-server'], {
    encoding: 'utf8',
  })
  return stdout?.trim() || undefined
}

async function startPrivateRedis(options: {
  dataDir: string
  command: string
  settings?: Readonly<Record<string, string>>
  logger: Logger
}): Promise<RedisServer> {
  const { logger, command } = options
  const account = serverAccount()
  const directory = makeDirectory(options.dataDir, account)
  const { password, port: preferred } = await readRemembered(directory)
  let port = await freePort(preferred)
  const urlOf = (): string => `redis://:${password}@127.0.0.1:${port}/0`

  const launch = async (): Promise<GuardedProcess> => {
    await reapOrphan(directory, join(directory, 'redis.pid'), logger)
    const conf = { ...redisConf(port, password), ...options.settings }
    const lines = Object.entries(conf).map(([name, value]) => `${name} ${value}`)
    await writeFor(account, join(directory, 'redis.conf'), `# Written at every start.\n${lines.join('\n')}\n`)
    const server = spawnGuarded({
      command,
      args: [`${fromInside(directory)}/redis.conf`],
      cwd: directory,
      account,
      logFile: `${directory}.log`,
    })
    await untilAnswers(server, urlOf())
    return server
  }
  const server = await supervise({
    name: 'redis',
    async launch() {
      try {
        return await launch()
      } catch (error) {
        if (!String(error).includes('Address already in use')) throw error
        port = await freePort()
        return launch()
      }
    },
    logger,
  })
  return { kind: 'redis', url: urlOf(), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

function redisConf(port: number, password: string): Record<string, string> {
  return {
    bind: '127.0.0.1',
    port: String(port),
    requirepass: password,
    pidfile: 'redis.pid',
    dir: '.',
    // Queued jobs survive a kill; a power cut loses a second at most, and the ledger's feed brings that work back.
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '""',
    // BullMQ must never lose a key to eviction: when it is full, writes are refused instead.
    maxmemory: '512mb',
    'maxmemory-policy': 'noeviction',
  }
}

function makeDirectory(dataDir: string, account: ServerAccount | undefined): string {
  const directory = join(dataDir, 'redis')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  chmodSync(directory, 0o700)
  if (account !== undefined) chownSync(directory, account.uid, account.gid)
  return realpathSync(directory)
}

/** The configuration of the last run holds the password and the port: both are kept. */
async function readRemembered(directory: string): Promise<{ password: string; port: number | undefined }> {
  const conf = await readFile(join(directory, 'redis.conf'), 'utf8').catch(() => '')
  const port = /^port (\d+)$/m.exec(conf)?.[1]
  return {
    password: /^requirepass (\S+)$/m.exec(conf)?.[1] ?? randomBytes(24).toString('base64url'),
    port: port === undefined ? undefined : Number(port),
  }
}

/** Answers `PING`, its append-only file loaded. */
async function untilAnswers(server: GuardedProcess, url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 20 })
  client.on('error', () => {}) // refused until it listens
  const timeout = AbortSignal.timeout(startTimeoutMs)
  const tooLate = new Promise<void>((resolve) => timeout.addEventListener('abort', () => resolve(), { once: true }))
  try {
    const answer = await Promise.race([client.ping(), server.exited, tooLate])
    if (answer === 'PONG') return
    await server.stop()
    throw new AppError('CONFIG_INVALID', `The private Redis did not start. Its log ends with:\n${server.logTail()}`)
  } finally {
    client.disconnect()
  }
}
