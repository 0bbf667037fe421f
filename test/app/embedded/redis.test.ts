import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { type RedisServer, soloModeLine, startRedis } from '../../../app/embedded/redis.ts'
import { silentLogger } from '../../../core/log.ts'
import { redisUrl } from '../../support/redis.ts'
import { privateFolder, rememberingLogger, until } from './support.ts'

const urlOf = (server: RedisServer): string => (server.kind === 'redis' ? server.url : '')

async function ask<T>(url: string, fn: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null })
  redis.on('error', () => {})
  try {
    return await fn(redis)
  } finally {
    redis.disconnect()
  }
}

test('REDIS_URL wins over a server on the PATH, and "none" means solo mode, said in one line', async () => {
  using folder = privateFolder()
  const given = await startRedis({ redisUrl: 'redis://elsewhere:1', dataDir: folder.dataDir, logger: silentLogger })
  expect(given).toMatchObject({ kind: 'redis', url: 'redis://elsewhere:1' })
  expect(soloModeLine(given)).toBeUndefined()
  const none = await startRedis({ redisUrl: 'none', dataDir: folder.dataDir, logger: silentLogger })
  expect(none.kind).toBe('solo')
  expect(soloModeLine(none)).toMatch(/^solo mode \(REDIS_URL is none\): [^\n]+REDIS_URL[^\n]*$/)
})

// The machine's own Redis or Valkey is the thing tested here.
test.runIf(redisUrl() !== null)('a private Redis keeps its keys, port and password, and evicts nothing', async () => {
  using folder = privateFolder()
  const start = (): Promise<RedisServer> => startRedis({ dataDir: folder.dataDir, logger: silentLogger })
  let first = ''
  {
    await using server = await start()
    first = urlOf(server)
    await ask(first, (redis) => redis.set('job', 'queued'))
    const open = new URL(first)
    open.password = ''
    await expect(ask(open.href, (redis) => redis.get('job'))).rejects.toThrow(/NOAUTH|max retries/i)
    expect(statSync(join(folder.dataDir, 'redis', 'redis.conf')).mode & 0o777).toBe(0o600)
  }
  await using server = await start()
  expect(urlOf(server)).toBe(first)
  expect(await ask(first, (redis) => redis.get('job'))).toBe('queued')
  expect(await ask(first, (redis) => redis.config('GET', 'maxmemory-policy'))).toContain('noeviction')
})

test.runIf(redisUrl() !== null)('a Redis that is killed comes back with its keys', async () => {
  using folder = privateFolder()
  const logger = rememberingLogger()
  await using server = await startRedis({ dataDir: folder.dataDir, settings: { appendfsync: 'always' }, logger })
  const url = urlOf(server)
  await ask(url, (redis) => redis.set('job', 'queued'))
  process.kill(Number(readFileSync(join(folder.dataDir, 'redis', 'redis.pid'), 'utf8')), 'SIGKILL')
  await until('the line that says so', () => logger.messages.includes('redis runs again'))
  expect(await ask(url, (redis) => redis.get('job'))).toBe('queued')
})
