import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../core/log.ts'
import type { Bus } from '../../events/bus.ts'
import { createChangeStream } from '../../events/change-stream.ts'
import { createFollower } from '../../events/follow.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createPostgresBus } from '../../events/postgres-bus.ts'
import { createRedisBus } from '../../events/redis-bus.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import { createRelay, type Relay } from '../../workers/relay.ts'
import { type Cuttable, cuttable } from '../support/cuttable.ts'
import { eventually, type Fixture, openFixture, readPage, someCompany } from '../support/feed.ts'
import { redisUrl } from '../support/redis.ts'

/** What happens to a message on its way. */
type Fault = (message: string, deliver: (message: string) => void) => void

const faults: Record<string, () => Fault> = {
  'drops every message': () => () => undefined,
  'drops every other message': () => {
    let odd = false
    return (message, deliver) => {
      odd = !odd
      if (odd) deliver(message)
    }
  },
  'doubles every message': () => (message, deliver) => {
    deliver(message)
    deliver(message)
  },
  'brings messages late and in the wrong order': () => {
    const held: (() => void)[] = []
    return (message, deliver) => {
      held.unshift(() => deliver(message))
      if (held.length >= 3) for (const late of held.splice(0)) late()
    }
  },
  'brings what is no change': () => (message, deliver) => {
    deliver('{')
    deliver('[{"shard":1}]')
    deliver(message)
  },
}

const all = Array.from({ length: 20 }, (_, index) => index)

let fixture: Fixture
let relay: Relay | undefined
beforeAll(async () => {
  fixture = await openFixture(2, (shard) => relay?.nudge(shard))
})
afterAll(() => fixture[Symbol.asyncDispose]())

interface Wire extends AsyncDisposable {
  /** The relay's end, and the readers'. */
  readonly relaying: Bus
  readonly reading: Bus
  readonly cable?: Cuttable
}

async function overWire(
  url: string,
  create: (deps: { url: string; prefix: string; logger: typeof silentLogger }) => Bus,
): Promise<Wire> {
  const prefix = `t-${randomUUID().slice(0, 8)}`
  const cable = await cuttable(url)
  const relaying = create({ url, prefix, logger: silentLogger })
  const reading = create({ url: cable.url, prefix, logger: silentLogger })
  return {
    relaying,
    reading,
    cable,
    async [Symbol.asyncDispose]() {
      await Promise.all([relaying[Symbol.asyncDispose](), reading[Symbol.asyncDispose]()])
      await cable[Symbol.asyncDispose]()
    },
  }
}

const redis = redisUrl()
const buses: Record<string, () => Promise<Wire>> = {
  'in process': async () => {
    const bus = createMemoryBus()
    return { relaying: bus, reading: bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() }
  },
  Postgres: () => overWire(fixture.catalogUrl, createPostgresBus),
  ...(redis === null ? {} : { Redis: () => overWire(redis, createRedisBus) }),
}

describe.each(Object.entries(buses))('over the bus %s that', (_name, open) => {
  let wire: Wire
  beforeAll(async () => {
    wire = await open()
    relay = createRelay({ store: fixture.store, bus: wire.relaying, logger: silentLogger, pollMs: 200 })
    await relay.start()
  })
  afterAll(async () => {
    await relay?.[Symbol.asyncDispose]()
    await wire[Symbol.asyncDispose]()
  })

  /** Positions that a subscriber sees of 20 records, which are appended among those of another company. */
  async function follow(
    fault: Fault,
    between: (turn: number) => Promise<void> = async () => undefined,
  ): Promise<readonly number[]> {
    const { store } = fixture
    const bus: Bus = {
      ...wire.reading,
      subscribe: (channel, handler) => wire.reading.subscribe(channel, (message) => fault(message, handler)),
    }
    await using changes = createChangeStream({ store, bus, logger: silentLogger, pollMs: 100 })
    await using follower = createFollower<LedgerRecord>({ store, changes, logger: silentLogger, readPage })
    await changes.start()
    const [company, neighbour] = [someCompany(), someCompany()]
    const end = new AbortController()
    const positions: number[] = []
    const stream = await follower.follow(company, { signal: end.signal })
    const reading = (async () => {
      for await (const { records } of stream) positions.push(...records.map(({ record }) => record.position))
    })()
    for (let turn = 0; turn < 10; turn += 1) {
      await between(turn)
      await fixture.append(company, ['a', 'b'])
      await fixture.append(neighbour, ['a'])
    }
    await eventually(() => expect(positions.length).toBeGreaterThanOrEqual(20))
    end.abort()
    await reading
    return positions
  }

  test.each(Object.entries(faults))('%s a subscriber sees every record once and in order', async (_fault, make) => {
    expect(await follow(make())).toEqual(all)
  })

  test('loses its connection in the middle, too', async () => {
    const { cable } = wire
    if (cable === undefined) return
    const positions = await follow(
      (message, deliver) => deliver(message),
      async (turn) => {
        if (turn === 3) await cable.cut()
        if (turn === 7) await cable.mend()
      },
    )
    expect(positions).toEqual(all)
  })
})
