import { afterAll, beforeAll, expect, test } from 'vitest'
import { missingStreams, type Moment, readMoments, readStates } from '../../ledger/as-of.ts'
import type { CompanyId } from '../../core/ids.ts'
import { registerSchema } from '../../ledger/schemas/register.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
let now = Date.UTC(2030, 0, 1)
beforeAll(async () => {
  world = await createWorld({ clock: { now: () => now } })
})
afterAll(() => world[Symbol.asyncDispose]())

test('the state at any moment is the latest record of each stream until then', async () => {
  const companyId = await world.company()
  const streams = ['code', 'config', 'environment', 'code', 'config', 'code']
  for (const stream of streams) {
    now += 1000
    await world.ledger.append(companyId, { records: [record({ stream })] })
  }
  const expected = new Map([['profile', 0]])
  for (const [index, stream] of streams.entries()) {
    expected.set(stream, index + 1)
    const time = new Date(now - 1000 * (streams.length - 1 - index)).toISOString()
    expect(await moment(companyId, { position: index + 1 })).toMatchObject({ size: index + 2 })
    expect(await moment(companyId, { time })).toMatchObject({ size: index + 2 })
    const state = await stateAt(companyId, index + 2, { first: 100 })
    expect(new Map(state.records.map((one) => [one.stream, one.position]))).toEqual(expected)
  }
  expect(await moment(companyId, { time: '2029-01-01T00:00:00Z' })).toMatchObject({ size: 0, checkpoint: null })
  expect(await moment(companyId, { position: 7 })).toBeUndefined()
  await expect(moment(companyId, {})).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  const first = await stateAt(companyId, 7, { first: 2 })
  expect(first).toMatchObject({ records: [{ stream: 'code' }, { stream: 'config' }], hasMore: true })
  const rest = await stateAt(companyId, 7, { first: 2, after: 'config' })
  expect(rest).toMatchObject({ records: [{ stream: 'environment' }, { stream: 'profile' }], hasMore: false })
  const moments = [2, 7, 1].map((size) => ({ companyId, size }))
  await world.sql(companyId, async (sql) => {
    const missing = await missingStreams(sql, moments, ['config', 'code', 'never'])
    expect(missing.map((one) => one.missing)).toEqual([['config', 'never'], ['never'], ['config', 'code', 'never']])
    const states = await readStates(sql, moments, { first: 100 })
    expect(states.map(({ records }) => records.length)).toEqual([2, 4, 1])
  })
})

const moment = (companyId: CompanyId, at: Moment) =>
  world.sql(companyId, async (sql) => (await readMoments(sql, [companyId], at))[0])
const stateAt = (companyId: CompanyId, size: number, page: { first: number; after?: string }) =>
  world.sql(companyId, async (sql) => (await readStates(sql, [{ companyId, size }], page))[0]!)

const schema = {
  type: 'object',
  properties: { amount: { type: 'string' }, lines: { type: 'array', items: { type: 'object', required: ['sku'] } } },
  required: ['amount'],
}

test('appends of a kind with a schema have to fit it, and the error names the path', async () => {
  const companyId = await world.company()
  const registered = await registerSchema(world.ledger, companyId, { kind: 'order.placed', schema })
  expect(registered.version).toBe(1)
  await world.ledger.append(companyId, { records: [record({ data: { amount: '1' } })] })
  const wrong = record({ data: { amount: '1', lines: [{ sku: 'a' }, {}] } })
  await expect(world.ledger.append(companyId, { records: [record(), wrong] })).rejects.toMatchObject({
    code: 'SCHEMA_VIOLATION',
    details: { path: '$.records[1].data.lines[1].sku', kind: 'order.placed', schemaVersion: 1 },
  })
  await world.ledger.append(companyId, { records: [record({ kind: 'order.other', data: { amount: 5 } })] })
})

test('a schema holds at once in processes that had appended under another one, for each append by itself', async () => {
  const companyId = await world.company()
  const elsewhere = createLedger({ store: world.store })
  const bad = { records: [record({ data: {} })] }
  await elsewhere.append(companyId, bad)
  await registerSchema(world.ledger, companyId, { kind: 'order.placed', schema })
  const results = await Promise.allSettled([
    elsewhere.append(companyId, bad),
    elsewhere.append(companyId, { records: [record()] }),
    elsewhere.append(companyId, bad),
    elsewhere.append(companyId, { records: [record()] }),
  ])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
  const again = await registerSchema(world.ledger, companyId, { kind: 'order.placed', schema })
  expect(again.version).toBe(1)
  const looser = await registerSchema(world.ledger, companyId, { kind: 'order.placed', schema: { type: 'object' } })
  expect(looser.version).toBe(2)
  await elsewhere.append(companyId, bad)
})

test('ready schemas are registered by name; what is no schema, or could match for ever, is refused', async () => {
  const companyId = await world.company()
  await registerSchema(world.ledger, companyId, { kind: 'code' })
  await expect(
    world.ledger.append(companyId, { records: [record({ kind: 'code', data: { repository: 'r' } })] }),
  ).rejects.toMatchObject({ code: 'SCHEMA_VIOLATION', details: { path: '$.records[0].data.commit' } })
  for (const input of [
    { kind: 'unknown' },
    { kind: 'a', schema: { type: 'nonsense' } },
    { kind: 'a', schema: { $ref: 'https://elsewhere.example/schema' } },
    { kind: 'a', schema: { properties: { x: { pattern: '^(a+)+$' } } } },
    { kind: 'ledger.erased', schema: {} },
  ]) {
    await expect(registerSchema(world.ledger, companyId, input)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  }
})
