import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startRedis } from '../../app/embedded/redis.ts'
import { silentLogger } from '../../core/log.ts'
import { startTestPostgres } from './test-cluster.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A socket that answers with the test cluster, started by the first who asks. */
    postgresSocket: string
    redisUrl: string | null
  }
}

const prefix = 'ledgerway-test-'

/**
 * The servers of one run, in a temporary directory of its own, so that runs of several worktrees meet nowhere. Postgres
 * starts when a test file first asks, since many runs never do; the guards end both however this process dies.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  sweepDeadRuns()
  const directory = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  await using started = new AsyncDisposableStack()
  started.defer(() => rmSync(directory, { recursive: true, force: true }))

  const redis = await startRedis({ dataDir: directory, settings: { appendonly: 'no' }, logger: silentLogger })
  started.use(redis)
  if (redis.kind === 'solo') console.log(`${redis.reason}: suites on Redis are left to a machine that has it`)

  let cluster: ReturnType<typeof startTestPostgres> | undefined
  const socket = join(directory, 's')
  const broker = createServer((_request, response) => {
    cluster ??= startTestPostgres(directory)
    cluster.then(
      ({ info }) => response.end(JSON.stringify(info)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  broker.listen(socket)
  await once(broker, 'listening')
  started.defer(async () => {
    broker.close()
    broker.closeAllConnections()
    const running = await cluster?.catch(() => undefined)
    await running?.[Symbol.asyncDispose]()
  })

  project.provide('postgresSocket', socket)
  project.provide('redisUrl', redis.kind === 'redis' ? redis.url : null)
  const running = started.move()
  return () => running.disposeAsync()
}

/** A killed run's servers are gone, its files are not. What cannot be removed, as of another user, is left. */
function sweepDeadRuns(): void {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(prefix))) {
    const pid = Number.parseInt(name.slice(prefix.length), 10)
    if (isAlive(pid)) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {}
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
