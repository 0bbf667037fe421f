import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { createExportReader } from '../../ledger/exports/read-exports.ts'
import { createExportWriter } from '../../ledger/exports/write-exports.ts'
import { eraseRecords, eraseSubject } from '../../ledger/private/erase.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed } from '../../ledger/proof/keys.ts'
import { registerSchema } from '../../ledger/schemas/register.ts'
import { relationshipId } from '../../network/relationship.ts'
import { createUserCommands, readUsers } from '../../network/users.ts'
import { createMover } from '../../store/move/mover.ts'
import { runFeedRound } from '../../ledger/feed.ts'
import { logDelivery } from '../../webhooks/delivery-log.ts'
import { createWebhooks } from '../../webhooks/webhooks.ts'
import { createSecretWrapper } from '../../webhooks/wrapping.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({ shardCount: 2 })
})
afterAll(() => world[Symbol.asyncDispose]())

const wrappingKey = Buffer.alloc(32, 9)
const signal = new AbortController().signal
const webhooks = createWebhooks({ wrapper: createSecretWrapper([Buffer.alloc(32, 7)]), allowPrivate: true })

function provingParts() {
  const { store } = world
  const keyring = parseKeyring(formatSkey('test', newSeed()))
  const signer = createCheckpointSigner({
    store,
    keyring,
    states: [catalogSignerState(store.catalog)],
    logger: silentLogger,
  })
  const exports = createExportWriter({ store, signer, keyring, wrappingKey })
  return { signer, exports, reader: createExportReader({ store, wrappingKey }) }
}

/** Every table of a shard that belongs to companies, as the database's own catalog tells it: no list to be forgotten. */
const companyOwned = (shard: ShardId): Promise<string[]> =>
  world.store.onPrimary(shard, async (sql) => {
    const rows = await sql<{ name: string }[]>`
      select distinct table_name as name from information_schema.columns
      where table_schema = current_schema() and column_name = 'company_id' order by 1`
    // The shard's own: the mover's places, and the queue of the feed and its rows, which are read where they were written.
    const own = ['company_places', 'feed', 'feed_dirty']
    return rows.map(({ name }) => name).filter((name) => !own.includes(name))
  })

/** All rows of a company by table, as text; `here` is each side's own word. */
async function rowsOn(shard: ShardId, companyId: CompanyId): Promise<Record<string, string[]>> {
  const tables = await companyOwned(shard)
  return world.store.onPrimary(shard, async (sql) => {
    const found: Record<string, string[]> = {}
    for (const table of tables) {
      const rows = await sql<{ row: string }[]>`
        select md5((to_jsonb(t) - 'here')::text) as row from ${sql(table)} t where company_id = ${companyId} order by 1`
      found[table] = rows.map(({ row }) => row)
    }
    return found
  })
}

test('a company moves with all that it owns, whichever tables there are, and downloads of its exports go on', async () => {
  const { store, ledger, relationships, counterparts } = world
  const { signer, exports, reader } = provingParts()
  const company = parseCompanyId('moved-whole')
  const from = store.shardOf(company)
  const to = store.shards.find((shard) => shard !== from)!
  await world.companies.create({ id: company, name: 'Whole', identifiers: [{ scheme: 'symbol', value: 'WHL' }] }, {})
  let partner = parseCompanyId('partner-0')
  for (let i = 1; store.shardOf(partner) === from; i++) partner = parseCompanyId(`partner-${i}`)
  await world.companies.create({ id: partner, name: 'Partner' }, {})

  await createUserCommands({ ledger }).put(company, { name: 'Ada', email: null, roles: [] }, {})
  const schema = { type: 'object', required: ['total'] }
  await registerSchema(ledger, company, { kind: 'invoice.issued', schema })
  // More than a tile of the tree, and bytes that do not compress: several chunks of an export.
  const noise = (i: number) => createHash('shake256', { outputLength: 9_000 }).update(String(i)).digest('base64')
  const invoice = (i: number) => ({
    kind: 'invoice.issued',
    source: 'erp',
    stream: `invoice-${i}`,
    data: { total: i, text: noise(i) },
    private: i < 2 ? { subject: `person-${i}`, data: { mail: `${i}@example.com` } } : null,
  })
  await ledger.append(company, { records: Array.from({ length: 280 }, (_, i) => invoice(i)) })
  await eraseSubject(ledger, company, 'person-0')
  await eraseRecords(ledger, company, [20])
  const { webhook } = await ledger
    .change(company, async (tx) => {
      const value = await webhooks.create(tx, { companyId: company, url: 'http://127.0.0.1:1/', kinds: [] })
      await logDelivery(tx, {
        companyId: company,
        webhookId: value.webhook.id,
        position: 1,
        attempt: 1,
        status: 200,
        error: null,
        durationMs: 5,
      })
      return { value, records: [] }
    })
    .then(({ value }) => value)
  await relationships.invite({ buyer: company, seller: partner, kind: 'supply', terms: { days: 30 } }, company, {})
  await world.cableOf(partner).cut()
  await counterparts.deliver(company, 0, 10_000)
  await world.cableOf(partner).mend()
  await expect.poll(() => store.onPrimary(to, async (sql) => (await sql`select 1`).length).catch(() => 0)).toBe(1)
  await signer.sign(company)
  const { id: exported, sha256 } = await exports.write(company, 'kept', { private: false, signal })
  while ((await store.onPrimary(from, (sql) => runFeedRound(sql, { limit: 100, all: true }))).kind === 'taken');

  const before = await rowsOn(from, company)
  // Every table that there is has something to move: a new one has to be given a row here.
  expect(Object.entries(before).filter(([, rows]) => rows.length === 0)).toEqual([])

  // A download that has begun, and takes its time.
  const file = await reader.open(exported)
  const chunks = file!.read(signal)
  const read: Buffer[] = [(await chunks.next()).value as Buffer]
  // What others write at the fence goes where the company is afterwards, or waits; nothing of it stays behind.
  const late: Promise<unknown>[] = []
  const mover = createMover({
    store,
    logger: silentLogger,
    cleanupDelayMs: 0,
    onStep(step) {
      if (step !== 'drained') return
      late.push(signer.sign(company), exports.write(company, 'late', { private: false, signal }))
    },
  })
  const moved = await mover.run((await mover.plan(company, to)).id)
  expect(moved).toMatchObject({ state: 'done', error: null })
  await Promise.all(late)

  const after = await rowsOn(to, company)
  const missing = Object.entries(before).filter(([table, rows]) => rows.some((row) => !after[table]?.includes(row)))
  expect(missing.map(([table]) => table)).toEqual([])
  const left = Object.entries(await rowsOn(from, company)).filter(([, rows]) => rows.length > 0)
  // The empty head that goes on refusing late writers.
  expect(left.map(([table]) => table)).toEqual(['ledger_heads'])

  for await (const chunk of chunks) read.push(chunk)
  const again: Buffer[] = []
  for await (const chunk of (await reader.open(exported))!.read(signal)) again.push(chunk)
  for (const all of [read, again]) {
    expect(all.length).toBeGreaterThan(1)
    expect(createHash('sha256').update(Buffer.concat(all)).digest('hex')).toBe(sha256)
  }
  expect(await reader.open(`${company}:late`)).not.toBeNull()

  // And all of it works where it is now.
  await expect(ledger.append(company, { records: [{ ...invoice(3), data: {} }] })).rejects.toMatchObject({
    code: 'SCHEMA_VIOLATION',
  })
  const users = await store.readOne(company, (sql) => readUsers(sql, [company]))
  expect(users.get(company)?.map(({ name }) => name)).toEqual(['Ada'])
  const opened = await store.onPrimary(to, (sql) => webhooks.open(sql, company, webhook.id))
  expect(opened?.webhook.url).toBe('http://127.0.0.1:1/')
  expect(await counterparts.retryParked(to)).toBe(0)
  const id = relationshipId({ buyer: company, seller: partner, kind: 'supply' })
  await relationships.act({ buyer: company, seller: partner, kind: 'supply', id }, 'accept', partner, {})
})
