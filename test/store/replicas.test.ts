import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../app/embedded/postgres.ts'
import { isAppError } from '../../core/errors.ts'
import { parseCompanyId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createShardAdmin } from '../../store/admin.ts'
import { createMover } from '../../store/move/mover.ts'
import { serverKey } from '../../store/server-key.ts'
import { createRebalancer } from '../../store/move/rebalance.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import type { ServerStats, Store } from '../../store/store.ts'
import { openStore } from './open-store.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

let dataDir: string
let servers: EmbeddedPostgres
let replicaProxy: TcpProxy
/** Another way to the same server: a second replica, to whoever chooses between them. */
let secondProxy: TcpProxy
let primaryProxy: TcpProxy
let config: ShardConfig
let shard: ShardId
let store: Store
/** To hold the replica back. */
let replicaAdmin: Sql
const company = parseCompanyId('acme')

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-replicas-'))
  servers = await startEmbeddedPostgres({
    dataDir,
    shardCount: 1,
    maxConnections: 40,
    settings: { fsync: 'off' },
    logger: silentLogger,
  })
  const [own] = servers.shards
  replicaProxy = await startTcpProxy(own!.replicaUrls[0]!)
  secondProxy = await startTcpProxy(own!.replicaUrls[0]!)
  primaryProxy = await startTcpProxy(own!.primaryUrl)
  config = { name: own!.name, primaryUrl: primaryProxy.url, replicaUrls: [replicaProxy.url, secondProxy.url] }
  shard = own!.name
  replicaAdmin = asSuperuser(own!.replicaUrls[0]!)
  const primaryAdmin = asSuperuser(own!.primaryUrl)
  await primaryAdmin`grant execute on function pg_promote to ledgerway`
  await primaryAdmin.end()
  store = await openStore(
    { shards: [config], catalogUrl: servers.catalogUrl },
    { replicas: { watchMs: 25, maxLagMs: 300_000 }, directoryPollMs: 50 },
  )
  await store.onPrimary(shard, (sql) => sql`create table notes (company_id text, n int, primary key (company_id, n))`)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await replicaAdmin.end()
  await replicaProxy[Symbol.asyncDispose]()
  await secondProxy[Symbol.asyncDispose]()
  await primaryProxy[Symbol.asyncDispose]()
  await servers[Symbol.asyncDispose]()
  rmSync(dataDir, { recursive: true, force: true })
})

function asSuperuser(of: string): Sql {
  const { superuser } = JSON.parse(readFileSync(join(dataDir, 'postgres', 'passwords.json'), 'utf8')) as {
    superuser: string
  }
  const url = new URL(of)
  url.username = 'postgres'
  url.password = superuser
  return postgres(url.href, { max: 1, fetch_types: false, onnotice() {} })
}

const statsOf = (server: string, of = store): ServerStats =>
  of.poolStats().find((s) => s.shard === shard && s.server === server)!

/** Whether a read was served by a replica, and what it saw. */
const read = (scope = {}) =>
  store.readOne(
    company,
    async (sql) => {
      const [row] = await sql<{ replica: boolean; notes: number }[]>`
        select pg_is_in_recovery() as replica, (select count(*) from notes where company_id = ${company}) as notes`
      return row!
    },
    scope,
  )

let numbers = 0
let written = 0
const write = async () => {
  const n = numbers++
  const { position } = await store.transact(company, (tx) => tx`insert into notes values (${company}, ${n})`)
  written += 1
  return position
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  )

test('reads go to a replica that is healthy', async () => {
  const position = await write()
  await until(async () => (await read({ position })).replica)
  expect(await read({ position })).toEqual({ replica: true, notes: written })
})

test('a read is never older than what its caller wrote, though the replica is held back', async () => {
  await until(async () => (await read()).replica)
  await replicaAdmin`select pg_wal_replay_pause()`
  try {
    const position = await write()
    for (let i = 0; i < 20; i++) expect(await read({ position })).toEqual({ replica: false, notes: written })
    // Without the token any state will do, while the lag is within its limit.
    expect((await read()).notes).toBeGreaterThanOrEqual(written - 1)
    await replicaAdmin`select pg_wal_replay_resume()`
    await until(async () => (await read({ position })).replica)
    expect(await read({ position })).toEqual({ replica: true, notes: written })
  } finally {
    await replicaAdmin`select pg_wal_replay_resume()`
  }
})

test('every read with its own position sees its own write, many at once', async () => {
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const n = 10_000 + i
      const { position } = await store.transact(company, (tx) => tx`insert into notes values (${company}, ${n})`)
      written += 1
      const own = await store.readOne(
        company,
        (sql) => sql`select from notes where company_id = ${company} and n = ${n}`,
        { position },
      )
      expect(own).toHaveLength(1)
    }),
  )
})

test('a replica too far behind leaves the rotation and comes back', async () => {
  await using impatient = await openStore(
    { shards: [config], catalogUrl: servers.catalogUrl },
    { replicas: { watchMs: 25, maxLagMs: 400 } },
  )
  const onReplica = () =>
    impatient.readOne(company, async (sql) => {
      const [row] = await sql<{ replica: boolean }[]>`select pg_is_in_recovery() as replica`
      return row?.replica
    })
  await expect.poll(onReplica).toBe(true)
  await replicaAdmin`select pg_wal_replay_pause()`
  try {
    await write()
    await until(() => statsOf('replica-1', impatient).lagMs > 400)
    await expect.poll(onReplica).toBe(false)
  } finally {
    await replicaAdmin`select pg_wal_replay_resume()`
  }
  await expect.poll(onReplica).toBe(true)
})

test('reads are spread over the replicas by what each has in flight', async () => {
  await until(() => ['replica-1', 'replica-2'].every((name) => Number.isFinite(statsOf(name).lagMs)))
  const before = ['replica-1', 'replica-2'].map((name) => statsOf(name).acquired)
  await Promise.all(Array.from({ length: 40 }, () => store.readOne(company, (sql) => sql`select pg_sleep(0.02)`)))
  const served = ['replica-1', 'replica-2'].map((name, i) => statsOf(name).acquired - before[i]!)
  for (const count of served) expect(count).toBeGreaterThan(10)
})

test('a replica that is lost leaves the rotation without an error, then the next, and they come back', async () => {
  await until(async () => (await read()).replica)
  await replicaProxy.cut()
  for (let i = 0; i < 10; i++) expect((await read()).notes).toBe(written)
  await until(() => !statsOf('replica-1').up)
  expect((await read()).replica).toBe(true)
  await secondProxy.cut()
  for (let i = 0; i < 10; i++) expect((await read()).replica).toBe(false)
  await replicaProxy.resume()
  await secondProxy.resume()
  await until(async () => (await read()).replica)
})

test('a promoted replica takes the writes, nothing is lost, and the old primary takes none', async () => {
  const mover = createMover({ store, logger: silentLogger })
  const admin = createShardAdmin({
    store,
    mover,
    rebalancer: createRebalancer({ store, mover, logger: silentLogger }),
    shards: [config],
    logger: silentLogger,
  })
  await using other = await openStore(
    { shards: [config], catalogUrl: servers.catalogUrl },
    { directoryPollMs: 50, replicas: { watchMs: 25, maxLagMs: 300_000 } },
  )
  const promoteOwn = (options = {}) => admin.promote(shard, { server: serverKey(replicaProxy.url), ...options })

  expect(await codeOf(admin.promote(shard, {}))).toBe('BAD_USER_INPUT')
  // While the primary cannot be reached, nobody knows what the replica lacks.
  await primaryProxy.cut()
  expect(await codeOf(promoteOwn())).toBe('INVALID_TRANSITION')
  await primaryProxy.resume()
  await until(async () => (await codeOf(write())) === 'no error')

  const before = written
  expect(await promoteOwn()).toEqual({ lost: 'nothing' })
  await until(async () => (await codeOf(write())) === 'no error')
  expect(await codeOf(other.transact(company, (tx) => tx`insert into notes values (${company}, -1)`))).toBe('no error')
  const { notes, replica } = await read({ position: await write() })
  expect({ notes, replica }).toEqual({ notes: before + 3, replica: false })

  // Straight to the old primary, as a process would that has heard of nothing.
  await using late = await startTcpProxy(servers.shards[0]!.primaryUrl)
  const old = postgres(late.url, { max: 1, fetch_types: false, onnotice() {} })
  await expect(old`insert into notes values ('late', 1)`.execute()).rejects.toMatchObject({ code: '25006' })
  await old.end()
  const [info] = await admin.list()
  expect(info).toMatchObject({ name: shard, generation: 2 })
})

test('an old primary is listed as one, by a process that has just begun too, and not as a replica that is up', async () => {
  await using fresh = await openStore({ shards: [config], catalogUrl: servers.catalogUrl })
  const mover = createMover({ store: fresh, logger: silentLogger })
  const rebalancer = createRebalancer({ store: fresh, mover, logger: silentLogger })
  const admin = createShardAdmin({ store: fresh, mover, rebalancer, shards: [config], logger: silentLogger })
  const [info] = await admin.list()
  const [old, current] = info?.servers ?? []
  expect(old).toMatchObject({ key: serverKey(primaryProxy.url), formerPrimary: true, inRotation: false })
  expect(current).toMatchObject({ key: serverKey(replicaProxy.url), server: 'primary', formerPrimary: false })
})

test('a former primary is not promoted over the one that took its place, whatever loss is accepted', async () => {
  const mover = createMover({ store, logger: silentLogger })
  const rebalancer = createRebalancer({ store, mover, logger: silentLogger })
  const admin = createShardAdmin({ store, mover, rebalancer, shards: [config], logger: silentLogger })
  const promoteFormer = (acceptLoss: boolean) =>
    admin.promote(shard, { server: serverKey(primaryProxy.url), acceptLoss })
  expect(await codeOf(promoteFormer(false))).toBe('INVALID_TRANSITION')
  expect(await codeOf(promoteFormer(true))).toBe('INVALID_TRANSITION')
  expect((await admin.list())[0]).toMatchObject({ generation: 2, primaryKey: serverKey(replicaProxy.url) })
  expect(await codeOf(write())).toBe('no error')
})

test('an old primary that has lost its fence is fenced again by whoever sees it', async () => {
  const old = postgres(servers.shards[0]!.primaryUrl, { max: 1, fetch_types: false, onnotice() {} })
  await old`set default_transaction_read_only = off`
  const [row] = await old<{ name: string }[]>`select current_database() as name`
  await old`alter database ${old(row!.name)} reset default_transaction_read_only`
  await old.end()
  // A process that starts after the promotion, knowing it only from the catalog.
  await using fresh = await openStore(
    { shards: [config], catalogUrl: servers.catalogUrl },
    { replicas: { watchMs: 25, maxLagMs: 400 } },
  )
  expect(await codeOf(fresh.transact(company, (tx) => tx`insert into notes values (${company}, -2)`))).toBe('no error')
  // Asked by a role whose sessions a fence does not end: a client that is cut off while it connects may wait for ever.
  const watcher = asSuperuser(servers.shards[0]!.primaryUrl)
  await until(async () => {
    const settings = await watcher`
      select 1 from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
      where d.datname = ${row!.name} and 'default_transaction_read_only=on' = any(s.setconfig)`
    return settings.length > 0
  })
  await watcher.end()
})
