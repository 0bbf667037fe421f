import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../core/log.ts'
import { createRedisBus } from '../../events/redis-bus.ts'
import { eventually, type Fixture, openFixture, someCompany } from '../support/feed.ts'
import { cuttable } from '../support/cuttable.ts'
import { startLive } from '../support/live.ts'
import { redisUrl } from '../support/redis.ts'

const redis = redisUrl()

describe.skipIf(redis === null)('subscriptions while Redis is gone', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await openFixture(1)
  })
  afterAll(() => fixture[Symbol.asyncDispose]())

  test('go on through the poll, miss nothing, and health says so until it is back', async () => {
    await using cable = await cuttable(redis ?? '')
    const bus = createRedisBus({ url: cable.url, prefix: `t-${randomUUID()}`, logger: silentLogger })
    await using live = await startLive(fixture.store, bus)
    const company = someCompany()
    const end = new AbortController()
    const seen: number[] = []
    const reading = (async () => {
      for await (const { records } of await live.follower.follow(company, { signal: end.signal })) {
        seen.push(...records.map(({ record }) => record.position))
      }
    })()
    await eventually(() => expect(live.follower.counts().readers).toBe(1))
    await eventually(() => expect(live.changes.health().bus).toBe(true))
    await fixture.append(company, ['a'])
    await eventually(() => expect(seen).toEqual([0]))
    await cable.cut()
    await eventually(() => expect(live.changes.health()).toEqual({ bus: false, unreachable: [] }))
    for (let i = 0; i < 5; i += 1) await fixture.append(company, ['b'])
    await eventually(() => expect(seen).toEqual([0, 1, 2, 3, 4, 5]))
    await cable.mend()
    await eventually(() => expect(live.changes.health().bus).toBe(true))
    await fixture.append(company, ['c'])
    await eventually(() => expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]))
    end.abort()
    await reading
  })

  test('is told by health, too, where the connections stand and nothing comes through', async () => {
    await using cable = await cuttable(redis ?? '')
    await using bus = createRedisBus({ url: cable.url, prefix: `t-${randomUUID()}`, logger: silentLogger })
    await eventually(() => expect(bus.healthy()).toBe(true))
    cable.stall()
    await eventually(() => expect(bus.healthy()).toBe(false))
    cable.resume()
    await eventually(() => expect(bus.healthy()).toBe(true))
  })
})

test('who subscribes while Redis is away waits for it once, not each by itself', async () => {
  const told: string[] = []
  const logger = { ...silentLogger, warn: (_fields: object, line = '') => void told.push(line) }
  await using bus = createRedisBus({ url: 'redis://127.0.0.1:1', prefix: `t-${randomUUID()}`, logger })
  for (const channel of ['a', 'b', 'c']) await bus.subscribe(channel, () => undefined)
  expect(told.filter((line) => line.startsWith('Redis does not answer'))).toHaveLength(1)
  expect(bus.healthy()).toBe(false)
})
