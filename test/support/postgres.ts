import { randomBytes } from 'node:crypto'
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import postgres, { type Sql } from 'postgres'
import { inject } from 'vitest'
import { ownerRole } from '../../app/embedded/databases.ts'
import { parseShardId } from '../../core/ids.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import { catalogTemplate, shardTemplate, type TestClusterInfo } from './test-cluster.ts'

/**
 * Databases of one's own, cloned from migrated templates on the run's Postgres: `count` shards and a catalog. Disposing
 * drops them, connected or not.
 */
export async function acquireShards({ count = 2 }: { count?: number } = {}): Promise<
  { shards: ShardConfig[]; catalogUrl: string } & AsyncDisposable
> {
  const names = Array.from({ length: count }, (_, index) => `shard-${index + 1}`)
  const catalog = await cloneDatabase(catalogTemplate)
  const databases = await Promise.all(names.map(() => cloneDatabase(shardTemplate)))
  return {
    shards: databases.map(({ url }, index) => ({
      name: parseShardId(names[index] ?? ''),
      primaryUrl: url,
      replicaUrls: [],
    })),
    catalogUrl: catalog.url,
    async [Symbol.asyncDispose]() {
      await Promise.all([catalog, ...databases].map((database) => database[Symbol.asyncDispose]()))
    },
  }
}

/** An empty database that the product's role owns, for instance for BullMQ's Postgres backend. */
export function acquireDatabase(): Promise<{ url: string } & AsyncDisposable> {
  return cloneDatabase('template1')
}

/** Copying files is quicker than logging every page, and this cluster never syncs them. */
async function cloneDatabase(template: string): Promise<{ url: string } & AsyncDisposable> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const { ownerUrl } = await testCluster()
  await asSuperuser((sql) =>
    sql.unsafe(`create database ${name} template ${template} owner ${ownerRole} strategy file_copy`),
  )
  return {
    url: `${ownerUrl}${name}`,
    async [Symbol.asyncDispose]() {
      await asSuperuser((sql) => sql.unsafe(`drop database if exists ${name} with (force)`))
    },
  }
}

async function asSuperuser(fn: (sql: Sql) => Promise<unknown>): Promise<void> {
  const { superuserUrl } = await testCluster()
  const sql = postgres(superuserUrl, { max: 1, fetch_types: false, onnotice: () => {} })
  try {
    await fn(sql)
  } finally {
    await sql.end()
  }
}

let cluster: Promise<TestClusterInfo> | undefined

/** Asks the run's main process, which starts the cluster for the first who asks. */
function testCluster(): Promise<TestClusterInfo> {
  cluster ??= new Promise((resolve, reject) => {
    const request = get({ socketPath: inject('postgresSocket'), path: '/' }, (response) => {
      text(response).then((body) => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as TestClusterInfo)
        else reject(new Error(body))
      }, reject)
    })
    request.on('error', reject)
  })
  return cluster
}
