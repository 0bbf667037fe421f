import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../app/embedded/postgres.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createShardAdmin } from '../../store/admin.ts'
import { createMover } from '../../store/move/mover.ts'
import { createRebalancer } from '../../store/move/rebalance.ts'
import { serverKey } from '../../store/server-key.ts'
import { openStore } from './open-store.ts'
import { until } from './until.ts'

test('a server that was promoted by other means is taken with acceptance of loss only', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-promoted-'))
  try {
    await using servers = await startEmbeddedPostgres({
      dataDir,
      shardCount: 1,
      settings: { fsync: 'off' },
      logger: silentLogger,
    })
    const [config] = servers.shards
    const replicaUrl = config!.replicaUrls[0]!
    await using store = await openStore(
      { shards: [config!], catalogUrl: servers.catalogUrl },
      { replicas: { watchMs: 25, maxLagMs: 300_000 }, directoryPollMs: 50 },
    )
    await store.onPrimary(config!.name, (sql) => sql`create table notes (company_id text, n int)`)
    const mover = createMover({ store, logger: silentLogger })
    const rebalancer = createRebalancer({ store, mover, logger: silentLogger })
    const admin = createShardAdmin({ store, mover, rebalancer, shards: [config!], logger: silentLogger })
    const promote = (acceptLoss: boolean) => admin.promote(config!.name, { server: serverKey(replicaUrl), acceptLoss })
    const write = (n: number) =>
      store
        .transact(parseCompanyId('acme'), (tx) => tx`insert into notes values ('acme', ${n})`)
        .then(
          () => true,
          () => false,
        )

    await using primary = asSuperuser(config!.primaryUrl, dataDir)
    await primary.sql`revoke execute on function pg_promote from public, ledgerway`
    // The replica has replayed the revocation by then, since it has to have replayed everything.
    await expect(promote(false)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await using replica = asSuperuser(replicaUrl, dataDir)
    await replica.sql`select pg_promote(true, 60)`
    // The old primary goes on: this is on no other server.
    await until(() => write(1))

    await expect(promote(false)).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
    await until(() => write(2))
    expect(await promote(true)).toEqual({ lost: 'unknown' })
    await until(() => write(3))
    expect(await notesOf(replicaUrl)).toEqual([3])
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
})

function asSuperuser(url: string, dataDir: string): { sql: Sql } & AsyncDisposable {
  const { superuser } = JSON.parse(readFileSync(join(dataDir, 'postgres', 'passwords.json'), 'utf8')) as {
    superuser: string
  }
  const address = new URL(url)
  address.username = 'postgres'
  address.password = superuser
  return connect(address.href)
}

async function notesOf(url: string): Promise<number[]> {
  await using own = connect(url)
  const rows = await own.sql<{ n: number }[]>`select n from notes order by n`
  return rows.map(({ n }) => n)
}

function connect(url: string): { sql: Sql } & AsyncDisposable {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice() {} })
  return { sql, [Symbol.asyncDispose]: () => sql.end() }
}
