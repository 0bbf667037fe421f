import { randomBytes, randomUUID } from 'node:crypto'
import { Webhook as Receiver } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createChangeStream } from '../../events/change-stream.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createJobs } from '../../jobs/jobs.ts'
import { createProcessing } from '../../jobs/processing.ts'
import { createFeedConsumer } from '../../ledger/feed-consumer.ts'
import { createMover } from '../../store/move/mover.ts'
import type { Store } from '../../store/store.ts'
import { readDeliveries } from '../../webhooks/delivery-log.ts'
import { createWebhooks } from '../../webhooks/webhooks.ts'
import { createSecretWrapper } from '../../webhooks/wrapping.ts'
import { createRelay } from '../../workers/relay.ts'
import { createWebhookDelivery, messageOf } from '../../workers/webhook-delivery.ts'
import { createWebhookFanout } from '../../workers/webhook-fanout.ts'
import { createWebhookSender } from '../../workers/webhook-request.ts'
import { eventually, type Fixture, openFixture, readRecord, someCompany } from '../support/feed.ts'
import { type ReceivedCall, startReceiver } from '../support/http-receiver.ts'
import { redisUrl } from '../support/redis.ts'

const redis = redisUrl()

describe.skipIf(redis === null)('webhooks', () => {
  let fixture: Fixture
  let store: Store
  const stack = new AsyncDisposableStack()
  const webhooks = createWebhooks({ wrapper: createSecretWrapper([randomBytes(32)]), allowPrivate: true })
  const disabled: string[] = []
  let relay: ReturnType<typeof createRelay>
  let jobs: ReturnType<typeof createJobs>

  beforeAll(async () => {
    fixture = stack.use(await openFixture(2))
    store = fixture.store
    const connection = { redisUrl: redis ?? '', prefix: `t-${randomUUID().slice(0, 8)}` }
    const bus = stack.use(createMemoryBus())
    const changes = stack.use(createChangeStream({ store, bus, logger: silentLogger, pollMs: 50 }))
    jobs = stack.use(createJobs(connection))
    relay = stack.use(createRelay({ store, bus, logger: silentLogger, pollMs: 50 }))
    const fanout = stack.use(
      createFeedConsumer({
        store,
        logger: silentLogger,
        name: 'webhooks',
        begin: 'first',
        pollMs: 50,
        handle: createWebhookFanout({ store, jobs }),
      }),
    )
    stack.use(changes.subscribe({ change: ({ shard }) => fanout.nudge(shard), reset: (shard) => fanout.nudge(shard) }))
    const sender = stack.use(createWebhookSender({ allowPrivate: true, timeoutMs: 3_000 }))
    const deliverWebhook = createWebhookDelivery({
      store,
      webhooks,
      sender,
      readRecord,
      async disable(companyId, webhookId, reason) {
        await store.transact(companyId, (tx) => webhooks.setEnabled(tx, companyId, webhookId, false, reason))
        disabled.push(webhookId)
      },
      logger: silentLogger,
    })
    const processing = stack.use(
      createProcessing({
        connection,
        processors: { deliverWebhook, verifyLedger: async () => null, exportLedger: async () => null },
        logger: silentLogger,
        retryAfterMs: () => 1,
        drainMs: 100,
      }),
    )
    for (const service of [changes, relay, fanout, processing]) await service.start()
  })
  afterAll(() => stack.disposeAsync())

  async function createWebhook(companyId: CompanyId, url: string, kinds: string[] = []) {
    return (await store.transact(companyId, (tx) => webhooks.create(tx, { companyId, url, kinds }))).value
  }
  async function append(companyId: CompanyId, ...kinds: string[]): Promise<void> {
    await fixture.append(companyId, kinds)
    relay.nudge(store.shardOf(companyId))
  }
  const log = (companyId: CompanyId, webhookId: string) =>
    store.onPrimary(store.shardOf(companyId), (sql) => readDeliveries(sql, [{ companyId, webhookId, first: 50 }]))
  const ids = (calls: readonly ReceivedCall[]): string[] =>
    calls.map((call) => String(call.headers['webhook-id'])).toSorted()

  test('are told of each record they want, signed, under its id, and the delivery is logged without its payload', async () => {
    await using far = await startReceiver()
    const company = someCompany()
    const { webhook, secret } = await createWebhook(company, `${far.url}/hook`, ['order.placed'])
    await append(company, 'order.placed', 'other', 'order.placed')
    await eventually(() => expect(far.calls.length).toBe(2))
    expect(ids(far.calls)).toEqual([`${company}:0`, `${company}:2`])
    const call = far.calls[0]!
    const payload = new Receiver(secret).verify(call.body, call.headers as Record<string, string>)
    expect(payload).toMatchObject({
      type: 'order.placed',
      data: { companyId: company, kind: 'order.placed', data: {} },
    })
    expect(call.path).toBe('/hook')
    expect(call.headers['content-type']).toBe('application/json')
    expect(call.headers.authorization).toBe(undefined)
    await eventually(async () =>
      expect(await log(company, webhook.id)).toMatchObject([
        { status: 204, error: null },
        { status: 204, error: null },
      ]),
    )
  })

  test('that fail are tried again with the same id until the receiver takes them', async () => {
    await using far = await startReceiver()
    far.answers.push({ status: 500 }, { status: 503 }, { hang: true })
    const company = someCompany()
    const { webhook } = await createWebhook(company, far.url)
    await append(company, 'a')
    await eventually(() => expect(far.calls.length).toBe(4))
    expect(new Set(ids(far.calls))).toEqual(new Set([`${company}:0`]))
    await eventually(async () =>
      expect((await log(company, webhook.id)).map(({ attempt, status, error }) => [attempt, status, error])).toEqual([
        [4, 204, null],
        [3, null, 'TIMEOUT'],
        [2, 503, 'STATUS'],
        [1, 500, 'STATUS'],
      ]),
    )
  })

  test('that end after their company has moved are logged where it is now', async () => {
    await using far = await startReceiver()
    const company = someCompany()
    const { webhook } = await createWebhook(company, far.url)
    const from = store.shardOf(company)
    const to = store.shards.find((shard) => shard !== from)!
    const mover = createMover({ store, logger: silentLogger, cleanupDelayMs: 0 })
    const moved = Promise.withResolvers<unknown>()
    far.answers.push({
      first: () =>
        mover
          .plan(company, to)
          .then(({ id }) => mover.run(id))
          .then(moved.resolve, moved.reject),
    })
    await append(company, 'a')
    expect(await moved.promise).toMatchObject({ state: 'done' })
    await eventually(async () => expect((await log(company, webhook.id)).map(({ attempt }) => attempt)).toContain(1))
    expect(store.shardOf(company)).toBe(to)
    const left = await store.onPrimary(
      from,
      (sql) => sql`select 1 from webhook_deliveries where company_id = ${company}`,
    )
    expect(left).toHaveLength(0)
  })

  test('that never succeed become dead letters, and delay no other webhook', async () => {
    await using far = await startReceiver()
    const company = someCompany()
    const { webhook } = await createWebhook(company, 'http://127.0.0.1:1/nobody')
    await createWebhook(company, far.url)
    await append(company, 'a')
    await eventually(() => expect(far.calls.length).toBe(1))
    await eventually(async () => {
      const dead = await jobs.list({ first: 10, queue: 'high', state: 'failed', companyId: company })
      expect(dead).toMatchObject([{ id: `high.${company}.0.${webhook.id}`, error: 'DELIVERY_FAILED', attempts: 10 }])
    })
    await eventually(async () => expect(await log(company, webhook.id)).toHaveLength(10))
  })

  test('follow no redirect, and read no endless answer', async () => {
    await using far = await startReceiver()
    await using elsewhere = await startReceiver()
    far.answers.push({ status: 302, headers: { location: elsewhere.url } }, { status: 200, flood: true })
    const company = someCompany()
    const { webhook } = await createWebhook(company, far.url)
    await append(company, 'a')
    await eventually(async () =>
      expect((await log(company, webhook.id)).map(({ status, error }) => [status, error])).toEqual([
        [200, null],
        [302, 'REDIRECT'],
      ]),
    )
    expect(elsewhere.calls).toEqual([])
  })

  test('that answer 410 are disabled and told nothing more', async () => {
    await using far = await startReceiver()
    far.answers.push({ status: 410 })
    const company = someCompany()
    const { webhook } = await createWebhook(company, far.url)
    await append(company, 'a')
    await eventually(() => expect(disabled).toContain(webhook.id))
    const other = await createWebhook(company, `${far.url}/other`)
    await append(company, 'b')
    await eventually(() => expect(far.calls.map((call) => call.path)).toEqual(['/', '/other']))
    await eventually(async () => expect(await log(company, webhook.id)).toMatchObject([{ status: 410, error: 'GONE' }]))
    await eventually(async () => expect(await log(company, other.webhook.id)).toHaveLength(1))
  })

  test('see a record once though the feed brings it again', async () => {
    await using far = await startReceiver()
    const company = someCompany()
    await createWebhook(company, far.url)
    await append(company, 'a')
    await eventually(() => expect(far.calls.length).toBe(1))
    // What a crash between effect and cursor leaves behind.
    const shard = store.shardOf(company)
    await store.onPrimary(shard, (sql) => sql`update feed_cursors set position = 0 where consumer = 'webhooks'`)
    await append(company, 'b')
    await eventually(() => expect(far.calls.length).toBe(2))
    expect(ids(far.calls)).toEqual([`${company}:0`, `${company}:1`])
  })
})

test('in production a webhook of our own network is not reached, by address or by a name that resolves to it', async () => {
  await using far = await startReceiver()
  const { port } = new URL(far.url)
  await using byAddress = createWebhookSender({ allowPrivate: false })
  await using byName = createWebhookSender({
    allowPrivate: false,
    lookup: ((_name: string, _options: object, callback: (error: null, found: object[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }])) as never,
  })
  const { signal } = new AbortController()
  expect(await byAddress.send(`https://127.0.0.1:${port}`, {}, '{}', signal)).toMatchObject({
    error: 'URL_NOT_ALLOWED',
  })
  expect(await byName.send(`https://rebound.example.com:${port}`, {}, '{}', signal)).toMatchObject({
    error: 'ADDRESS_NOT_PUBLIC',
  })
  expect(far.calls).toEqual([])
})

test('a message holds the canonical data unchanged, null where it was erased, and leaves out what is too large', () => {
  const company = someCompany()
  const record = {
    position: 3,
    kind: 'a.b',
    source: 's',
    stream: 't',
    version: 1,
    occurredAt: null,
    recordedAt: '2026-01-01T00:00:00.000Z',
    actor: null,
    leaf: Buffer.alloc(32),
    previousLeaf: Buffer.alloc(32),
  }
  expect(messageOf(company, { ...record, data: '{"big":1e+21}' })).toContain('"data":{"big":1e+21}}}')
  expect(JSON.parse(messageOf(company, { ...record, data: null }))).toMatchObject({
    type: 'a.b',
    timestamp: record.recordedAt,
    data: { id: `${company}:3`, data: null },
  })
  const large = JSON.parse(messageOf(company, { ...record, data: `{"x":"${'y'.repeat(200_000)}"}` })) as {
    data: object
  }
  expect(large.data).toMatchObject({ data: null, dataOmitted: true })
})
