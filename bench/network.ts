import { chmodSync, createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { serverAccount } from '../app/embedded/account.ts'
import { findPostgresBinaries } from '../app/embedded/binaries.ts'
import { startCluster } from '../app/embedded/cluster.ts'
import { asSuperuser, databaseUrl, ensureDatabases } from '../app/embedded/databases.ts'
import { parseShardId } from '../core/ids.ts'
import { silentLogger } from '../core/log.ts'
import { createStatementCounter, type RequestContext } from '../core/request.ts'
import { createChangeStream } from '../events/change-stream.ts'
import { createFollower } from '../events/follow.ts'
import { createMemoryBus } from '../events/memory-bus.ts'
import { createLedger } from '../ledger/ledger.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import { createCompanyCommands } from '../network/companies.ts'
import { importNetwork, traderId } from '../network/import-network.ts'
import { createRelationshipCommands } from '../network/relationships.ts'
import { createUserCommands } from '../network/users.ts'
import { createStore } from '../store/create-store.ts'
import { poolProfiles } from '../store/pool/options.ts'
import { createCompaniesResolvers } from '../subgraphs/companies/resolvers.ts'
import { createSubgraphHost, type SubgraphHost } from '../subgraphs/host.ts'

/**
 * `npm run bench -- network`: the trading network on 1, 2, 4 and 8 shards (databases of one server, so what grows is the
 * cost of spreading, not the hardware). First the import, then three queries, each with loaders and, as the baseline,
 * with every key loaded by itself. Rounds take turns, the median counts.
 *
 * BENCH_SHARDS (`1,2,4,8`), BENCH_ROUNDS (7), BENCH_FILE (the network in demo/data); BENCH_SHORT=1: the hub's
 * relationships and a quarter of the others, three rounds.
 */
const short = process.env['BENCH_SHORT'] === '1'
const shardCounts = (process.env['BENCH_SHARDS'] ?? '1,2,4,8').split(',').map(Number)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? (short ? 3 : 7))
const file = process.env['BENCH_FILE'] ?? new URL('../demo/data/otc-trades.csv', import.meta.url).pathname

const hubNumber = '35'
const hub = traderId(hubNumber)
const stats = 'relationshipStats { total meanRatingGiven meanRatingReceived }'
const passwords = { superuser: 'bench', owner: 'bench', replication: 'bench' }

const folder = await mkdtemp(join(tmpdir(), 'ledgerway-bench-'))
chmodSync(folder, 0o755)
try {
  const account = serverAccount()
  await using cluster = await startCluster({
    name: 'bench',
    parent: folder,
    binaries: findPostgresBinaries(account),
    account,
    superuserPassword: passwords.superuser,
    preferredPort: undefined,
    maxConnections: 200,
    settings: {},
    logger: silentLogger,
  })
  for (const shardCount of shardCounts) await measure(cluster.port, shardCount)
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function measure(port: number, shardCount: number): Promise<void> {
  const names = Array.from({ length: shardCount }, (_, i) => `of_${shardCount}_shard_${i + 1}`)
  const catalog = `of_${shardCount}_catalog`
  await asSuperuser(port, passwords, (sql) => ensureDatabases(sql, passwords, [catalog, ...names]))
  await using store = await createStore({
    shards: names.map((name, i) => ({
      name: parseShardId(`shard-${i + 1}`),
      primaryUrl: databaseUrl(port, passwords, name),
      replicaUrls: [],
    })),
    catalogUrl: databaseUrl(port, passwords, catalog),
    pool: poolProfiles['high-throughput'],
    deployment: 'bench',
    logger: silentLogger,
  })
  const ledger = createLedger({ store })
  const companies = createCompanyCommands({ ledger })

  const start = performance.now()
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
  const imported = await importNetwork({ store, ledger }, short ? aroundHub(lines) : lines)
  const seconds = (performance.now() - start) / 1000
  print({
    case: 'import',
    shards: shardCount,
    relationships: imported.created,
    companies: imported.companiesCreated,
    seconds: round(seconds),
    relationshipsPerSecond: Math.round(imported.created / seconds),
    residentMb: Math.round(process.memoryUsage().rss / 2 ** 20),
  })
  for (const shard of store.shards) await store.onPrimary(shard, (sql) => sql`analyze`)

  await using bus = createMemoryBus()
  await using changes = createChangeStream({ store, bus, logger: silentLogger })
  await using follower = createFollower<LedgerRecord>({
    store,
    changes,
    logger: silentLogger,
    readPage: async () => [],
  })
  const resolvers = createCompaniesResolvers({
    store,
    commands: companies,
    relationships: createRelationshipCommands({ store, ledger }),
    users: createUserCommands({ ledger }),
    follower,
  })
  const hostWith = (batching: boolean) =>
    createSubgraphHost({ name: 'companies', resolvers, store, logger: silentLogger, batching })
  const hosts = { loaders: hostWith(true), 'no loaders': hostWith(false) }

  const partners = await store.readOne(
    hub,
    (sql) => sql<{ id: string }[]>`select distinct partner_id as id from relationships where company_id = ${hub}`,
  )
  const queries: Record<string, { query: string; variables: Record<string, unknown> }> = {
    'a: first 50 relationships with names': {
      query: `{ company(id: "${hub}") { relationships(first: 50) { nodes {
        status rating buyer { name sector { name } } seller { name sector { name } } } } } }`,
      variables: {},
    },
    [`b: stats of all ${partners.length} partners`]: {
      query: `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Company { id ${stats} } } }`,
      variables: { of: partners.map(({ id }) => ({ __typename: 'Company', id })) },
    },
    'c: a page of search with stats': {
      query: `{ companies(first: 20, search: "trader 3") { nodes { id name ${stats} } pageInfo { endCursor } } }`,
      variables: {},
    },
  }
  for (const [name, asked] of Object.entries(queries)) {
    const results = { loaders: [] as Result[], 'no loaders': [] as Result[] }
    for (let i = 0; i <= rounds; i++) {
      for (const way of ['loaders', 'no loaders'] as const) {
        const result = await ask(hosts[way], asked)
        // The first of each makes the plans and the connections.
        if (i > 0) results[way].push(result)
      }
    }
    const baselineMs = median(results['no loaders'].map(({ ms }) => ms))
    for (const way of ['loaders', 'no loaders'] as const) {
      const ms = median(results[way].map((result) => result.ms))
      print({
        case: name,
        shards: shardCount,
        way,
        baseline: 'no loaders',
        statements: results[way][0]?.statements,
        ms: round(ms),
        ratio: round(baselineMs / ms),
        rounds,
      })
    }
  }
}

/** Every question is about as many relationships of the hub as in the whole network. */
async function* aroundHub(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let number = 0
  for await (const line of lines) {
    const [rater, ratee] = line.split(',')
    if (number++ % 4 === 0 || rater === hubNumber || ratee === hubNumber) yield line
  }
}

interface Result {
  readonly statements: number
  readonly ms: number
}

async function ask(
  host: SubgraphHost,
  { query, variables }: { query: string; variables: Record<string, unknown> },
): Promise<Result> {
  const context: RequestContext = {
    requestId: 'bench',
    principal: { kind: 'admin', keyId: 'bench', scopes: ['*'] },
    deadlineMs: Date.now() + 60_000,
    signal: new AbortController().signal,
    startedMs: performance.now(),
    statements: createStatementCounter(),
    written: [],
    missingShards: new Set(),
  }
  const start = performance.now()
  const result = await host.execute({ subgraph: host.name, kind: 'query', query, variables, context }, context.signal)
  const ms = performance.now() - start
  if ('errors' in result) throw new Error(`${result.errors?.length} errors, the first: ${result.errors?.[0]?.message}`)
  const perShard = context.statements.totals()['companies'] ?? {}
  return { ms, statements: Object.values(perShard).reduce((sum, count) => sum + count, 0) }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function round(value: number): number {
  return Number(value.toFixed(2))
}

function print(line: Record<string, unknown>): void {
  console.log(JSON.stringify({ bench: 'network', ...line }))
}
