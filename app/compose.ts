import { createKeyRing, ensureAdminKey } from '../access/keys.ts'
import { newPrincipalKey, splitPrincipalKeys } from '../access/principal-key.ts'
import { createPrincipalSigner, createPrincipalVerifier } from '../access/propagation.ts'
import { createMemoryRateLimiter } from '../access/rate-limits-in-memory.ts'
import { createRedisRateLimiter } from '../access/rate-limits-in-redis.ts'
import { createPostgresTicketStore } from '../access/tickets-in-postgres.ts'
import { createRedisTicketStore } from '../access/tickets-in-redis.ts'
import { createTickets } from '../access/tickets.ts'
import { createMemoryAnswerCache } from '../cache/drivers/memory.ts'
import { createRedisAnswerCache } from '../cache/drivers/redis.ts'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { untilCatalogAnswers } from '../core/patience.ts'
import type { Service } from '../core/service.ts'
import type { SubgraphExecutor } from '../core/subgraph-executor.ts'
import type { Bus } from '../events/bus.ts'
import { createChangeStream } from '../events/change-stream.ts'
import { followDirectory } from '../events/directory.ts'
import { createDirtySignal } from '../events/dirty-signal.ts'
import { createFollower } from '../events/follow.ts'
import { createOutsideFeed } from '../events/outside-feed.ts'
import { createPostgresBus } from '../events/postgres-bus.ts'
import { createRedisBus } from '../events/redis-bus.ts'
import type { Readiness } from '../gateway/http/health.ts'
import { announceJob, createJobFollower } from '../jobs/follow-job.ts'
import { createJobs } from '../jobs/jobs.ts'
import { createCheckpointFollower } from '../ledger/checkpoints/follow.ts'
import { createExportReader } from '../ledger/exports/read-exports.ts'
import { createExportWriter } from '../ledger/exports/write-exports.ts'
import { feedLags } from '../ledger/feed-lag.ts'
import { createProofs } from '../ledger/proofs.ts'
import { createLedger, type Ledger, type LedgerRecord } from '../ledger/ledger.ts'
import { readPublished } from '../ledger/published.ts'
import { type CompanyCommands, createCompanyCommands } from '../network/companies.ts'
import { createCounterparts } from '../network/counterparts.ts'
import { createRelationshipCommands } from '../network/relationships.ts'
import { createUserCommands } from '../network/users.ts'
import { subgraphNames, type SubgraphName } from '../schema/sdl.ts'
import { createStore } from '../store/create-store.ts'
import { poolProfiles } from '../store/pool/options.ts'
import type { Store } from '../store/store.ts'
import { createCompaniesResolvers } from '../subgraphs/companies/resolvers.ts'
import { createSubgraphHost } from '../subgraphs/host.ts'
import { serveSubgraph } from '../subgraphs/http.ts'
import { createOpsResolvers } from '../subgraphs/ops/resolvers.ts'
import { createRecordsResolvers } from '../subgraphs/records/resolvers.ts'
import { createWebhooks } from '../webhooks/webhooks.ts'
import { createSecretWrapper } from '../webhooks/wrapping.ts'
import { createCompanyMover } from '../workers/company-mover.ts'
import { createExportSweeper } from '../workers/export-sweeper.ts'
import { createWorkers } from '../workers/create-workers.ts'
import { type Config, keysDirectory, roles } from './config.ts'
import { composeEdge, composeStatus, type EdgeParts } from './edge.ts'
import { composeFederation, federationReadiness } from './federation.ts'
import { createImportTarget } from './import/ledger-target.ts'
import type { ImportTarget } from './import/run-import.ts'
import { findWrappingKey, openWrappingKey, storedSecret } from './secrets.ts'
import { openSigning } from './signing.ts'
import { openServers, type Servers } from './servers.ts'
import { composeShards, placeShards } from './shards.ts'
import { addFeedMetrics } from './metrics/feed-metrics.ts'
import { addJobMetrics } from './metrics/job-metrics.ts'
import { createMetricsRegistry, type MetricsRegistry } from './metrics/registry.ts'
import { addSigningMetrics } from './metrics/signing-metrics.ts'
import { addStoreMetrics } from './metrics/store-metrics.ts'
import {
  allReady,
  cacheReadiness,
  dataReadiness,
  disableWebhook,
  namespaceOf,
  openRedis,
  readPage,
  readRecord,
  shardsAnswer,
  verifyStoredWith,
  workersReadiness,
} from './wiring.ts'

/** The data and what changes it: enough for the command line. */
export interface DataParts {
  readonly servers: Servers
  readonly store: Store
  readonly bus: Bus
  readonly ledger: Ledger
  readonly companies: CompanyCommands
  readonly importTarget: ImportTarget
  /** Absent in a gateway alone that was given none. */
  readonly wrappingKey: Buffer | undefined
  /** Wakes the shard's relay after a commit: by the bus, or directly once this process runs one itself. */
  readonly relay: { nudge: (shard: ShardId) => void }
  /** Begins every key and channel in Redis that is ours. */
  readonly prefix: string
  readonly metrics: MetricsRegistry
}

export interface ComposeDeps {
  readonly config: Config
  readonly logger: Logger
  /** For people: the key of a first start, solo mode, progress. */
  readonly out: NodeJS.WriteStream
  /** Ends the start early. */
  readonly signal: AbortSignal
  /** Called when the start has failed, before what was started is stopped again. */
  readonly onFailed?: () => void
}

/** Opens the servers and builds what works on the data; `stack` stops them in reverse. */
export async function composeData(
  { config, logger, out, signal }: ComposeDeps,
  stack: AsyncDisposableStack,
  options: { joinRunning: boolean },
): Promise<DataParts> {
  const servers = stack.use(await openServers({ config, logger, out, signal, joinRunning: options.joinRunning }))
  signal.throwIfAborted()
  // A gateway alone wraps nothing: a key of its own making would only be mistaken for the deployment's.
  const open = config.roles.size === 1 && config.roles.has('gateway') ? findWrappingKey : openWrappingKey
  const wrappingKey = await open(config.keys.wrapping, keysDirectory(config))
  const { profile, max } = config.pool
  const store = stack.use(
    await createStore({
      shards: placeShards(servers.shards, config),
      ...(config.placement === undefined ? {} : { placement: config.placement }),
      catalogUrl: servers.catalogUrl,
      pool: { ...poolProfiles[profile], ...(max === undefined ? {} : { max }) },
      deployment: config.deployment,
      logger: logger.child({ part: 'store' }),
    }),
  )
  signal.throwIfAborted()
  const prefix = await untilCatalogAnswers(() => namespaceOf(store), { logger })
  const bus = stack.use(
    servers.redisUrl === undefined
      ? createPostgresBus({ url: servers.catalogUrl, prefix, logger })
      : createRedisBus({ url: servers.redisUrl, prefix, logger }),
  )
  stack.use(await followDirectory({ bus, store, logger }))
  const dirty = createDirtySignal({ bus })
  const relay: DataParts['relay'] = { nudge: (shard) => dirty.notify(shard) }
  const metrics = createMetricsRegistry()
  addStoreMetrics(metrics, store)
  const ledger = createLedger({
    store,
    wrappingKey: wrappingKey ?? null,
    onAppended: (shard) => relay.nudge(shard),
    metrics,
  })
  const companies = createCompanyCommands({ ledger, regions: store.regions })
  const importTarget = createImportTarget({ store, ledger, companies })
  return {
    servers,
    store,
    bus,
    ledger,
    companies,
    importTarget,
    wrappingKey,
    prefix,
    relay,
    metrics,
  }
}

export interface App extends AsyncDisposable {
  /** Where this process answers: the gateway's endpoint; without one, each subgraph's; without those, the status port. */
  readonly urls: readonly string[]
  readonly data: DataParts
  /** The subgraphs of this process. */
  readonly subgraphs: Readonly<Partial<Record<SubgraphName, SubgraphExecutor>>>
}

/**
 * Builds everything that this process runs, from the servers up; stopping is the same in reverse. The one place where parts
 * meet: whatever is not named here knows only ports.
 */
export async function compose(deps: ComposeDeps): Promise<App> {
  await using stack = new AsyncDisposableStack()
  try {
    const app = await build(deps, stack)
    const running = stack.move()
    return { ...app, [Symbol.asyncDispose]: () => running.disposeAsync() }
  } catch (error) {
    deps.onFailed?.()
    throw error
  }
}

async function build(deps: ComposeDeps, stack: AsyncDisposableStack): Promise<Omit<App, keyof AsyncDisposable>> {
  const { config, logger, out, signal } = deps
  const use = <T extends AsyncDisposable>(part: T): T => stack.use(part)
  const started = async <T extends Service>(service: T): Promise<T> => {
    stack.use(service)
    await service.start()
    return service
  }

  const data = await composeData(deps, stack, { joinRunning: config.roles.size < roles.length })
  const { servers, store, bus, ledger, companies, prefix, metrics } = data
  const redis = servers.redisUrl === undefined ? undefined : use(openRedis(servers.redisUrl))
  const jobsConnection =
    servers.redisUrl === undefined
      ? { postgresUrl: servers.jobsUrl }
      : { redisUrl: servers.redisUrl, prefix: `${prefix}jobs` }
  const jobs = use(createJobs(jobsConnection, { onSubmitted: announceJob(bus) }))
  const jobFollower = use(createJobFollower({ jobs, bus }))
  const wrappingKey = (): Buffer => data.wrappingKey ?? noWrappingKey()
  const webhooks = once(() =>
    createWebhooks({ wrapper: createSecretWrapper([wrappingKey()]), allowPrivate: config.webhooksAllowPrivate }),
  )
  const changes = await started(createChangeStream({ store, bus, logger }))
  const follower = use(createFollower<LedgerRecord>({ store, changes, logger, readPage }))
  const keys = await started(createKeyRing({ catalog: store.catalog, bus, logger }))
  const tickets = createTickets({
    stores: [
      ...(redis === undefined ? [] : [{ letter: 'r', store: createRedisTicketStore({ redis, prefix }) }]),
      { letter: 'p', store: createPostgresTicketStore({ catalog: store.catalog }) },
    ],
    logger,
  })

  // Only who signs has a checkpoint key, and only who asks or is asked over HTTP one that says who asks.
  const signing = once(() => stack.use(openSigning({ config, store, logger })))

  const shards = composeShards({ store, bus, shards: servers.shards, logger })
  const readyChecks: (() => Promise<Readiness>)[] = [() => dataReadiness({ store, changes })]
  const checkReady = (): Promise<Readiness> => allReady(readyChecks)

  const resolvers: Record<SubgraphName, () => object> = {
    companies: () =>
      createCompaniesResolvers({
        store,
        commands: companies,
        relationships: createRelationshipCommands({ store, ledger }),
        users: createUserCommands({ ledger }),
        follower,
      }),
    records: () => {
      const { keyring, signer } = signing()
      const proving = { proofs: createProofs({ store, signer }), keyring, wrappingKey: wrappingKey() }
      return createRecordsResolvers({ store, ledger, follower, proving })
    },
    ops: () =>
      createOpsResolvers({ store, ledger, jobs, jobFollower, webhooks: webhooks(), tickets, keys, shards, logger }),
  }
  const hosts = subgraphNames
    .filter((name) => config.roles.has(name))
    .map((name) => createSubgraphHost({ name, resolvers: resolvers[name](), store, logger }))
  const subgraphs = Object.fromEntries(hosts.map(({ name, execute }) => [name, execute]))

  if (config.roles.has('workers')) {
    const { keyring, signer, states } = signing()
    await started(createCheckpointFollower({ store, signer, logger }))
    await started(createCompanyMover({ ...shards, logger }))
    await started(
      createExportSweeper({ store, exports: createExportReader({ store, wrappingKey: wrappingKey() }), logger }),
    )
    const { maxBytes, keepMs } = config.exports
    const workers = await started(
      createWorkers({
        store,
        bus,
        changes,
        jobs,
        jobsConnection,
        webhooks: webhooks(),
        counterparts: createCounterparts({ store, ledger, logger }),
        shards,
        readRecord,
        verify: verifyStoredWith({ store, keyring, wrappingKey: wrappingKey(), witnesses: states }),
        exports: createExportWriter({
          store,
          signer,
          keyring,
          wrappingKey: wrappingKey(),
          limits: { maxBytes, shardBytes: 4 * maxBytes, keepMs },
        }),
        append: (companyId, record) => ledger.change(companyId, async () => ({ value: undefined, records: [record] })),
        disableWebhook: disableWebhook(ledger, webhooks()),
        allowPrivateWebhooks: config.webhooksAllowPrivate,
        logger,
      }),
    )
    data.relay.nudge = (shard) => workers.nudge(shard)
    addFeedMetrics(metrics, () => feedLags(store, { deadlineMs: Date.now() + 1_500 }))
    addJobMetrics(metrics, jobs)
    addSigningMetrics(metrics, signer)
    readyChecks.push(() => workersReadiness(jobs))
  }

  const principalKeys = async (): Promise<ReturnType<typeof splitPrincipalKeys>> =>
    splitPrincipalKeys(
      await storedSecret('principal-signing', config.keys.principalSigning, keysDirectory(config), newPrincipalKey),
    )
  signal.throwIfAborted()
  const urls: string[] = []
  if (config.roles.has('gateway')) {
    const ours = config.supergraph === undefined
    const principals = createPrincipalSigner({ privateKey: (await principalKeys())[0] })
    const federation = use(
      composeFederation({
        config,
        logger,
        metrics,
        ...(ours
          ? { local: subgraphs, authorize: async ({ principal }) => `Bearer ${await principals.sign(principal)}` }
          : {}),
      }),
    )
    const cache = use(
      redis === undefined ? createMemoryAnswerCache() : createRedisAnswerCache({ redis, prefix, logger }),
    )
    const alone = createMemoryRateLimiter()
    const limiter = redis === undefined ? alone : createRedisRateLimiter({ redis, prefix, fallback: alone, logger })
    const parts: EdgeParts = {
      authenticator: keys,
      tickets,
      ...(ours ? { caching: { cache, changes, epoch: () => store.epoch() } } : {}),
      feed: createOutsideFeed({ store, changes, logger, readPage }),
      openExport: async (id) => {
        // Another process may have made it since this one started.
        const key = data.wrappingKey ?? (await findWrappingKey(config.keys.wrapping, keysDirectory(config)))
        return createExportReader({ store, wrappingKey: key ?? noWrappingKey() }).open(id)
      },
      readPublished: (companyId, path) => readPublished(store, companyId, path),
      checkReady,
      limiter,
    }
    const server = await composeEdge({ config, logger, metrics, federation, parts }, stack)
    readyChecks.push(
      () => federationReadiness(federation, ours ? config.subgraphUrls : undefined),
      async () => cacheReadiness(cache),
    )
    const { adminApiKey } = config
    if (adminApiKey !== undefined) await ensureAdminKey({ catalog: store.catalog, adminApiKey, logger })
    urls.push((await server.listen()).url)
    // After listening: a start that fails for its port must not have shown the only key.
    const { created } = await ensureAdminKey({ catalog: store.catalog, logger })
    if (created !== undefined) out.write(`administrator's API key, shown only now: ${created}\n`)
  } else if (hosts.length > 0) {
    const verifier = createPrincipalVerifier({ keys: await principalKeys() })
    for (const [index, host] of hosts.entries()) {
      const port = config.port === 0 ? 0 : config.port + index
      const ready = (): Promise<boolean> => shardsAnswer(store)
      const served = await serveSubgraph({ host, verifier, logger, hostname: config.host, port, ready })
      const { url } = use(served)
      out.write(`subgraph ${host.name} ${url}\n`)
      urls.push(url)
    }
  }
  const statusUrl = await composeStatus({ config, logger, out, metrics, authenticator: keys, checkReady }, stack)
  await servers.announce(urls[0])
  // Who listens on nothing else is ready there.
  if (urls.length === 0 && statusUrl !== undefined) urls.push(`${statusUrl}/health/ready`)

  return { urls, data, subgraphs }
}

function noWrappingKey(): never {
  throw new AppError(
    'CONFIG_INVALID',
    'This process has no wrapping key: set WRAPPING_KEY to that of the processes which write.',
  )
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
