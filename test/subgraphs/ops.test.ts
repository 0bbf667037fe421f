import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { admin, companyKey, createSubgraphWorld, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
const ids: CompanyId[] = Array.from({ length: 6 }, (_, i) => parseCompanyId(`owner-${i}`))
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 2 })
  for (const id of ids) await world.companies.create({ id, name: id }, {})
})
afterAll(() => world[Symbol.asyncDispose]())

test('a webhook is created with a record that does not hold its secret, and seen by its company only', async () => {
  const ask = world.inProcess
  const created = await ask(
    'ops',
    `mutation { createWebhook(input: { companyId: "owner-0", url: "http://127.0.0.1:9/hook", kinds: ["trade.made"] }) {
      webhook { id url kinds enabled createdAt } secret } }`,
    { as: companyKey('owner-0') },
  )
  expect(created.codes).toEqual([])
  expect(created.written).toHaveLength(1)
  const { webhook, secret } = created.data['createWebhook'] as unknown as {
    webhook: { id: string }
    secret: string
  }
  expect(webhook).toMatchObject({ url: 'http://127.0.0.1:9/hook', kinds: ['trade.made'], enabled: true })
  expect(secret).toMatch(/^whsec_/)

  const query = `query ($of: [_Any!]!) { _entities(representations: $of) {
    ... on Company { id webhooks { id } } ... on Webhook { id url } } }`
  const of = [...ids.map((id) => ({ __typename: 'Company', id })), { __typename: 'Webhook', id: webhook.id }]
  const seen = await ask('ops', query, { as: admin, variables: { of } })
  expect(seen.data['_entities']).toEqual([
    { id: 'owner-0', webhooks: [{ id: webhook.id }] },
    ...ids.slice(1).map((id) => ({ id, webhooks: [] })),
    { id: webhook.id, url: 'http://127.0.0.1:9/hook' },
  ])
  expect(seen.statements).toBe(2)
  const other = await ask('ops', query, { as: companyKey('owner-1'), variables: { of } })
  expect(other.codes).toEqual(Array.from({ length: 6 }, () => 'FORBIDDEN'))

  const ledger = await ask('records', `{ record(id: "owner-0:1") { kind data actor } }`)
  expect(ledger.data).toMatchObject({ record: { kind: 'webhook.created', data: { kinds: ['trade.made'] } } })
  expect(JSON.stringify(ledger.data)).not.toContain(secret.slice(6))
})

test.each([
  ['for nobody', 'nobody', 'http://127.0.0.1/', 'NOT_FOUND'],
  ['to what is no URL', 'owner-0', 'nowhere', 'BAD_USER_INPUT'],
  ['with a malformed id', 'OWNER', 'http://127.0.0.1/', 'INVALID_ID'],
])('a webhook %s is refused with a code', async (_, companyId, url, code) => {
  const answer = await world.inProcess(
    'ops',
    `mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) { secret } }`,
    { variables: { input: { companyId, url } } },
  )
  expect(answer.codes).toEqual([code])
})

test('a webhook for no kind at all is refused', async () => {
  const refused = await world.inProcess(
    'ops',
    'mutation { createWebhook(input: { companyId: "owner-0", url: "http://127.0.0.1:9/hook", kinds: [] }) { secret } }',
    { as: companyKey('owner-0') },
  )
  expect(refused.codes).toEqual(['BAD_USER_INPUT'])
})

test('a job is submitted, seen by its company and by administrators, and by nobody else', async () => {
  const ask = world.inProcess
  const submit = `mutation ($id: ID!) { submitJob(input: { name: "verifyLedger", companyId: $id, queue: HIGH }) {
    id name queue state progress company { id } } }`
  const submitted = await ask('ops', submit, { as: companyKey('owner-2'), variables: { id: 'owner-2' } })
  expect(submitted.codes).toEqual([])
  const job = submitted.data['submitJob'] as unknown as { id: string }
  expect(job).toMatchObject({ name: 'verifyLedger', queue: 'HIGH', state: 'WAITING', company: { id: 'owner-2' } })
  expect((await ask('ops', submit, { as: companyKey('owner-3'), variables: { id: 'owner-2' } })).codes).toEqual([
    'FORBIDDEN',
  ])

  const seen = `query ($id: ID!) { job(id: $id) { id } jobs(first: 5) { id } }`
  const visible = { job: { id: job.id }, jobs: [{ id: job.id }] }
  expect((await ask('ops', seen, { variables: { id: job.id }, as: companyKey('owner-2') })).data).toEqual(visible)
  expect((await ask('ops', seen, { variables: { id: job.id } })).data).toEqual(visible)
  expect((await ask('ops', seen, { variables: { id: job.id }, as: companyKey('owner-3') })).data).toEqual({
    job: null,
    jobs: [],
  })
  const queues = await ask('ops', `{ queues { class waiting } }`)
  expect(queues.data).toMatchObject({ queues: [{ class: 'CRITICAL' }, { class: 'HIGH', waiting: 1 }, {}, {}] })
  expect((await ask('ops', `{ jobs(first: 101) { id } }`)).codes).toEqual(['LIST_TOO_LONG'])
  const submitAs = async (name: string, args: string) =>
    (
      await ask(
        'ops',
        `mutation { submitJob(input: { name: "${name}", companyId: "owner-1", arguments: ${args} }) { id } }`,
      )
    ).codes
  expect(await submitAs('nothing', '{}')).toEqual(['BAD_USER_INPUT'])
  expect(await submitAs('deliverWebhook', '{ webhookId: "w", position: 0 }')).toEqual(['BAD_USER_INPUT'])
  expect(await submitAs('moveCompany', '{ move: 1 }')).toEqual(['BAD_USER_INPUT'])
})

test('jobs that failed for good are for their company and administrators to redrive or discard, and for nobody else', async () => {
  const ask = world.inProcess
  const submit = `mutation { submitJob(input: { name: "verifyLedger", companyId: "owner-4" }) { id } }`
  const { id } = (await ask('ops', submit)).data['submitJob'] as unknown as { id: string }
  const redrive = `mutation ($id: ID!) { redriveJob(id: $id) { id } }`
  const discard = `mutation ($id: ID!) { discardJob(id: $id) }`
  for (const mutation of [redrive, discard]) {
    const codes = async (of: string, as = admin) => (await ask('ops', mutation, { variables: { id: of }, as })).codes
    // It waits for its first try.
    expect(await codes(id, companyKey('owner-4'))).toEqual(['INVALID_TRANSITION'])
    expect(await codes(id)).toEqual(['INVALID_TRANSITION'])
    expect(await codes(id, companyKey('owner-3'))).toEqual(['NOT_FOUND'])
    expect(await codes('normal.nothing')).toEqual(['NOT_FOUND'])
  }
  const all = `mutation { redriveJobs(queue: NORMAL) }`
  expect((await ask('ops', all)).data).toEqual({ redriveJobs: 0 })
  expect((await ask('ops', all, { as: companyKey('owner-4') })).codes).toEqual(['FORBIDDEN'])
})

test('administrators see every shard with its buckets, and which of them is down', async () => {
  const query = `{ shards { name region healthy buckets overrides replicas { name healthy lagMs pool { inUse } } } }`
  const healthy = (await world.inProcess('ops', query)).data['shards'] as unknown as { buckets: number }[]
  expect(healthy.map((shard) => ({ ...shard, buckets: 0 }))).toEqual([
    { name: 'shard-1', region: 'shard', healthy: true, buckets: 0, overrides: 0, replicas: [] },
    { name: 'shard-2', region: 'shard', healthy: true, buckets: 0, overrides: 0, replicas: [] },
  ])
  expect(healthy.reduce((sum, { buckets }) => sum + buckets, 0)).toBe(4096)
  const cable = world.cableOf(ids[0] as CompanyId)
  await cable.cut()
  try {
    const down = (await world.inProcess('ops', query)).data['shards'] as unknown as { healthy: boolean }[]
    expect(down.filter((shard) => !shard.healthy)).toHaveLength(1)
  } finally {
    await cable.mend()
    // The pool finds out by itself; until then it refuses, which other tests would trip over.
    await expect
      .poll(async () => (await world.inProcess('ops', query)).data['shards'])
      .toEqual([expect.objectContaining({ healthy: true }), expect.objectContaining({ healthy: true })])
  }
  expect((await world.inProcess('ops', query, { as: companyKey('owner-1') })).codes).toEqual(['FORBIDDEN'])
})

test('administrators see what the pool of each shard is doing', async () => {
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const holding = world.store.transact(ids[0] as CompanyId, async (tx) => {
    await tx`select 1`
    begun.resolve()
    await held.promise
  })
  try {
    await begun.promise
    const query = `{ shards { name pool { max open inUse waiting acquired waitMs refused } } }`
    const shards = (await world.inProcess('ops', query)).data['shards'] as unknown as {
      name: string
      pool: { max: number; open: number; inUse: number; acquired: number }
    }[]
    const busy = shards.find(({ name }) => name === world.store.shardOf(ids[0] as CompanyId))
    expect(busy?.pool).toMatchObject({ waiting: 0, refused: expect.any(Number) as number })
    expect(busy?.pool.inUse).toBeGreaterThanOrEqual(1)
    expect(busy?.pool.acquired).toBeGreaterThan(0)
    expect(busy?.pool.max).toBeGreaterThanOrEqual(busy?.pool.open ?? Number.NaN)
  } finally {
    held.resolve()
    await holding
  }
})

test('a stream ticket is given to whoever has a key', async () => {
  const answer = await world.inProcess('ops', `mutation { createStreamTicket { ticket expiresAt } }`, {
    as: companyKey('owner-1'),
  })
  expect(answer.data).toMatchObject({ createStreamTicket: { ticket: expect.stringMatching(/^lwtp_/) as string } })
})

test('the feed of each shard and who follows it is for administrators to see', async () => {
  const query = '{ feeds { shard head kept waiting consumers { name behind behindMs failures lastError } } }'
  const seen = await world.inProcess('ops', query, { as: admin })
  expect(seen.codes).toEqual([])
  const feeds = seen.data['feeds'] as unknown as { shard: string; head: number; kept: number; waiting: number }[]
  expect(feeds.map(({ shard }) => shard)).toEqual(world.store.shards)
  for (const { head, kept } of feeds) expect(head).toBeGreaterThanOrEqual(kept)
  expect((await world.inProcess('ops', query, { as: companyKey('owner-0') })).codes).toEqual(['FORBIDDEN'])
})
