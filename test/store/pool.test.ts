import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Sql } from 'postgres'
import { systemClock } from '../../core/clock.ts'
import { isAppError } from '../../core/errors.ts'
import { silentLogger } from '../../core/log.ts'
import { createGuard } from '../../store/pool/guard.ts'
import type { PoolOptions } from '../../store/pool/options.ts'
import { createPool, type Pool } from '../../store/pool/pool.ts'
import { inTransaction, pooledSql } from '../../store/pool/sql.ts'
import { acquireShards } from '../support/postgres.ts'
import { patientPool } from '../support/patient-pool.ts'
import { startTcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

let databases: Awaited<ReturnType<typeof acquireShards>>
beforeAll(async () => {
  databases = await acquireShards({ count: 1 })
})
afterAll(() => databases[Symbol.asyncDispose]())

const options: PoolOptions = { ...patientPool('memory-constrained'), max: 3 }

function openPool(more: Partial<PoolOptions> = {}, url = databases.shards[0]!.primaryUrl): Pool {
  const pool = createPool({ url, server: 'shard-1', options: { ...options, ...more }, logger: silentLogger })
  onTestFinished(() => pool[Symbol.asyncDispose]())
  return pool
}

function use(pool: Pool, scope: { signal?: AbortSignal; deadlineMs?: number } = {}) {
  const guard = createGuard(scope, systemClock)
  onTestFinished(() => guard[Symbol.dispose]())
  const counter = { statements: 0 }
  const deps = { pool, guard, onStatement: () => void counter.statements++ }
  return { sql: pooledSql(deps), deps, counter }
}

const codeOf = async (promise: PromiseLike<unknown>): Promise<string> => {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const backendsSleeping = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ count: number }[]>`
    select count(*) from pg_stat_activity
    where datname = current_database() and state = 'active' and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()`
  return row!.count
}

test('values keep what they are: bigint a number, bytea a Buffer, json its text', async () => {
  const { sql } = use(openPool())
  const [row] = await sql`
    select 9007199254740991::bigint as big, ${Buffer.from([1, 2])}::bytea as bytes, '{"b":1.0, "a":1}'::json as json,
      ${'{"a":1}'}::jsonb as text_in, ${sql.json({ a: 1 })}::jsonb as value_in, ${[1, 2]}::bigint[] as many,
      ${sql.array([1, 2])} as ints, ${sql.array(['a"\\'])} as strings, ${sql.array([Buffer.from('ab')])} as buffers,
      ${[
        [1, 2],
        [3, null],
      ]}::int[] as given, ${['x', null, 'NULL', '{"', '\\,', '']}::text[] as texts, '{{1,null},{2,3}}'::int[] as nested,
      '{}'::text[] as none, '[0:1]={a,b}'::text[] as bounds`
  expect(row).toEqual({
    big: 9007199254740991,
    bytes: Buffer.from([1, 2]),
    json: '{"b":1.0, "a":1}',
    text_in: '{"a": 1}',
    value_in: '{"a": 1}',
    many: [1, 2],
    ints: ['1', '2'],
    strings: ['a"\\'],
    buffers: [Buffer.from('ab')],
    given: [
      [1, 2],
      [3, null],
    ],
    texts: ['x', null, 'NULL', '{"', '\\,', ''],
    nested: [
      [1, null],
      [2, 3],
    ],
    none: [],
    bounds: ['a', 'b'],
  })
  await expect(sql`select 9007199254740993::bigint`.execute()).rejects.toThrow('beyond 2^53')
  expect(await sql`select 1 as next`).toEqual([{ next: 1 }])
})

describe('counting statements', () => {
  test('counts what is sent: not fragments, not what is never awaited', async () => {
    const { sql, counter } = use(openPool())
    await sql`select ${sql`1 + ${1}`} ${sql``}`
    void sql`select 1`
    await Promise.all([sql`select 1`, sql`select 2`, sql.unsafe('select 3')])
    for await (const _ of sql`select generate_series(1, 100)`.cursor(7)) expect(counter.statements).toBe(5)
    expect(counter.statements).toBe(5)
  })

  test('counts neither begin, commit, rollback nor savepoints', async () => {
    const { deps, counter, sql } = use(openPool())
    await inTransaction(deps, '', async (tx) => {
      await tx`select 1`
      await tx.savepoint((inner) => inner`select 2`)
    })
    await expect(inTransaction(deps, '', async (tx) => tx`select 1/0`)).rejects.toThrow('division')
    await sql.begin(async (tx) => [await tx`select 1`, await tx`select 2`])
    expect(counter.statements).toBe(5)
  })
})

describe('transactions', () => {
  test('a failed savepoint leaves the rest standing, any other failure undoes it all', async () => {
    const { deps, sql } = use(openPool())
    await sql`create table kept (n int)`
    await inTransaction(deps, '', async (tx) => {
      await tx`insert into kept values (1)`
      await tx.savepoint((inner) => inner`insert into kept values (1/0)`).catch(() => {})
    })
    const swallowing = inTransaction(deps, '', async (tx) => {
      await tx`insert into kept values (2)`
      await tx`select 1/0`.catch(() => {})
    })
    await expect(swallowing).rejects.toThrow('division')
    expect(await sql`select n from kept`).toEqual([{ n: 1 }])
  })

  test('a statement sent after its transaction is refused, not run by itself', async () => {
    const { deps } = use(openPool())
    let late: Sql | undefined
    await inTransaction(deps, '', async (tx) => void (late = tx as unknown as Sql))
    await expect(late!`select 1`.execute()).rejects.toThrow('transaction that is over')
  })

  test('what was queued behind a lost connection never runs on another one', async () => {
    const pool = openPool()
    const { deps, sql } = use(pool)
    await sql`create table never (n int)`
    const lost = inTransaction(deps, '', async (tx) => {
      await Promise.all([
        tx`select pg_terminate_backend(pg_backend_pid()), ${1}::int`,
        tx`insert into never values (${1})`,
        tx`insert into never values (${2})`,
      ])
    })
    expect(await codeOf(lost)).toBe('SHARD_UNAVAILABLE')
    expect(await sql`select n from never`).toEqual([])
    expect(pool.stats().inUse).toBe(0)
  })
})

describe('cancelling', () => {
  test('an aborted statement ends at once for its caller and on the server', async () => {
    const pool = openPool()
    const aborter = new AbortController()
    const { sql } = use(pool, { signal: aborter.signal })
    const { sql: watcher } = use(pool)
    const sleeping = codeOf(sql`select pg_sleep(60)`)
    await until(async () => (await backendsSleeping(watcher)) === 1)
    aborter.abort()
    expect(await sleeping).toBe('CANCELLED')
    await until(async () => (await backendsSleeping(watcher)) === 0)
    await until(() => pool.stats().inUse === 0)
    expect(await codeOf(sql`select 1`)).toBe('CANCELLED')
  })

  test('a deadline ends a transaction and rolls it back', async () => {
    const pool = openPool()
    const { deps } = use(pool, { deadlineMs: Date.now() + 150 })
    const { sql: watcher } = use(pool)
    await watcher`create table undone (n int)`
    const slow = inTransaction(deps, '', async (tx) => {
      await tx`insert into undone values (1)`
      await tx`select pg_sleep(60)`
    })
    expect(await codeOf(slow)).toBe('DEADLINE_EXCEEDED')
    await until(() => pool.stats().inUse === 0)
    expect(await watcher`select * from undone`).toEqual([])
    await until(async () => (await backendsSleeping(watcher)) === 0)
  })

  test('a statement that waits behind another on its connection is cut with it', async () => {
    const pool = openPool()
    const aborter = new AbortController()
    const { deps } = use(pool, { signal: aborter.signal })
    const { sql: watcher } = use(pool)
    const both = inTransaction(deps, '', (tx) => Promise.all([tx`select pg_sleep(60)`, tx`select ${1}::int`]))
    await until(async () => (await backendsSleeping(watcher)) === 1)
    aborter.abort()
    expect(await codeOf(both)).toBe('CANCELLED')
    await until(async () => (await backendsSleeping(watcher)) === 0)
    expect(await watcher`select 1 as fine`).toEqual([{ fine: 1 }])
  })
})

describe('limits', () => {
  test('no more connections than the maximum, and no more waiting callers', async () => {
    const pool = openPool({ max: 2, maxWaiting: 3 })
    const { sql } = use(pool)
    const warm = Promise.all([sql`select pg_sleep(0.5)`, sql`select pg_sleep(0.5)`])
    await until(() => pool.stats().open === 2)
    await warm
    const blocked = Array.from({ length: 5 }, () => codeOf(sql`select pg_sleep(1)`))
    await until(() => pool.stats().waiting === 3 || `${pool.stats().waiting} waiting`)
    expect(await codeOf(sql`select 1`)).toBe('OVERLOADED')
    expect(await Promise.all(blocked)).toEqual(Array(5).fill('no error'))
    expect(pool.stats()).toMatchObject({ open: 2, inUse: 0, waiting: 0, refused: 1 })
    expect(pool.stats().waitMs).toBeGreaterThan(100)
  })

  test('who waits too long is told so', async () => {
    const pool = openPool({ max: 1, waitTimeoutMs: 500 })
    const { sql } = use(pool)
    // Making the connection is waited for, too.
    await until(async () => (await codeOf(sql`select 1`)) === 'no error')
    const held = Promise.withResolvers<void>()
    const slow = codeOf(sql.begin(() => held.promise))
    await until(() => pool.stats().inUse === 1)
    expect(await codeOf(sql`select 1`)).toBe('OVERLOADED')
    held.resolve()
    expect(await slow).toBe('no error')
  })

  test('idle connections over the minimum are closed, the minimum is kept', async () => {
    const pool = openPool({ max: 3, min: 1, idleMs: 1_000 })
    const { sql } = use(pool)
    const busy = Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.5)`))
    await until(() => pool.stats().open === 3)
    await busy
    await until(() => pool.stats().open === 1)
    expect(pool.stats()).toMatchObject({ open: 1, inUse: 0 })
  })

  test('a connection past its lifetime is replaced', async () => {
    const pool = openPool({ max: 1, lifetimeMs: 50 })
    const { sql } = use(pool)
    const backend = async () => (await sql`select pg_backend_pid() as pid`)[0]!['pid'] as number
    const first = await backend()
    await until(async () => (await backend()) !== first)
    expect(pool.stats().open).toBe(1)
  })

  test("the server's own limits come back as codes", async () => {
    const { sql: hasty } = use(openPool({ statementTimeoutMs: 50 }))
    const { sql } = use(openPool({ lockTimeoutMs: 30 }))
    const { sql: other } = use(openPool())
    expect(await codeOf(hasty`select pg_sleep(600)`)).toBe('DEADLINE_EXCEEDED')
    await other`create table held (n int)`
    await other.begin(async (tx) => {
      await tx`lock table held`
      expect(await codeOf(sql`select * from held`)).toBe('OVERLOADED')
    })
    // What is the statement's own fault stays Postgres' error, for the caller to tell.
    expect(await codeOf(sql`select 1/0`)).toBe('22012')
  })
})

test('a disk without room is the shard’s failure and not a bug, and reads go on', async () => {
  const pool = openPool()
  const { sql } = use(pool)
  const full = `do $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`
  expect(await codeOf(sql.unsafe(full))).toBe('SHARD_UNAVAILABLE')
  expect(await codeOf(sql`select 1`)).toBe('no error')
  expect(pool.stats().up).toBe(true)
})

describe('a server that is down', () => {
  test('is found once; then every call fails at once, until it is back', async () => {
    await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
    const pool = openPool({}, proxy.url)
    const { sql } = use(pool)
    expect(await codeOf(sql`select 1`)).toBe('no error')
    await proxy.cut()
    expect(await codeOf(sql`select 1`)).toBe('SHARD_UNAVAILABLE')
    const codes = await Promise.all(Array.from({ length: 500 }, () => codeOf(sql`select 1`)))
    expect(new Set(codes)).toEqual(new Set(['SHARD_UNAVAILABLE']))
    expect(pool.stats()).toMatchObject({ up: false, open: 0, waiting: 0 })
    await proxy.resume()
    await until(async () => (await codeOf(sql`select 1`)) === 'no error')
    expect(pool.stats().up).toBe(true)
  })

  test('one that accepts and never answers delays only those who wait for the first attempt', async () => {
    await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
    proxy.freeze()
    const pool = openPool({ connectTimeoutMs: 1_500 }, proxy.url)
    const { sql } = use(pool)
    const first = await Promise.all(Array.from({ length: 20 }, () => codeOf(sql`select 1`)))
    expect(new Set(first)).toEqual(new Set(['SHARD_UNAVAILABLE']))
    // At once: nobody has waited since, and nothing has been given out.
    const { waitMs } = pool.stats()
    expect(await codeOf(sql`select 1`)).toBe('SHARD_UNAVAILABLE')
    expect(pool.stats()).toMatchObject({ waitMs, acquired: 0 })
    await proxy.resume()
    await until(async () => (await codeOf(sql`select 1`)) === 'no error')
  })

  test('one that accepts connections and drops them is down, not busy', async () => {
    await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
    const pool = openPool({}, proxy.url)
    const { sql } = use(pool)
    expect(await codeOf(sql`select 1`)).toBe('no error')
    proxy.drop()
    await until(async () => (await codeOf(sql`select 1`)) === 'SHARD_UNAVAILABLE' && !pool.stats().up)
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(sql`select 1`)))
    expect(new Set(codes)).toEqual(new Set(['SHARD_UNAVAILABLE']))
    await proxy.resume()
    await until(async () => (await codeOf(sql`select 1`)) === 'no error')
  })

  test('a connection that goes silent is cut when its deadline has passed', async () => {
    await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
    const pool = openPool({}, proxy.url)
    await use(pool).sql`select 1`
    proxy.freeze()
    expect(await codeOf(use(pool, { deadlineMs: Date.now() + 100 }).sql`select 1`)).toBe('DEADLINE_EXCEEDED')
    await until(() => pool.stats().open === 0)
    await proxy.resume()
    await until(async () => (await codeOf(use(pool).sql`select 1`)) === 'no error')
  })

  test('a connection that goes silent is cut without any deadline, once the server should have spoken', async () => {
    await using proxy = await startTcpProxy(databases.shards[0]!.primaryUrl)
    const pool = openPool({ statementTimeoutMs: 1_000 }, proxy.url)
    await use(pool).sql`select 1`
    proxy.freeze()
    expect(await codeOf(use(pool).sql`select 1`)).toBe('SHARD_UNAVAILABLE')
    expect(pool.stats().open).toBe(0)
  })
})

test('errors of a lost server say nothing of where it is', async () => {
  const { sql } = use(openPool({}, 'postgres://someone:secret@127.0.0.1:1/private'))
  const error: unknown = await sql`select 1`.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!isAppError(error)) throw new Error('expected an AppError')
  expect(JSON.stringify([error.message, error.details])).not.toMatch(/secret|127|private|select/)
})
