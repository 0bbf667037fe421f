import { chmodSync } from 'node:fs'
import { serverAccount } from '../../app/embedded/account.ts'
import { findPostgresBinaries } from '../../app/embedded/binaries.ts'
import { startCluster } from '../../app/embedded/cluster.ts'
import { asSuperuser, databaseUrl, ensureDatabases } from '../../app/embedded/databases.ts'
import { parseShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { migrate } from '../../store/migrate.ts'

/** What a test file needs to make databases of its own. */
export interface TestClusterInfo {
  /** As a superuser, to the database `postgres`. */
  superuserUrl: string
  /** As the role that the product uses, without a database. */
  ownerUrl: string
}

export const shardTemplate = 'template_shard'
export const catalogTemplate = 'template_catalog'

/** One cluster for all tests, with a migrated template for each kind of database. It forgets everything: no fsync. */
export async function startTestPostgres(parent: string): Promise<{ info: TestClusterInfo } & AsyncDisposable> {
  chmodSync(parent, 0o711)
  const account = serverAccount()
  const passwords = { superuser: 'test-superuser', owner: 'test-owner', replication: 'test-replication' }
  const cluster = await startCluster({
    name: 'tests',
    parent,
    binaries: findPostgresBinaries(account),
    account,
    superuserPassword: passwords.superuser,
    preferredPort: undefined,
    maxConnections: 400,
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_wal_size: '2GB',
      autovacuum: 'off',
    },
    logger: silentLogger,
  })
  try {
    await asSuperuser(cluster.port, passwords, (sql) =>
      ensureDatabases(sql, passwords, [shardTemplate, catalogTemplate]),
    )
    await migrate({
      shards: [
        {
          name: parseShardId('template'),
          primaryUrl: databaseUrl(cluster.port, passwords, shardTemplate),
          replicaUrls: [],
        },
      ],
      catalogUrl: databaseUrl(cluster.port, passwords, catalogTemplate),
      logger: silentLogger,
    })
    return {
      info: {
        superuserUrl: `postgres://postgres:${passwords.superuser}@127.0.0.1:${cluster.port}/postgres`,
        ownerUrl: databaseUrl(cluster.port, passwords, ''),
      },
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    }
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}
