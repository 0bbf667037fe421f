import { newPrincipalKey } from '../../access/principal-key.ts'
import { createPrincipalSigner, createPrincipalVerifier } from '../../access/propagation.ts'
import { composeShards } from '../../app/shards.ts'
import { createKeyRing } from '../../access/keys.ts'
import { createTickets } from '../../access/tickets.ts'
import { createPostgresTicketStore } from '../../access/tickets-in-postgres.ts'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createStatementCounter, type Principal, type RequestContext } from '../../core/request.ts'
import { createJobFollower } from '../../jobs/follow-job.ts'
import { createJobs } from '../../jobs/jobs.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed } from '../../ledger/proof/keys.ts'
import { createProofs } from '../../ledger/proofs.ts'
import { createUserCommands } from '../../network/users.ts'
import { type SubgraphName, subgraphNames } from '../../schema/sdl.ts'
import { createCompaniesResolvers } from '../../subgraphs/companies/resolvers.ts'
import { createSubgraphHost, type SubgraphHost } from '../../subgraphs/host.ts'
import { serveSubgraph } from '../../subgraphs/http.ts'
import { createOpsResolvers } from '../../subgraphs/ops/resolvers.ts'
import { createRecordsResolvers } from '../../subgraphs/records/resolvers.ts'
import { createWebhooks } from '../../webhooks/webhooks.ts'
import { createSecretWrapper } from '../../webhooks/wrapping.ts'
import { createWorld } from '../network/world.ts'
import { startLive } from '../support/live.ts'
import { acquireDatabase } from '../support/postgres.ts'

export const admin: Principal = { kind: 'admin', keyId: 'root', scopes: ['*'] }
export const companyKey = (companyId: string): Principal => ({
  kind: 'company',
  companyId: companyId as CompanyId,
  keyId: `of-${companyId}`,
  scopes: ['*'],
})

export interface Answer {
  /** Empty where there is none. */
  readonly data: Record<string, never>
  readonly codes: readonly unknown[]
  readonly paths: readonly unknown[]
  /** Sent to the shards for this operation. */
  readonly statements: number
  readonly written: readonly string[]
}

export type Ask = (
  subgraph: SubgraphName,
  query: string,
  options?: { as?: Principal; variables?: Record<string, unknown>; position?: string },
) => Promise<Answer>

/** The three subgraphs on real shards: asked in process, and over HTTP. */
export async function createSubgraphWorld(options: { shardCount?: number } = {}) {
  await using parts = new AsyncDisposableStack()
  const world = parts.use(await createWorld(options))
  const jobs = parts.use(createJobs({ postgresUrl: parts.use(await acquireDatabase()).url }))
  const { store, ledger } = world
  const live = parts.use(await startLive(store))
  const jobFollower = parts.use(createJobFollower({ jobs, bus: live.bus, pollMs: 50 }))
  const webhooks = createWebhooks({ wrapper: createSecretWrapper([Buffer.alloc(32, 7)]), allowPrivate: true })
  const tickets = createTickets({
    stores: [{ letter: 'p', store: createPostgresTicketStore({ catalog: store.catalog }) }],
    logger: silentLogger,
  })
  const keyring = parseKeyring(formatSkey('test', newSeed()))
  const checkpoints = createCheckpointSigner({
    store,
    keyring,
    states: [catalogSignerState(store.catalog)],
    logger: silentLogger,
  })
  const keys = parts.use(createKeyRing({ catalog: store.catalog, bus: live.bus, logger: silentLogger }))
  await keys.start()
  const resolvers: Record<SubgraphName, object> = {
    companies: createCompaniesResolvers({
      store,
      commands: world.companies,
      relationships: world.relationships,
      users: createUserCommands({ ledger }),
      follower: live.follower,
    }),
    ops: createOpsResolvers({
      store,
      ledger,
      jobs,
      jobFollower,
      webhooks,
      tickets,
      keys,
      shards: composeShards({ store, bus: live.bus, shards: world.shards, logger: silentLogger }),
      logger: silentLogger,
    }),
    records: createRecordsResolvers({
      store,
      ledger,
      follower: live.follower,
      proving: { proofs: createProofs({ store, signer: checkpoints }), keyring, wrappingKey: Buffer.alloc(32, 9) },
    }),
  }
  const hostsWith = (batching: boolean) =>
    Object.fromEntries(
      subgraphNames.map((name) => [
        name,
        createSubgraphHost({ name, resolvers: resolvers[name], store, logger: silentLogger, batching }),
      ]),
    ) as Record<SubgraphName, SubgraphHost>
  const hosts = hostsWith(true)

  const askOf =
    (asked: Record<SubgraphName, SubgraphHost>): Ask =>
    async (subgraph, query, { as = admin, variables, position } = {}) => {
      const context = requestContext(as, position)
      const result = await asked[subgraph].execute(
        { subgraph, kind: 'query', query, context, ...(variables === undefined ? {} : { variables }) },
        context.signal,
      )
      if (Symbol.asyncIterator in result) throw new Error('a stream')
      return answerOf(result as Body, context.statements.totals(), context.written)
    }

  const key = newPrincipalKey()
  const signer = createPrincipalSigner({ privateKey: key })
  const verifier = createPrincipalVerifier({ keys: [key] })
  const urls = new Map<SubgraphName, string>()
  for (const host of Object.values(hosts)) {
    const served = parts.use(
      await serveSubgraph({
        host,
        verifier,
        logger: silentLogger,
        hostname: '127.0.0.1',
        port: 0,
        ready: () => Promise.resolve(true),
      }),
    )
    urls.set(host.name, served.url)
  }
  const overHttp: Ask = async (subgraph, query, { as = admin, variables, position } = {}) => {
    const response = await fetch(urls.get(subgraph) ?? '', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await signer.sign(as)}`,
        'ledgerway-deadline': '300000',
        ...(position === undefined ? {} : { 'ledgerway-position': position }),
      },
      body: JSON.stringify({ query, variables }),
    })
    const { extensions, ...body } = (await response.json()) as Body & {
      extensions?: { ledgerway: { statements: Totals; written: string[] } }
    }
    return answerOf(body, extensions?.ledgerway.statements ?? {}, extensions?.ledgerway.written ?? [])
  }

  const kept = parts.move()
  return {
    ...world,
    live,
    checkpoints,
    jobs,
    hosts,
    urls,
    signer,
    inProcess: askOf(hosts),
    /** The same resolvers on the same data, every key loaded by itself. */
    without: { inProcess: askOf(hostsWith(false)) },
    overHttp,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

export type SubgraphWorld = Awaited<ReturnType<typeof createSubgraphWorld>>

export function requestContext(principal: Principal, position?: string): RequestContext {
  return {
    requestId: 'test',
    principal,
    ...(position === undefined ? {} : { position }),
    deadlineMs: Date.now() + 300_000,
    signal: new AbortController().signal,
    startedMs: performance.now(),
    statements: createStatementCounter(),
    written: [],
    missingShards: new Set(),
  }
}

type Totals = Readonly<Record<string, Readonly<Record<string, number>>>>
interface Body {
  data?: Record<string, never> | null
  errors?: readonly { extensions?: Record<string, unknown> | undefined; path?: readonly unknown[] | undefined }[]
}

function answerOf({ data = null, errors = [] }: Body, totals: Totals, written: readonly string[]): Answer {
  return {
    // A copy: objects from graphql-js have no prototype, which JSON does not know.
    data: JSON.parse(JSON.stringify(data ?? {})) as Answer['data'],
    codes: errors.map(({ extensions }) => extensions?.['code']),
    paths: errors.map(({ path }) => path ?? null),
    statements: Object.values(totals)
      .flatMap((perShard) => Object.values(perShard))
      .reduce((sum, count) => sum + count, 0),
    written,
  }
}
