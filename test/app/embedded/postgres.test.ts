import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdirSync,
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
import { expect, test } from 'vitest'
import { serverAccount } from '../../../app/embedded/account.ts'
import { findPostgresBinaries } from '../../../app/embedded/binaries.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../app/embedded/postgres.ts'
import { silentLogger } from '../../../core/log.ts'
import { postmasterPid, privateFolder, rememberingLogger, until, withSql } from './support.ts'

const start = (dataDir: string, logger = silentLogger): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir, shardCount: 1, logger })
const startAlone = (dataDir: string): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir, shardCount: 1, replica: false, logger: silentLogger })

const primaryOf = (postgres: EmbeddedPostgres): string => postgres.shards[0]?.primaryUrl ?? ''
const replicaOf = (postgres: EmbeddedPostgres): string => postgres.shards[0]?.replicaUrls[0] ?? ''

const writeNote = (url: string, note: string): Promise<unknown> =>
  withSql(url, async (sql) => {
    await sql`create table if not exists notes (note text)`
    await sql`insert into notes values (${note})`
  })
const readNotes = (url: string): Promise<string[]> =>
  withSql(url, async (sql) => (await sql<{ note: string }[]>`select note from notes order by note`).map((r) => r.note))

test('a restart finds the data again, on the same ports, and the replica follows before and after', async () => {
  using folder = privateFolder()
  let urls: unknown
  {
    await using postgres = await start(folder.dataDir)
    urls = postgres.shards
    await writeNote(primaryOf(postgres), 'first')
    await until('the first note on the replica', async () => (await readNotes(replicaOf(postgres))).length === 1)
  }
  await using postgres = await start(folder.dataDir)
  expect(postgres.shards).toEqual(urls)
  expect(await readNotes(primaryOf(postgres))).toEqual(['first'])
  await writeNote(primaryOf(postgres), 'second')
  await until('the second note on the replica', async () => (await readNotes(replicaOf(postgres))).length === 2)
  await expect(writeNote(replicaOf(postgres), 'third')).rejects.toThrow('read-only')
})

test('a replica that lost its place in the log is made anew', async () => {
  using folder = privateFolder()
  {
    await using postgres = await start(folder.dataDir)
    await writeNote(primaryOf(postgres), 'first')
  }
  rmSync(join(folder.dataDir, 'postgres', 'shard-1', 'pg_replslot', 'shard_1_replica'), { recursive: true })
  await using postgres = await start(folder.dataDir)
  const notes = await until('the replica to answer', () => readNotes(replicaOf(postgres)))
  expect(notes).toEqual(['first'])
})

test('a promoted replica is kept as it is, and runs as the primary it has become', async () => {
  using folder = privateFolder()
  {
    await using postgres = await start(folder.dataDir)
    await writeNote(primaryOf(postgres), 'before')
    await until('the note on the replica', async () => (await readNotes(replicaOf(postgres))).length === 1)
    await withSql(replicaOf(postgres), (sql) => sql`select pg_promote()`)
    await writeNote(replicaOf(postgres), 'after')
  }
  await using postgres = await start(folder.dataDir)
  expect(await readNotes(replicaOf(postgres))).toEqual(['after', 'before'])
})

test('passwords and data are readable for nobody else, and the product is no superuser', async () => {
  using folder = privateFolder()
  await using postgres = await startAlone(folder.dataDir)
  const mode = (...path: string[]): number => statSync(join(folder.dataDir, 'postgres', ...path)).mode & 0o777
  expect(mode('passwords.json')).toBe(0o600)
  expect(mode('shard-1')).toBe(0o700)
  expect(mode('shard-1', 'postgresql.conf')).toBe(0o600)
  const [role] = await withSql(
    primaryOf(postgres),
    (sql) => sql<{ superuser: string; encoding: string }[]>`
      select current_setting('is_superuser') as superuser, current_setting('server_encoding') as encoding
    `,
  )
  expect(role).toEqual({ superuser: 'off', encoding: 'UTF8' })
})

test('two copies run side by side, each on its own data and with its own passwords', async () => {
  using one = privateFolder()
  using two = privateFolder()
  const [first, second] = await Promise.all([startAlone(one.dataDir), startAlone(two.dataDir)])
  try {
    await writeNote(primaryOf(first), 'one')
    await writeNote(primaryOf(second), 'two')
    expect(await readNotes(primaryOf(first))).toEqual(['one'])
    expect(await readNotes(primaryOf(second))).toEqual(['two'])
    const foreign = new URL(primaryOf(second))
    foreign.password = new URL(primaryOf(first)).password
    await expect(readNotes(foreign.href)).rejects.toThrow('password authentication failed')
  } finally {
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()])
  }
})

test('a Postgres that is killed comes back on the same port with what it had committed', async () => {
  using folder = privateFolder()
  const logger = rememberingLogger()
  await using postgres = await start(folder.dataDir, logger)
  await writeNote(primaryOf(postgres), 'committed')
  process.kill(postmasterPid(folder.dataDir, 'shard-1'), 'SIGKILL')
  await until('its end', () => !postgres.servers.every((server) => server.running()))
  expect(await until('an answer', () => readNotes(primaryOf(postgres)))).toEqual(['committed'])
  await until('the line that says so', () => logger.messages.includes('shard-1 runs again'))
  await writeNote(primaryOf(postgres), 'later')
  await until('the replica to follow again', async () => (await readNotes(replicaOf(postgres))).length === 2)
})

test('a pid file whose number is now another process costs that process nothing', async () => {
  using folder = privateFolder()
  await (await startAlone(folder.dataDir))[Symbol.asyncDispose]()
  const bystander = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    writeFileSync(join(folder.dataDir, 'postgres', 'shard-1', 'postmaster.pid'), `${bystander.pid}\n/elsewhere\n`)
    await using postgres = await startAlone(folder.dataDir)
    await writeNote(primaryOf(postgres), 'started')
    expect(bystander.exitCode).toBeNull()
    expect(bystander.signalCode).toBeNull()
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
    startEmbeddedPostgres({
      dataDir: folder.dataDir,
      shardCount: 1,
      replica: false,
      logger: silentLogger,
      ...options,
    }).then(
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
  const cluster = join(folder.dataDir, 'postgres', 'shard-1')
  const version = join(cluster, 'PG_VERSION')
  const written = readFileSync(version, 'utf8')
  writeFileSync(version, '15\n')
  expect(await refused({})).toMatchObject({ message: expect.stringContaining('is of Postgres 15') })
  writeFileSync(version, written)
  mkdirSync(`${cluster}-replica`)
  renameSync(cluster, `${cluster}-away`)
  expect(await refused({})).toMatchObject({ message: expect.stringContaining('is gone and its replica') })
})
