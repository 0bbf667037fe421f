import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { parseCompanyId, parseShardId, type CompanyId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { parseLsn } from '../../core/position.ts'
import type { Store } from '../../store/store.ts'
import { acquireShards } from '../support/postgres.ts'
import { openStore } from './open-store.ts'
import { startTcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

let databases: Awaited<ReturnType<typeof acquireShards>>
let store: Store
beforeAll(async () => {
  databases = await acquireShards({ count: 3 })
  store = await openStore(databases)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await databases[Symbol.asyncDispose]()
})

/** One company on each shard, in the order of the shards. */
function companyOn(shard: ShardId, holder = store): CompanyId {
  for (let i = 0; ; i++) {
    const id = parseCompanyId(`company-${i}`)
    if (holder.shardOf(id) === shard) return id
  }
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return isAppError(error) ? error.code : String(error)
  }
}

describe('reading', () => {
  test('asks each shard once for all its companies', async () => {
    const ids = Array.from({ length: 60 }, (_, i) => parseCompanyId(`company-${i}`))
    const statements: string[] = []
    const results = await store.read(
      ids,
      async (sql, companyIds) =>
        (await sql<{ id: string }[]>`select unnest(${companyIds}::text[]) as id`).map((r) => r.id),
      { onStatement: (shard) => void statements.push(shard) },
    )
    expect(statements.sort()).toEqual(['shard-1', 'shard-2', 'shard-3'])
    expect(results.flatMap((r) => (r.ok ? r.value : [])).sort()).toEqual([...ids].sort())
    for (const result of results) {
      expect(result.companyIds.every((id) => store.shardOf(id) === result.shard)).toBe(true)
    }
  })

  test('a broadcast answers for every shard in their order', async () => {
    const results = await store.broadcast(async (sql, shard) => {
      const [row] = await sql<{ shard: string }[]>`select shard from shard_identity`
      return [row?.shard, shard]
    })
    expect(results.map((result) => result.ok && result.value)).toEqual(store.shards.map((shard) => [shard, shard]))
  })

  test("a failing shard's part is a value beside the others", async () => {
    const results = await store.broadcast(async (sql, shard) => {
      return sql`select 1 / ${shard === 'shard-2' ? 0 : 1}::int as n`
    })
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true])
    const failed = results[1]!
    expect(!failed.ok && failed.error.code).toBe('INTERNAL_SERVER_ERROR')
    expect(!failed.ok && failed.error.message).not.toMatch(/select|division/)
  })

  test('where only the whole is of use, the first failure cancels what the others are at', async () => {
    const results = await store.broadcast(
      (sql, shard) => (shard === 'shard-2' ? sql`select 1 / 0` : sql`select pg_sleep(600)`),
      {},
      { whole: true },
    )
    expect(results.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'CANCELLED',
      'INTERNAL_SERVER_ERROR',
      'CANCELLED',
    ])
  })

  test('what takes longer than the deadline fails for its shard alone', async () => {
    const results = await store.broadcast(async (sql, shard) => sql`select pg_sleep(${shard === 'shard-3' ? 30 : 0})`, {
      deadlineMs: Date.now() + 2_000,
    })
    expect(results.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual(['ok', 'ok', 'DEADLINE_EXCEEDED'])
  })
})

describe('transactions', () => {
  test('the position covers the commit', async () => {
    const shard = parseShardId('shard-2')
    const company = companyOn(shard)
    const { value, position } = await store.transact(company, async (tx) => {
      await tx`create table positions (n int)`
      return tx<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`
    })
    expect(position.epoch).toBe(store.epoch())
    // The commit's own record comes after the last of its changes.
    expect(position.shards.get(shard)).toBeGreaterThan(parseLsn(value[0]!.lsn))
  })

  test('deadlocks are resolved by running again', async () => {
    const company = companyOn(parseShardId('shard-1'))
    await store.onPrimary(parseShardId('shard-1'), async (sql) => {
      await sql`create table pair (id int primary key, n int)`
      await sql`insert into pair values (1, 0), (2, 0)`
    })
    const bump = (first: number, second: number) =>
      store.transact(company, async (tx) => {
        await tx`update pair set n = n + 1 where id = ${first}`
        await tx`select pg_sleep(0.05)`
        await tx`update pair set n = n + 1 where id = ${second}`
      })
    await Promise.all([bump(1, 2), bump(2, 1)])
    const rows = await store.onPrimary(parseShardId('shard-1'), (sql) => sql`select n from pair`)
    expect(rows.map((row) => row['n'])).toEqual([2, 2])
  })

  test("the caller's own errors pass unchanged", async () => {
    const company = companyOn(parseShardId('shard-1'))
    await expect(store.transact(company, (tx) => tx`select 1/0`)).rejects.toMatchObject({ code: '22012' })
  })

  test('a claim is refused on a shard that does not hold the company', async () => {
    const elsewhere = companyOn(parseShardId('shard-2'))
    const wrong = store.onPrimary(parseShardId('shard-1'), (sql) => sql.begin(async (tx) => store.claim(tx, elsewhere)))
    expect(await codeOf(wrong)).toBe('STALE_EPOCH')
    await store.transact(elsewhere, (tx) => store.claim(tx, elsewhere))
  })
})

describe('a primary that is down', () => {
  test('its companies fail fast, the others go on, and it is used again when it returns', async () => {
    const own = await acquireShards({ count: 2 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using proxy = await startTcpProxy(own.shards[1]!.primaryUrl)
    const shards = [own.shards[0]!, { ...own.shards[1]!, primaryUrl: proxy.url }]
    await using store = await openStore({ ...own, shards })
    const [healthy, lost] = store.shards.map((shard) => companyOn(shard, store)) as [CompanyId, CompanyId]
    const write = (id: CompanyId) => codeOf(store.transact(id, (tx) => store.claim(tx, id)))
    expect(await write(lost)).toBe('no error')
    await proxy.cut()
    expect(await write(lost)).toBe('SHARD_UNAVAILABLE')
    expect(await write(lost)).toBe('SHARD_UNAVAILABLE')
    expect(await write(healthy)).toBe('no error')
    expect(store.poolStats().map(({ shard, up }) => [shard, up])).toContainEqual([store.shards[1], false])
    await proxy.resume()
    await until(async () => (await write(lost)) === 'no error')
  })

  test('a shard that is down at the start is migrated and used when it returns', async () => {
    const own = await acquireShards({ count: 2 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using proxy = await startTcpProxy(own.shards[1]!.primaryUrl)
    await proxy.cut()
    const shards = [own.shards[0]!, { ...own.shards[1]!, primaryUrl: proxy.url }]
    await using store = await openStore({ ...own, shards })
    const lost = companyOn(store.shards[1]!, store)
    expect(await codeOf(store.readOne(lost, (sql) => sql`select 1`))).toBe('SHARD_UNAVAILABLE')
    await proxy.resume()
    await until(async () => (await codeOf(store.transact(lost, (tx) => store.claim(tx, lost)))) === 'no error')
  })

  test('a shard that returns as another one stays out, and is used without a restart once that is mended', async () => {
    const own = await acquireShards({ count: 2 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await (await openStore(own))[Symbol.asyncDispose]()
    const returned = postgres(own.shards[1]!.primaryUrl, { max: 1, fetch_types: false, onnotice() {} })
    onTestFinished(() => returned.end())
    await returned`update shard_identity set shard = 'another'`
    await using proxy = await startTcpProxy(own.shards[1]!.primaryUrl)
    await proxy.cut()
    const shards = [own.shards[0]!, { ...own.shards[1]!, primaryUrl: proxy.url }]
    await using store = await openStore({ ...own, shards })
    const out = companyOn(store.shards[1]!, store)
    const refusal = async (): Promise<string> => {
      const error: unknown = await store.readOne(out, (sql) => sql`select 1`).catch((thrown: unknown) => thrown)
      return isAppError(error, 'SHARD_UNAVAILABLE') ? error.message : String(error)
    }
    await proxy.resume()
    await until(async () => (await refusal()).includes('stays out of use'), 30_000)
    await returned`update shard_identity set shard = ${store.shards[1]!}`
    await until(async () => (await codeOf(store.transact(out, (tx) => store.claim(tx, out)))) === 'no error', 30_000)
    expect(await refusal()).not.toContain('stays out of use')
  })
})

describe('starting', () => {
  test('several processes that start at once agree on one directory', async () => {
    const own = await acquireShards({ count: 2 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(own)))
    for (const store of stores) onTestFinished(() => store[Symbol.asyncDispose]())
    const ids = Array.from({ length: 50 }, (_, i) => parseCompanyId(`c${i}`))
    const [first, ...others] = stores.map((store) => ids.map((id) => store.shardOf(id)))
    for (const other of others) expect(other).toEqual(first)
  })

  test('the name of a deployment cannot change', async () => {
    expect(await codeOf(openStore(databases, { deployment: 'another' }))).toBe('CONFIG_INVALID')
    expect(await codeOf(openStore(databases, { deployment: 'No Name' }))).toBe('CONFIG_INVALID')
  })

  test('a server configured under the name of another shard is refused', async () => {
    const [a, b, c] = databases.shards
    const swapped = [{ ...a!, primaryUrl: b!.primaryUrl }, { ...b!, primaryUrl: a!.primaryUrl }, c!]
    expect(await codeOf(openStore({ ...databases, shards: swapped }))).toBe('CONFIG_INVALID')
  })

  test('a shard that holds companies cannot be left out', async () => {
    expect(await codeOf(openStore({ ...databases, shards: databases.shards.slice(0, 2) }))).toBe('CONFIG_INVALID')
  })

  test('without the catalog nothing starts; once started, it is not needed to read and write', async () => {
    const own = await acquireShards({ count: 1 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using proxy = await startTcpProxy(own.catalogUrl)
    await using store = await openStore({ ...own, catalogUrl: proxy.url })
    await proxy.cut()
    const company = parseCompanyId('acme')
    await store.transact(company, (tx) => store.claim(tx, company))
    expect(await codeOf(store.refresh())).toBe('CATALOG_UNAVAILABLE')
    const starting = openStore({ ...own, catalogUrl: proxy.url }, { catalogPatienceMs: 0 })
    expect(await codeOf(starting)).toBe('CATALOG_UNAVAILABLE')
  })

  test('a start waits for a catalog that comes a little later', async () => {
    const own = await acquireShards({ count: 1 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using proxy = await startTcpProxy(own.catalogUrl)
    await proxy.cut()
    const refused = Promise.withResolvers<void>()
    const logger = { ...silentLogger, warn: () => refused.resolve() }
    const starting = openStore({ ...own, catalogUrl: proxy.url }, { logger, catalogPatienceMs: 60_000 })
    await refused.promise
    await proxy.resume()
    await using store = await starting
    expect(store.shards).toHaveLength(1)
  })

  test('a catalog that is silent holds up nothing but itself, and is heard again when it speaks', async () => {
    const own = await acquireShards({ count: 1 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using proxy = await startTcpProxy(own.catalogUrl)
    await using store = await openStore({ ...own, catalogUrl: proxy.url })
    const company = parseCompanyId('acme')
    proxy.freeze()
    const later = { epoch: store.epoch() + 1, shards: new Map() }
    expect(await store.readOne(company, (sql) => sql`select 1 as n`, { position: later })).toEqual([{ n: 1 }])
    expect(['DEADLINE_EXCEEDED', 'CATALOG_UNAVAILABLE']).toContain(await codeOf(store.refresh()))
    await proxy.resume()
    await until(async () => (await codeOf(store.refresh())) === 'no error')
  })

  test('one shard is enough', async () => {
    const own = await acquireShards({ count: 1 })
    onTestFinished(() => own[Symbol.asyncDispose]())
    await using store = await openStore(own)
    const results = await store.read(['a', 'b', 'c'].map(parseCompanyId), async (_sql, ids) => ids.length)
    expect(results).toMatchObject([{ ok: true, value: 3 }])
  })
})
