import type { Sql, TransactionSql } from 'postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createKeyRing, ensureAdminKey, type KeyBus, type KeyRing } from '../../access/keys.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createStore } from '../../store/create-store.ts'
import { acquireShards } from '../support/postgres.ts'
import { patientPool } from '../support/patient-pool.ts'

const acme = parseCompanyId('acme')
const unauthenticated = expect.objectContaining({ code: 'UNAUTHENTICATED' }) as unknown

const stack = new AsyncDisposableStack()
let catalog: Sql
beforeAll(async () => {
  const { shards, catalogUrl } = stack.use(await acquireShards({ count: 1 }))
  const pool = patientPool('memory-constrained')
  const store = await createStore({ shards, catalogUrl, pool, deployment: 'test', logger: silentLogger })
  catalog = stack.use(store).catalog
})
afterAll(() => stack.disposeAsync())
beforeEach(async () => {
  await catalog`truncate access_keys`
})

/** A process of its own: with its own copy of the keys. */
async function startRing(options: { bus?: KeyBus; catalog?: Sql; pollMs?: number; lookupsPerSecond?: number } = {}) {
  const ring = createKeyRing({ catalog, bus: createMemoryBus(), logger: silentLogger, ...options })
  await ring.start()
  return ring
}

/** A bus that loses everything. */
const deadBus: KeyBus = {
  publish: async () => {},
  subscribe: async () => ({ [Symbol.asyncDispose]: async () => {} }),
}

/** A client whose statements are counted, and fail while `down`. */
function breakable(): { sql: Sql; down: boolean; statements: number } {
  const state = { sql: catalog, down: false, statements: 0 }
  state.sql = new Proxy(catalog, {
    apply(target, _self, args: Parameters<Sql>) {
      const isQuery = Array.isArray(args[0]) && 'raw' in args[0]
      if (isQuery) state.statements += 1
      if (state.down && isQuery) return Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:5432'))
      return Reflect.apply(target, undefined, args)
    },
  })
  return state
}

describe('a key', () => {
  test('is shown once, and only its hash is stored', async () => {
    await using ring = await startRing()
    const { key, info } = await ring.create({ companyId: acme, label: 'shop', createdBy: 'test' })
    expect(key).toMatch(/^lwk_[\w-]{43}$/)
    const rows = await catalog<{ all: string }[]>`select access_keys::text as all from access_keys`
    expect(rows).toHaveLength(1)
    expect(rows[0]?.all).not.toContain(key.slice(4))
    expect(await ring.authenticate(key)).toEqual({ kind: 'company', companyId: acme, keyId: info.keyId, scopes: ['*'] })
  })

  test('of an administrator has no company; scopes narrow it', async () => {
    await using ring = await startRing()
    const { key } = await ring.create({ label: 'robot', createdBy: 'test', scopes: ['ops.read'] })
    expect(await ring.authenticate(key)).toMatchObject({ kind: 'admin', scopes: ['ops.read'] })
    const wrong = ring.create({ label: 'robot', createdBy: 'test', scopes: ['everything' as 'ops.read'] })
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  })

  test('is listed without its secret, newest first, also when it was revoked', async () => {
    await using ring = await startRing()
    await ring.create({ companyId: acme, label: 'first', createdBy: 'test' })
    const { info } = await ring.create({ companyId: acme, label: 'second', createdBy: 'test' })
    await ring.create({ companyId: parseCompanyId('other'), label: 'foreign', createdBy: 'test' })
    await ring.revoke(info.keyId)
    const listed = await ring.list({ companyId: acme })
    expect(listed.map(({ label, revokedAt }) => [label, revokedAt !== undefined])).toEqual([
      ['second', true],
      ['first', false],
    ])
    expect(JSON.stringify(listed)).not.toMatch(/lwk_|hash/)
  })

  test.each(['', 'lwk_wrong', 'x'.repeat(600)])('that nobody made is refused: %#', async (key) => {
    await using ring = await startRing()
    await expect(ring.authenticate(key)).rejects.toEqual(unauthenticated)
  })
})

describe('between processes', () => {
  test('a new key works in another process at once, even when it was not told of it', async () => {
    await using here = await startRing({ bus: deadBus })
    await using there = await startRing({ bus: deadBus })
    const { key } = await here.create({ companyId: acme, label: 'shop', createdBy: 'test' })
    expect(await there.authenticate(key)).toMatchObject({ companyId: acme })
  })

  test('a revoked key ends in the other process by the bus, and what it opened is told', async () => {
    const bus = createMemoryBus()
    await using here = await startRing({ bus })
    await using there = await startRing({ bus })
    const { key, info } = await here.create({ companyId: acme, label: 'shop', createdBy: 'test' })
    await there.authenticate(key)
    const ended: string[] = []
    there.onRevoked((keyId) => ended.push(keyId))
    expect(await here.revoke(info.keyId)).toBe(true)
    expect(await here.revoke(info.keyId)).toBe(false)
    await expect(here.authenticate(key)).rejects.toEqual(unauthenticated)
    await expect.poll(() => ended).toEqual([info.keyId])
    await expect(there.authenticate(key)).rejects.toEqual(unauthenticated)
    expect(there.valid(info.keyId)).toBe(false)
  })

  test('a revoked key ends in the other process by its poll, when the bus lost the message', async () => {
    await using here = await startRing({ bus: deadBus })
    await using there = await startRing({ bus: deadBus, pollMs: 20 })
    const { key, info } = await here.create({ companyId: acme, label: 'shop', createdBy: 'test' })
    await there.authenticate(key)
    await here.revoke(info.keyId)
    await expect.poll(() => there.valid(info.keyId)).toBe(false)
  })
})

describe('while the catalog is down', () => {
  test('known keys go on, unknown ones are refused, and changes say that they must wait', async () => {
    const state = breakable()
    await using ring: KeyRing = await startRing({ catalog: state.sql })
    const { key } = await ring.create({ companyId: acme, label: 'shop', createdBy: 'test' })
    state.down = true
    expect(await ring.authenticate(key)).toMatchObject({ companyId: acme })
    await expect(ring.authenticate('lwk_unknown')).rejects.toEqual(unauthenticated)
    await expect(ring.create({ label: 'x', createdBy: 'test' })).rejects.toMatchObject({ code: 'CATALOG_UNAVAILABLE' })
    await expect(ring.list()).rejects.toMatchObject({ code: 'CATALOG_UNAVAILABLE' })
  })

  test('a process that never saw it says so rather than refuse keys that may be right', async () => {
    const state = breakable()
    state.down = true
    await using ring = await startRing({ catalog: state.sql, pollMs: 20 })
    await expect(ring.authenticate('lwk_any')).rejects.toMatchObject({ code: 'CATALOG_UNAVAILABLE' })
    state.down = false
    await expect
      .poll(() => ring.authenticate('lwk_any').catch((error: { code: string }) => error.code))
      .toBe('UNAUTHENTICATED')
  })
})

test('a flood of wrong keys reaches the catalog only so often', async () => {
  const state = breakable()
  await using ring = await startRing({ catalog: state.sql, lookupsPerSecond: 5 })
  const before = state.statements
  await Promise.allSettled(Array.from({ length: 200 }, (_, i) => ring.authenticate(`lwk_${i}`)))
  // Two seconds' worth, should the clock tick in between.
  expect(state.statements - before).toBeLessThanOrEqual(10)
})

describe('the first administrator', () => {
  test('gets a key once, also when many processes start at once', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => ensureAdminKey({ catalog, logger: silentLogger })))
    const keys = made.flatMap(({ created }) => created ?? [])
    expect(keys).toHaveLength(1)
    await using ring = await startRing()
    expect(await ring.authenticate(keys[0] ?? '')).toMatchObject({ kind: 'admin' })
    expect(await ensureAdminKey({ catalog, logger: silentLogger })).toEqual({})
  })

  test('is shown the key that was made although the answer to making it was lost', async () => {
    let lost = 0
    const losing = new Proxy(catalog, {
      get: (sql, name) =>
        name !== 'begin'
          ? (Reflect.get(sql, name) as unknown)
          : async (run: (tx: TransactionSql) => Promise<unknown>) => {
              const answer = await sql.begin(run)
              if (lost++ === 0) throw new Error('the connection was lost after the commit')
              return answer
            },
    })
    const { created } = await ensureAdminKey({ catalog: losing, logger: silentLogger })
    expect(lost).toBe(2)
    await using ring = await startRing()
    expect(await ring.authenticate(created ?? '')).toMatchObject({ kind: 'admin' })
    expect(await ring.list()).toHaveLength(1)
  })

  test('may bring a key, which is valid from then on and after a restart, and never shown', async () => {
    const adminApiKey = 'chosen-by-the-operator'
    expect(await ensureAdminKey({ catalog, adminApiKey, logger: silentLogger })).toEqual({})
    expect(await ensureAdminKey({ catalog, adminApiKey, logger: silentLogger })).toEqual({})
    await using ring = await startRing()
    expect(await ring.authenticate(adminApiKey)).toMatchObject({ kind: 'admin' })
    expect(await ring.list()).toHaveLength(1)
  })
})
