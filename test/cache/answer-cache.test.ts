import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { type AnswerCache, everything, type LoadStamp, maxTags } from '../../cache/answer-cache.ts'
import { createMemoryAnswerCache } from '../../cache/drivers/memory.ts'
import { createRedisAnswerCache } from '../../cache/drivers/redis.ts'
import { parseShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import type { PositionToken } from '../../core/position.ts'
import { cuttable } from '../support/cuttable.ts'
import { redisUrl } from '../support/redis.ts'

/** A busy machine is no Redis that is gone. */
const answerMs = 60_000
const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

function connect(url: string): Redis {
  const redis = new Redis(url, { enableOfflineQueue: true, maxRetriesPerRequest: 1 })
  stack.defer(() => redis.disconnect())
  return redis
}

async function openRedis(url: string, maxEntries?: number): Promise<AnswerCache> {
  const redis = connect(url)
  await redis.ping()
  const prefix = `test-${crypto.randomUUID()}:`
  return createRedisAnswerCache({
    redis,
    prefix,
    logger: silentLogger,
    answerMs,
    ...(maxEntries === undefined ? {} : { maxEntries }),
  })
}

const url = redisUrl()
const drivers: [string, () => Promise<AnswerCache>][] = [['in memory', async () => createMemoryAnswerCache()]]
if (url !== null) drivers.push(['in Redis', () => openRedis(url)])

const answer = (tags: readonly string[], text = '{}', maxAgeMs = 60_000) => ({ text, tags, maxAgeMs })
const at = (lsn: bigint, shard = 'one', epoch = 1): PositionToken => ({
  epoch,
  shards: new Map([[parseShardId(shard), lsn]]),
})

async function miss(cache: AnswerCache, key: string): Promise<LoadStamp> {
  const found = await cache.get(key)
  if (found.state === 'bypass') throw new Error('bypass')
  expect(found.state).toBe('miss')
  return found.stamp
}

describe.each(drivers)('the answer cache %s', (_name, open) => {
  test('gives back what was put, with its age and position', async () => {
    const cache = await open()
    const stamp = await miss(cache, 'k')
    expect(await cache.put('k', { ...answer(['Company:a'], '{"a":"ä"}'), position: at(7n) }, stamp)).toBe(true)
    const found = await cache.get('k')
    expect(found).toMatchObject({ state: 'hit', answer: { text: '{"a":"ä"}', position: at(7n) } })
    expect(found.state === 'hit' && found.answer.ageMs).toBeLessThan(60_000)
    await miss(cache, 'other')
  })

  test('forgets what is too old', async () => {
    const cache = await open()
    await cache.put('k', answer([], '{}', 30), await miss(cache, 'k'))
    await expect.poll(async () => (await cache.get('k')).state).toBe('miss')
  })

  test('an invalidated tag takes its answers with it, and leaves others', async () => {
    const cache = await open()
    for (const key of ['a', 'b']) await cache.put(key, answer([`Company:${key}`, 'Company:*']), await miss(cache, key))
    await cache.invalidate(['Company:a'])
    await miss(cache, 'a')
    expect((await cache.get('b')).state).toBe('hit')
    await cache.invalidate(['x', 'Company:*'])
    await miss(cache, 'b')
  })

  test('an answer whose tag was invalidated during its load is not stored, and one loaded after it is', async () => {
    const cache = await open()
    const stamp = await miss(cache, 'k')
    await cache.invalidate(['Company:a'])
    expect(await cache.put('k', answer(['Company:a']), stamp)).toBe(false)
    expect(await cache.put('k', answer(['Company:a']), await miss(cache, 'k'))).toBe(true)
    expect((await cache.get('k')).state).toBe('hit')
  })

  test('a slow load does not put an old answer over a newer one’s invalidation', async () => {
    const cache = await open()
    const slow = await miss(cache, 'k')
    await cache.invalidate(['Company:a'])
    await cache.put('k', answer(['Company:a'], '"new"'), await miss(cache, 'k'))
    expect(await cache.put('k', answer(['Company:a'], '"old"'), slow)).toBe(false)
    expect(await cache.get('k')).toMatchObject({ answer: { text: '"new"' } })
  })

  test('clearing takes everything, and what is being loaded meanwhile', async () => {
    const cache = await open()
    await cache.put('a', answer(['t']), await miss(cache, 'a'))
    const stamp = await miss(cache, 'b')
    await cache.clear()
    await miss(cache, 'a')
    expect(await cache.put('b', answer([]), stamp)).toBe(false)
  })

  test('loads are told the position of the changes that were invalidated, the farthest of each shard', async () => {
    const cache = await open()
    expect((await miss(cache, 'k')).position.shards.size).toBe(0)
    await cache.invalidate(['a'], at(2n ** 60n + 1n))
    await cache.invalidate(['b'], at(9n))
    await cache.invalidate(['c'], at(10n, 'two', 2))
    await cache.invalidate(['d'])
    expect((await miss(cache, 'k')).position).toEqual({
      epoch: 2,
      shards: new Map([
        ['one', 2n ** 60n + 1n],
        ['two', 10n],
      ]),
    })
  })

  test('of many who miss at once, one is to load; when it has put or given up, the next is', async () => {
    const cache = await open()
    const found = await Promise.all(Array.from({ length: 10 }, () => cache.get('k')))
    const leases = found.flatMap((each) => (each.state === 'miss' && each.lease !== undefined ? [each.lease] : []))
    expect(leases).toHaveLength(1)
    await cache.release('k', 'somebody else’s')
    expect(await cache.get('k')).not.toHaveProperty('lease')
    await cache.release('k', leases[0] ?? '')
    const next = await cache.get('k')
    expect(next).toHaveProperty('lease')
    const { stamp, lease } = next as { stamp: LoadStamp; lease: string }
    await cache.invalidate(['t'])
    expect(await cache.put('k', answer(['t']), stamp, lease)).toBe(false)
    expect(await cache.get('k')).toHaveProperty('lease')
  })

  test('refuses what has too many tags or is too large', async () => {
    const cache = await open()
    const stamp = await miss(cache, 'k')
    const tags = Array.from({ length: maxTags + 1 }, (_, i) => `t${i}`)
    expect(await cache.put('k', answer(tags), stamp)).toBe(false)
    expect(await cache.put('k', answer([], 'x'.repeat(2_000_001)), stamp)).toBe(false)
  })

  test('fills and invalidations at random: never a version older than the last one whose invalidation was done', async () => {
    const cache = await open()
    let version = 0
    let known = 0
    const stale: string[] = []
    const write = async (): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        version += 1
        const written = version
        await cache.invalidate(['t'])
        known = Math.max(known, written)
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2))
      }
    }
    const read = async (): Promise<void> => {
      for (let i = 0; i < 150; i++) {
        const atLeast = known
        const found = await cache.get('k')
        if (found.state === 'hit') {
          if (Number(found.answer.text) < atLeast) stale.push(`${found.answer.text} after ${atLeast}`)
        } else if (found.state === 'miss') {
          const loaded = version
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 2))
          await cache.put('k', answer(['t'], String(loaded)), found.stamp)
        }
      }
    }
    await Promise.all([write(), ...Array.from({ length: 6 }, read)])
    expect(stale).toEqual([])
    await cache.put(
      'k',
      answer(['t'], String(version)),
      await cache.get('k').then((found) => (found as { stamp: LoadStamp }).stamp),
    )
    expect((await cache.get('k')).state).toBe('hit')
  })
})

test('in memory, a tag that is forgotten makes answers invalid and never valid', async () => {
  const cache = createMemoryAnswerCache({ maxInvalidatedTags: 4 })
  await cache.put('k', answer(['t']), await miss(cache, 'k'))
  await cache.invalidate(['t'])
  for (let i = 0; i < 10; i++) await cache.invalidate([`other${i}`])
  await miss(cache, 'k')
  await cache.put('k', answer(['t']), await miss(cache, 'k'))
  expect((await cache.get('k')).state).toBe('hit')
})

test('in memory, what is kept stays within its size', async () => {
  const cache = createMemoryAnswerCache({ maxCharacters: 10_000 })
  for (let i = 0; i < 50; i++) await cache.put(`k${i}`, answer([], 'x'.repeat(1000)), await miss(cache, `k${i}`))
  const kept = await Promise.all(Array.from({ length: 50 }, (_, i) => cache.get(`k${i}`)))
  expect(kept.filter(({ state }) => state === 'hit').length).toBeLessThan(10)
  expect(kept[49]?.state).toBe('hit')
})

describe.runIf(url !== null)('in Redis', () => {
  test('only so many answers are kept', async () => {
    const cache = await openRedis(url ?? '', 5)
    for (let i = 0; i < 20; i++) await cache.put(`k${i}`, answer([]), await miss(cache, `k${i}`))
    const kept = await Promise.all(Array.from({ length: 20 }, (_, i) => cache.get(`k${i}`)))
    expect(kept.filter(({ state }) => state === 'hit')).toHaveLength(5)
  })

  test('processes share answers and invalidations', async () => {
    const prefix = `test-${crypto.randomUUID()}:`
    const [here, there] = [0, 1].map(() =>
      createRedisAnswerCache({ redis: connect(url ?? ''), prefix, logger: silentLogger, answerMs }),
    )
    await expect.poll(async () => (await there!.get('k')).state).toBe('miss')
    await expect.poll(async () => (await here!.get('k')).state).toBe('miss')
    await here!.put('k', answer(['t']), await miss(here!, 'k'))
    expect((await there!.get('k')).state).toBe('hit')
    await there!.invalidate(['t'])
    await miss(here!, 'k')
  })

  test('a Redis that answers too late is one line in the log and not well, until it answers again', async () => {
    await using way = await cuttable(url ?? '')
    const redis = connect(way.url)
    await redis.ping()
    const lines: string[] = []
    const logger = { ...silentLogger, warn: (fields: object) => void lines.push(JSON.stringify(fields)) }
    const prefix = `test-${crypto.randomUUID()}:`
    const cache = createRedisAnswerCache({ redis, prefix, logger, answerMs: 2_000 })
    await miss(cache, 'k')
    expect(cache.healthy()).toBe(true)
    way.stall()
    await Promise.all([cache.invalidate(['t']), cache.invalidate(['t']), cache.get('k')])
    expect(cache.healthy()).toBe(false)
    expect(lines).toEqual(['{"reason":"no answer within 2000 ms"}'])
    way.resume()
    await expect.poll(async () => (await cache.get('k')).state).toBe('miss')
    expect(cache.healthy()).toBe(true)
    redis.disconnect()
  })

  test('health says that Redis is back without anybody asking the cache', async () => {
    await using way = await cuttable(url ?? '')
    const redis = connect(way.url)
    await redis.ping()
    await using cache = createRedisAnswerCache({ redis, prefix: `test-${crypto.randomUUID()}:`, logger: silentLogger })
    await way.cut()
    await cache.invalidate(['t'])
    expect(cache.healthy()).toBe(false)
    await way.mend()
    await expect.poll(() => cache.healthy()).toBe(true)
  })

  test('while it is gone the cache is passed by, and what it was not told of is not given out later', async () => {
    const redis = connect(url ?? '')
    await redis.ping()
    const prefix = `test-${crypto.randomUUID()}:`
    const cache = createRedisAnswerCache({ redis, prefix, logger: silentLogger, answerMs })
    await cache.put('k', answer(['t']), await miss(cache, 'k'))
    redis.disconnect()
    await cache.invalidate(['t'], at(3n))
    expect(await cache.get('k')).toEqual({ state: 'bypass' })
    await redis.connect()
    const stamp = await miss(cache, 'k')
    expect(stamp.position).toEqual(at(3n))
    expect(await cache.put('k', answer([everything]), stamp)).toBe(true)
  })
})
