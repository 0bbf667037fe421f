import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../../app/embedded/postgres.ts'
import { processStart } from '../../../app/embedded/process-identity.ts'
import { claimDataDirectory } from '../../../app/embedded/run-file.ts'
import {
  killHard,
  postmasterPid,
  privateFolder,
  rememberingLogger,
  type ServersProcess,
  startServersProcess,
  until,
  withSql,
} from './support.ts'

/** Whichever test comes first makes the clusters; both leave them stopped. */
const folder = privateFolder()
afterAll(() => folder[Symbol.dispose]())

/** Every server that runs on the directory: the primary, the replica, and Redis where there is one. */
function serverPids(dataDir: string, { redisUrl }: ServersProcess): number[] {
  const redis = redisUrl === null ? [] : [Number(readFileSync(join(dataDir, 'redis', 'redis.pid'), 'utf8'))]
  return [postmasterPid(dataDir, 'shard-1'), postmasterPid(dataDir, 'shard-1-replica'), ...redis]
}

const running = (pids: readonly number[]): number[] => pids.filter((pid) => processStart(pid) !== undefined)

test('kill -9 of node leaves no server, and the next start has what was committed', async () => {
  await using servers = await startServersProcess(folder.dataDir)
  await withSql(servers.primaryUrl, (sql) => sql`create table notes as select 'kept' as note`)
  const pids = serverPids(folder.dataDir, servers)
  expect(running(pids)).toEqual(pids)
  await killHard(servers)
  await until('every server to end', () => running(pids).length === 0)

  await using next = await startServersProcess(folder.dataDir)
  expect(await withSql(next.primaryUrl, (sql) => sql`select note from notes`)).toEqual([{ note: 'kept' }])
})

test('a server whose guard was killed too is ended by the next start', async () => {
  await using servers = await startServersProcess(folder.dataDir)
  const orphan = postmasterPid(folder.dataDir, 'shard-1')
  const guards = guardsOf(orphan)
  for (const guard of guards) process.kill(guard, 'SIGKILL')
  await killHard(servers)
  await until('the guards to end', () => running(guards).length === 0)
  expect(running([orphan])).toEqual([orphan])

  const logger = rememberingLogger()
  await using claim = await claimDataDirectory(folder.dataDir)
  await using next = await startEmbeddedPostgres({ dataDir: folder.dataDir, shardCount: 1, logger })
  expect(claim).toBeDefined()
  expect(running([orphan])).toEqual([])
  expect(logger.messages).toContain('ending a server that an earlier run left behind')
  expect(await withSql(next.shards[0]?.primaryUrl ?? '', (sql) => sql`select 1 as answer`)).toEqual([{ answer: 1 }])
})

/** The shell that waits for the server, and the one that listens for our end: the first must go last. */
function guardsOf(server: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=']).toString().trim().split('\n')
  const processes = lines.map((line) => line.trim().split(/\s+/).map(Number))
  const guard = processes.find(([pid]) => pid === server)?.[1] ?? 0
  const listeners = processes.filter(([pid, parent]) => parent === guard && pid !== server)
  return [...listeners.map(([pid]) => pid ?? 0), guard]
}
