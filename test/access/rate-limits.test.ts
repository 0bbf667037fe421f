import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { createMemoryRateLimiter } from '../../access/rate-limits-in-memory.ts'
import { createRedisRateLimiter } from '../../access/rate-limits-in-redis.ts'
import type { Rate, RateLimiter } from '../../access/rate-limits.ts'
import { silentLogger } from '../../core/log.ts'
import { redisUrl } from '../support/redis.ts'

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

function connect(url: string): Redis {
  const redis = new Redis(url)
  stack.defer(() => redis.disconnect())
  return redis
}

const refuseAll: RateLimiter = { take: async () => ({ admitted: false, scope: 'fallback', retryAfterMs: 1 }) }
const url = redisUrl()
const limiters: [string, () => Promise<RateLimiter>][] = [['in memory', async () => createMemoryRateLimiter()]]
if (url !== null) {
  limiters.push([
    'in Redis',
    async () => {
      const redis = connect(url)
      await redis.ping()
      const prefix = `test-${crypto.randomUUID()}:`
      return createRedisRateLimiter({ redis, prefix, fallback: refuseAll, logger: silentLogger, answerMs: 60_000 })
    },
  ])
}

const slow: Rate = { perSecond: 0.01, burst: 3 }
const wide: Rate = { perSecond: 0.01, burst: 100 }
const charge = (scope: string, rate: Rate, cost = 1) => ({ scope, rate, cost })

describe.each(limiters)('rates %s', (_name, open) => {
  test('a burst is admitted, then one waits for as long as a unit takes', async () => {
    const limiter = await open()
    const outcomes = []
    for (let i = 0; i < 4; i++) outcomes.push(await limiter.take([charge('a', slow)]))
    expect(outcomes.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => ({ admitted: true })))
    expect(outcomes[3]).toMatchObject({ admitted: false, scope: 'a' })
    expect((outcomes[3] as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(90_000)
    expect((outcomes[3] as { retryAfterMs: number }).retryAfterMs).toBeLessThanOrEqual(100_000)
  })

  test('of many at once no more than the burst are admitted', async () => {
    const limiter = await open()
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => limiter.take([charge('a', slow)])))
    expect(outcomes.filter(({ admitted }) => admitted)).toHaveLength(3)
  })

  test('what one scope refuses is charged to none of the others', async () => {
    const limiter = await open()
    for (let i = 0; i < 20; i++) await limiter.take([charge('wide', wide), charge('slow', slow)])
    // Of the hundred three were spent.
    expect(await limiter.take([charge('wide', wide, 97)])).toEqual({ admitted: true })
    expect(await limiter.take([charge('wide', wide)])).toMatchObject({ admitted: false, scope: 'wide' })
  })

  test('what was waited for is admitted', async () => {
    const limiter = await open()
    const fast: Rate = { perSecond: 20, burst: 1 }
    const take = () => limiter.take([charge('a', fast)])
    // More at once than come to be admitted in ten seconds.
    const outcomes = await Promise.all(Array.from({ length: 200 }, take))
    expect(outcomes[0]).toEqual({ admitted: true })
    expect(outcomes.filter(({ admitted }) => !admitted).length).toBeGreaterThan(0)
    await expect.poll(take, { interval: 5 }).toEqual({ admitted: true })
  })

  test('scopes do not touch each other', async () => {
    const limiter = await open()
    for (let i = 0; i < 3; i++) await limiter.take([charge('a', slow)])
    expect(await limiter.take([charge('b', slow)])).toEqual({ admitted: true })
    expect(await limiter.take([])).toEqual({ admitted: true })
  })
})

test('in memory, scopes that are at rest are forgotten, and the number of others is bounded', async () => {
  let now = 0
  const limiter = createMemoryRateLimiter({ clock: { now: () => now }, maxScopes: 10 })
  for (let i = 0; i < 2_000; i++) await limiter.take([charge(`s${i}`, { perSecond: 1, burst: 1 })])
  now += 1
  // The last ones are remembered, the first were forgotten for them.
  expect(await limiter.take([charge('s1999', { perSecond: 1, burst: 1 })])).toMatchObject({ admitted: false })
  expect(await limiter.take([charge('s0', { perSecond: 1, burst: 1 })])).toEqual({ admitted: true })
})

test.runIf(url !== null)('while Redis is gone, the process decides alone', async () => {
  const redis = connect(url ?? '')
  await redis.ping()
  redis.disconnect()
  const limiter = createRedisRateLimiter({ redis, prefix: 'test:', fallback: refuseAll, logger: silentLogger })
  expect(await limiter.take([charge('a', wide)])).toMatchObject({ scope: 'fallback' })
})
