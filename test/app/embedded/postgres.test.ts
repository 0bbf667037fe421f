import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serverAccount } from '../../../app/embedded/account.ts'
import { findPostgresBinaries } from '../../../app/embedded/binaries.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../app/embedded/postgres.ts'
import { silentLogger } from '../../../core/log.ts'
import { postmasterPid, privateFolder, rememberingLogger, until, withSql } from './support.ts'

const start = (dataDir: string, logger = silentLogger): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir, shardCount: 1, logger })

/** Made once, since most of a cold start is the making of files; every test leaves it stopped and as good as before. */
const shared = privateFolder()
beforeAll(async () => (await start(shared.dataDir))[Symbol.asyncDispose]())
afterAll(() => shared[Symbol.dispose]())

const primaryOf = (postgres: EmbeddedPostgres): string => postgres.shards[0]?.primaryUrl ?? ''
const replicaOf = (postgres: EmbeddedPostgres): string => postgres.shards[0]?.replicaUrls[0] ?? ''

/** A table for each test. */
const writeNote = (url: string, table: string, note: string): Promise<unknown> =>
  withSql(url, async (sql) => {
    await sql`create table if not exists ${sql(table)} (note text)`
    await sql`insert into ${sql(table)} values (${note})`
  })
const readNotes = (url: string, table: string): Promise<string[]> =>
  withSql(url, async (sql) =>
    (await sql<{ note: string }[]>`select note from ${sql(table)} order by note`).map((row) => row.note),
  )

test('a restart finds the data again, on the same ports, and the replica follows before and after', async () => {
  let urls: unknown
  {
    await using postgres = await start(shared.dataDir)
    urls = postgres.shards
    await writeNote(primaryOf(postgres), 'restart', 'first')
    await until('the first note on the replica', () => readNotes(replicaOf(postgres), 'restart'))
  }
  await using postgres = await start(shared.dataDir)
  expect(postgres.shards).toEqual(urls)
  expect(await readNotes(primaryOf(postgres), 'restart')).toEqual(['first'])
  await writeNote(primaryOf(postgres), 'restart', 'second')
  await until('the second note', async () => (await readNotes(replicaOf(postgres), 'restart')).length === 2)
  await expect(writeNote(replicaOf(postgres), 'restart', 'third')).rejects.toThrow('read-only')
})

test('a replica that lost its place in the log is made anew', async () => {
  {
    await using postgres = await start(shared.dataDir)
    await writeNote(primaryOf(postgres), 'anew', 'first')
  }
  rmSync(join(shared.dataDir, 'postgres', 'shard-1', 'pg_replslot', 'shard_1_replica'), { recursive: true })
  const logger = rememberingLogger()
  await using postgres = await start(shared.dataDir, logger)
  expect(await until('the replica to answer', () => readNotes(replicaOf(postgres), 'anew'))).toEqual(['first'])
  expect(logger.messages).toContain('the replica has lost its place in the log; making it anew')
})

test('a promoted replica is kept as it is, and runs as the primary it has become', async () => {
  using folder = privateFolder()
  {
    await using postgres = await start(folder.dataDir)
    await writeNote(primaryOf(postgres), 'notes', 'before')
    await until('the note on the replica', async () => (await readNotes(replicaOf(postgres), 'notes')).length === 1)
    await withSql(replicaOf(postgres), (sql) => sql`select pg_promote()`)
    await writeNote(replicaOf(postgres), 'notes', 'after')
  }
  await using postgres = await start(folder.dataDir)
  expect(await readNotes(replicaOf(postgres), 'notes')).toEqual(['after', 'before'])
})

test('two copies run side by side, each on its own data and with its own passwords', async () => {
  using folder = privateFolder()
  const alone = { dataDir: folder.dataDir, shardCount: 1, replica: false, logger: silentLogger }
  await using first = await start(shared.dataDir)
  await using second = await startEmbeddedPostgres(alone)
  await writeNote(primaryOf(first), 'side', 'one')
  await writeNote(primaryOf(second), 'side', 'two')
  expect(await readNotes(primaryOf(first), 'side')).toEqual(['one'])
  expect(await readNotes(primaryOf(second), 'side')).toEqual(['two'])
  const foreign = new URL(primaryOf(second))
  foreign.password = new URL(primaryOf(first)).password
  await expect(readNotes(foreign.href, 'side')).rejects.toThrow('password authentication failed')
})

test('passwords and data are readable for nobody else, and the product is no superuser', async () => {
  await using postgres = await start(shared.dataDir)
  const mode = (...path: string[]): number => statSync(join(shared.dataDir, 'postgres', ...path)).mode & 0o777
  expect(mode('passwords.json')).toBe(0o600)
  expect(mode('shard-1')).toBe(0o700)
  expect(mode('shard-1-replica', 'postgresql.conf')).toBe(0o600)
  const [role] = await withSql(
    primaryOf(postgres),
    (sql) => sql<{ superuser: string; encoding: string }[]>`
      select current_setting('is_superuser') as superuser, current_setting('server_encoding') as encoding
    `,
  )
  expect(role).toEqual({ superuser: 'off', encoding: 'UTF8' })
})

test('a Postgres that is killed comes back on the same port with what it had committed', async () => {
  const logger = rememberingLogger()
  await using postgres = await start(shared.dataDir, logger)
  await writeNote(primaryOf(postgres), 'killed', 'committed')
  process.kill(postmasterPid(shared.dataDir, 'shard-1'), 'SIGKILL')
  await until('the line that says so', () => logger.messages.includes('shard-1 runs again'))
  expect(await until('an answer', () => readNotes(primaryOf(postgres), 'killed'))).toEqual(['committed'])
  await writeNote(primaryOf(postgres), 'killed', 'later')
  await until('the replica to follow', async () => (await readNotes(replicaOf(postgres), 'killed')).length === 2)
})

test('a pid file whose number is now another process costs that process nothing', async () => {
  const bystander = spawn('sleep', ['600'], { stdio: 'ignore' })
  try {
    writeFileSync(join(shared.dataDir, 'postgres', 'shard-1', 'postmaster.pid'), `${bystander.pid}\n/elsewhere\n`)
    await using postgres = await start(shared.dataDir)
    await writeNote(primaryOf(postgres), 'bystander', 'started')
    expect(bystander).toMatchObject({ exitCode: null, signalCode: null })
  } finally {
    const exited = once(bystander, 'exit')
    bystander.kill()
    await exited
  }
})

test('binaries that the account cannot reach are copied once to a place that it can', () => {
  using folder = privateFolder()
  const account = serverAccount()
  const installed = join(findPostgresBinaries(account).postgres, '..', '..')
  const hidden = join(folder.path, 'native')
  cpSync(installed, hidden, { recursive: true, verbatimSymlinks: true })
  const cache = mkdtempSync(join(tmpdir(), 'ledgerway-cache-'))
  chmodSync(cache, 0o755)
  try {
    const found = findPostgresBinaries(account, { native: hidden, caches: [join(folder.path, 'cache'), cache] })
    // An ordinary user runs them where they are.
    expect(found.postgres.startsWith(account === undefined ? hidden : cache)).toBe(true)
    expect(execFileSync(found.postgres, ['--version'], { ...account, cwd: '/' }).toString()).toContain('PostgreSQL')
    const again = findPostgresBinaries(account, { native: hidden, caches: [cache] })
    expect(again).toEqual(found)
    expect(readdirSync(cache)).toHaveLength(account === undefined ? 0 : 1)
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
})

test('what keeps Postgres from starting is said in words', async () => {
  using folder = privateFolder()
  const refused = (options: Partial<Parameters<typeof startEmbeddedPostgres>[0]>): Promise<unknown> =>
    startEmbeddedPostgres({ dataDir: shared.dataDir, shardCount: 1, logger: silentLogger, ...options }).then(
      async (postgres) => postgres[Symbol.asyncDispose](),
      (error: unknown) => error,
    )
  const file = join(folder.path, 'file')
  writeFileSync(file, '')
  expect(await refused({ dataDir: join(file, 'data') })).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('cannot be used'),
  })
  expect(await refused({ settings: { shared_buffers: 'much' } })).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/shard-1 did not start[^]*shared_buffers/),
  })
  const cluster = join(shared.dataDir, 'postgres', 'shard-1')
  const version = join(cluster, 'PG_VERSION')
  const written = readFileSync(version, 'utf8')
  writeFileSync(version, '15\n')
  expect(await refused({})).toMatchObject({ message: expect.stringContaining('is of Postgres 15') })
  writeFileSync(version, written)
  renameSync(cluster, `${cluster}-away`)
  expect(await refused({})).toMatchObject({ message: expect.stringContaining('is gone and its replica') })
  renameSync(`${cluster}-away`, cluster)
})
