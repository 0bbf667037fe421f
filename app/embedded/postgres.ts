import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { parseShardId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import { serverKey } from '../../store/server-key.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import { serverAccount } from './account.ts'
import { findPostgresBinaries } from './binaries.ts'
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts'
import { clustersDirectory, dataDirectoryError } from './data-directory.ts'
import {
  allowPromotion,
  asSuperuser,
  databaseUrl,
  ensureDatabases,
  type Passwords,
  renamePrimaries,
} from './databases.ts'
import { startReplica } from './replica.ts'

export interface EmbeddedPostgres extends AsyncDisposable {
  readonly shards: readonly ShardConfig[]
  readonly catalogUrl: string
  /** An empty database for BullMQ's Postgres backend, in the first shard's cluster. */
  readonly jobsUrl: string
  readonly servers: readonly { readonly name: string; running(): boolean }[]
}

interface EmbeddedPostgresOptions {
  dataDir: string
  shardCount?: number
  /** Whether the first shard has a streaming replica. */
  replica?: boolean
  maxConnections?: number
  /** Settings of Postgres to add or replace. */
  settings?: Readonly<Record<string, string>>
  logger: Logger
}

const shardDatabase = 'ledgerway'
const catalogDatabase = 'ledgerway_catalog'
const jobsDatabase = 'ledgerway_jobs'

/**
 * The first cluster bears the most: with a process for each of the five roles at the largest default pool, 5 x 24 for the
 * shard, 5 x 4 for the catalog, 2 x 14 for jobs in solo mode, a dozen listeners, and some for people and backups. A slot
 * that is not used costs about 20 kB.
 */
const defaultMaxConnections = 200

/**
 * Starts the clusters under `dataDir`/postgres, each made first if it does not exist, all at once; the first shard has a
 * streaming replica. Servers that end by themselves are started again on the same port. The caller MUST hold the data
 * directory's lock. @throws AppError CONFIG_INVALID, with every server stopped again
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await startClusters(options)
  } catch (error) {
    throw dataDirectoryError(options.dataDir, error)
  }
}

async function startClusters(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const {
    shardCount = 3,
    replica: withReplica = true,
    maxConnections = defaultMaxConnections,
    settings,
    logger,
  } = options
  const parent = clustersDirectory(options.dataDir)
  makeParent(parent)
  const account = serverAccount()
  const binaries = findPostgresBinaries(account)
  const passwords = await readPasswords(parent)
  const ports = await readPorts(parent)
  const names = Array.from({ length: shardCount }, (_, index) => `shard-${index + 1}`)
  refuseLostPrimary(parent, replicaOf(names[0] ?? ''), names[0] ?? '')

  const optionsOf = (name: string): ClusterOptions => ({
    name,
    parent,
    binaries,
    account,
    maxConnections,
    logger,
    superuserPassword: passwords.superuser,
    preferredPort: ports[name],
    ...(settings && { settings }),
  })
  await using started = new AsyncDisposableStack()
  const servers: Cluster[] = []
  const keep = (cluster: Cluster): Cluster => {
    servers.push(cluster)
    return cluster
  }

  const startShard = async (name: string, index: number): Promise<ShardConfig> => {
    const first = index === 0
    const primary = keep(await startCluster(optionsOf(name)))
    const withPrimary: Parameters<typeof startReplica>[0]['withPrimary'] = (fn) =>
      asSuperuser(primary.port, passwords, fn)
    const databases = first ? [shardDatabase, catalogDatabase, jobsDatabase] : [shardDatabase]
    await withPrimary((sql) => ensureDatabases(sql, passwords, databases))
    const replicaUrls: string[] = []
    if (first) {
      await asSuperuser(primary.port, passwords, allowPromotion, shardDatabase)
    }
    if (first && withReplica) {
      const replica = keep(
        await startReplica({
          cluster: optionsOf(replicaOf(name)),
          primary,
          withPrimary,
          replicationPassword: passwords.replication,
        }),
      )
      replicaUrls.push(databaseUrl(replica.port, passwords, shardDatabase))
    }
    return {
      name: parseShardId(name),
      primaryUrl: databaseUrl(primary.port, passwords, shardDatabase),
      replicaUrls,
    }
  }

  // All settle before one failure counts: a cluster still starting could not be stopped.
  started.defer(async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
  })
  const results = await Promise.allSettled(names.map(startShard))
  const shards = results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
  const firstPort = servers.find((server) => server.name === names[0])?.port ?? 0
  const moved = servers.flatMap(({ name, port }) => {
    const before = ports[name]
    return before === undefined || before === port ? [] : [{ before, now: port }]
  })
  if (moved.length > 0) {
    const keyOf = (port: number): string => serverKey(databaseUrl(port, passwords, shardDatabase))
    await asSuperuser(firstPort, passwords, (sql) => renamePrimaries(sql, moved, keyOf), catalogDatabase)
  }
  // After the directory: a start that is killed in between finds the old ports, and renames again.
  await writeWhole(join(parent, 'ports.json'), JSON.stringify(Object.fromEntries(servers.map((s) => [s.name, s.port]))))
  const running = started.move()
  return {
    shards,
    catalogUrl: databaseUrl(firstPort, passwords, catalogDatabase),
    jobsUrl: databaseUrl(firstPort, passwords, jobsDatabase),
    servers,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

const replicaOf = (name: string): string => `${name}-replica`

/** Searchable for the servers' account, readable for us alone. */
function makeParent(parent: string): void {
  mkdirSync(parent, { recursive: true })
  chmodSync(parent, 0o711)
}

/** Making an empty primary now would also throw away its replica, the only copy left. */
function refuseLostPrimary(parent: string, replica: string, primary: string): void {
  if (existsSync(join(parent, primary)) || !existsSync(join(parent, replica))) return
  throw new AppError(
    'CONFIG_INVALID',
    `${join(parent, primary)} is gone and its replica is still there. Restore it, or move ${replica} away to begin anew (docs/operations.md).`,
  )
}

const passwordsSchema = z.object({ superuser: z.string(), owner: z.string(), replication: z.string() })

/** Made once, mode 0600. Without them the clusters' data cannot be reached. */
async function readPasswords(parent: string): Promise<Passwords> {
  const file = join(parent, 'passwords.json')
  if (existsSync(file)) return passwordsSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  if (existsSync(join(parent, 'shard-1'))) {
    throw new AppError('CONFIG_INVALID', `${file} is missing: restore it from a backup (docs/operations.md).`)
  }
  const secret = (): string => randomBytes(24).toString('base64url')
  const passwords = { superuser: secret(), owner: secret(), replication: secret() }
  await writeWhole(file, JSON.stringify(passwords))
  return passwords
}

/** The ports of the last run, taken again if they are free, so that a bookmarked connection goes on working. */
async function readPorts(parent: string): Promise<Readonly<Record<string, number>>> {
  try {
    return z.record(z.string(), z.int()).parse(JSON.parse(await readFile(join(parent, 'ports.json'), 'utf8')))
  } catch {
    return {}
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}
