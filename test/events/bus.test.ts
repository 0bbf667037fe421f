import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../core/log.ts'
import type { Bus } from '../../events/bus.ts'
import { createJoiner, splitMessage } from '../../events/chunks.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createPostgresBus } from '../../events/postgres-bus.ts'
import { createRedisBus } from '../../events/redis-bus.ts'
import { type Cuttable, cuttable } from '../support/cuttable.ts'
import { eventually } from '../support/feed.ts'
import { acquireShards } from '../support/postgres.ts'
import { redisUrl } from '../support/redis.ts'

const redis = redisUrl()
let databases: Awaited<ReturnType<typeof acquireShards>>
beforeAll(async () => {
  databases = await acquireShards({ count: 1 })
})
afterAll(() => databases[Symbol.asyncDispose]())

interface Fixture extends AsyncDisposable {
  /** Two processes. */
  readonly a: Bus
  readonly b: Bus
  /** Cuts and mends b's connection; absent where there is none. */
  readonly link?: Cuttable
}

async function overWire(
  url: string,
  create: (deps: { url: string; prefix: string; logger: typeof silentLogger }) => Bus,
): Promise<Fixture> {
  const prefix = `t-${randomUUID().slice(0, 8)}`
  const link = await cuttable(url)
  const a = create({ url, prefix, logger: silentLogger })
  const b = create({ url: link.url, prefix, logger: silentLogger })
  return {
    a,
    b,
    link,
    async [Symbol.asyncDispose]() {
      await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
      await link[Symbol.asyncDispose]()
    },
  }
}

const implementations: Record<string, () => Promise<Fixture>> = {
  'in process': async () => {
    const bus = createMemoryBus()
    return { a: bus, b: bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() }
  },
  Postgres: () => overWire(databases.catalogUrl, createPostgresBus),
  ...(redis === null ? {} : { Redis: () => overWire(redis, createRedisBus) }),
}

describe.each(Object.entries(implementations))('the bus %s', (_name, open) => {
  test('brings a message to every subscriber of its channel and to no other', async () => {
    await using bus = await open()
    const got: string[] = []
    await using first = await bus.a.subscribe('one', (message) => got.push(`a1 ${message}`))
    await using second = await bus.b.subscribe('one', (message) => got.push(`b1 ${message}`))
    await using other = await bus.b.subscribe('two', (message) => got.push(`b2 ${message}`))
    await bus.a.publish('one', 'hello')
    await bus.b.publish('two', 'there')
    await eventually(() => expect(got.toSorted()).toEqual(['a1 hello', 'b1 hello', 'b2 there']))
    expect([first, second, other].length).toBe(3)
  })

  test('brings messages larger than a notification, of any characters, whole and in order', async () => {
    await using bus = await open()
    const got: string[] = []
    await using _subscription = await bus.b.subscribe('large', (message) => got.push(message))
    const sent = ['', 'ä€𝄞'.repeat(9_000), 'x'.repeat(7_900), `"quoted' \\ ${'\n'.repeat(20_000)}`]
    for (const message of sent) await bus.a.publish('large', message)
    await eventually(() => expect(got).toEqual(sent))
  })

  test('stops at the end of a subscription, while others of the channel go on', async () => {
    await using bus = await open()
    const got: string[] = []
    const first = await bus.b.subscribe('ends', (message) => got.push(`first ${message}`))
    await using _second = await bus.b.subscribe('ends', (message) => got.push(`second ${message}`))
    await first[Symbol.asyncDispose]()
    await bus.a.publish('ends', 'x')
    await eventually(() => expect(got).toEqual(['second x']))
    await using _again = await bus.b.subscribe('ends', (message) => got.push(`again ${message}`))
    await bus.a.publish('ends', 'y')
    await eventually(() => expect(got).toEqual(['second x', 'second y', 'again y']))
  })

  test('survives a lost connection: publishing does not fail, health says so, and messages come again afterwards', async () => {
    await using bus = await open()
    const { link } = bus
    if (link === undefined) return
    const got: string[] = []
    await using _subscription = await bus.b.subscribe('lost', (message) => got.push(message))
    await bus.a.publish('lost', 'before')
    await eventually(() => expect(got).toEqual(['before']))
    await link.cut()
    await eventually(() => expect(bus.b.healthy()).toBe(false))
    await bus.b.publish('lost', 'into the void')
    await bus.a.publish('lost', 'unheard')
    const late: string[] = []
    await using _late = await bus.b.subscribe('late', (message) => late.push(message))
    await link.mend()
    await eventually(() => expect(bus.b.healthy()).toBe(true))
    await eventually(async () => {
      await bus.a.publish('late', 'heard')
      await bus.a.publish('lost', 'after')
      expect(got).toContain('after')
      expect(late).toContain('heard')
    })
    expect(got).not.toContain('unheard')
  })
})

describe('the parts of a large notification', () => {
  test('fit into a notification and make the message again in any order, doubled or mixed with others', () => {
    const join = createJoiner()
    const [one, two] = [splitMessage('ä'.repeat(20_000)), splitMessage('€'.repeat(20_000))]
    expect([...one, ...two].every((part) => Buffer.byteLength(part) < 8_000)).toBe(true)
    const shuffled = [...one.toReversed(), ...one.slice(0, 1)]
      .flatMap((part, index) => [part, two[index] ?? ''])
      .filter((part) => part !== '')
    const whole = [...shuffled, ...two].map(join).filter((message) => message !== undefined)
    expect(whole).toContain('ä'.repeat(20_000))
    expect(whole).toContain('€'.repeat(20_000))
  })

  test('give nothing where one of them is lost, and are not mistaken for anything else', () => {
    const join = createJoiner()
    expect(splitMessage('x'.repeat(20_000)).slice(1).map(join)).toEqual([undefined, undefined])
    expect(join('not ours')).toBe(undefined)
  })
})
