import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { AppError } from '../core/errors.ts'
import { parseShardId, type ShardId } from '../core/ids.ts'
import type { OperationRates } from '../gateway/rates.ts'
import { subgraphNames } from '../schema/sdl.ts'
import { defaultPlacement, type PlacementConfig, placementConfig } from '../store/placement/create-strategy.ts'
import type { PoolProfile } from '../store/pool/options.ts'
import type { ShardConfig } from '../store/shard-config.ts'

export const roles = ['gateway', ...subgraphNames, 'workers'] as const
export type Role = (typeof roles)[number]

const flag = z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true')
const postgresUrl = z.string().regex(/^postgres(ql)?:\/\/./, 'must be a postgres:// URL')
const list = z.string().transform((value) => splitList(value))

function wholeNumber(least: number, most: number) {
  return z.string().transform((value, context) => {
    const number = Number(value)
    if (/^[0-9]+$/.test(value) && number >= least && number <= most) return number
    context.addIssue(`must be a whole number from ${least} to ${most}`)
    return z.NEVER
  })
}

/** Every environment variable that Ledgerway reads. `docs/configuration.md` lists them; a test holds it to this. */
export const environment = {
  PORT: wholeNumber(0, 65_535).default(4000),
  HOST: z.string().default('127.0.0.1'),
  TLS_CERT: z.string().optional(),
  TLS_KEY: z.string().optional(),
  STATUS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_TOKEN: z
    .string()
    .regex(/^\S{16,}$/, 'must have at least 16 characters, none of them a space')
    .optional(),
  DATA_DIR: z.string().default('.ledgerway'),
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  ROLES: list.optional(),
  DEPLOYMENT: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/, 'must be 1 to 64 characters of a-z, 0-9, "." and "-"')
    .default('ledgerway'),
  SHARDS: z.string().optional(),
  CATALOG_URL: postgresUrl.optional(),
  JOBS_URL: postgresUrl.optional(),
  EMBEDDED_SHARDS: wholeNumber(1, 16).default(3),
  PLACEMENT: z.enum(['consistent-hash', 'range', 'geographic']).optional(),
  PLACEMENT_REGIONS: list.optional(),
  SHARD_REGIONS: z.string().optional(),
  REDIS_URL: z
    .string()
    .regex(/^(rediss?:\/\/.+|none)$/, 'must be a redis:// or rediss:// URL, or none')
    .optional(),
  SUBGRAPH_URLS: z.string().optional(),
  SUPERGRAPH: z.string().optional(),
  SUBGRAPH_HEADERS: list.optional(),
  ACCESS: z.enum(['keys', 'open']).default('keys'),
  APOLLO_KEY: z.string().optional(),
  APOLLO_GRAPH_REF: z.string().optional(),
  APOLLO_UPLINK_ENDPOINTS: list.optional(),
  ADMIN_API_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  WRAPPING_KEY: z.string().optional(),
  CHECKPOINT_KEY: z.string().optional(),
  PRINCIPAL_SIGNING_KEY: z.string().optional(),
  DEMO: flag.optional(),
  DEBUG_EXTENSIONS: flag.default(false),
  POOL_PROFILE: z.enum(['high-throughput', 'low-latency', 'memory-constrained']).optional(),
  POOL_MAX: wholeNumber(1, 500).optional(),
  CORS_ORIGINS: list.optional(),
  RATE_LIMITS: z.string().optional(),
  PLAN_LIMIT_MS: wholeNumber(10, 60_000).default(5_000),
  WEBHOOKS_ALLOW_PRIVATE: flag.optional(),
  EXPORT_MAX_MB: wholeNumber(1, 1_048_576).default(4_096),
  EXPORT_KEEP_HOURS: wholeNumber(1, 720).default(24),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('warn'),
} as const

/** Where the console's link to Apollo Sandbox leads. */
const sandboxOrigin = 'https://studio.apollographql.com'

const schema = z.object(environment)
type Environment = z.infer<typeof schema>

export interface Config {
  readonly port: number
  readonly host: string
  /** Absolute. Absent: the gateway speaks HTTP/1.1 without TLS, for a proxy in front of it or for this machine. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Health and metrics alone, for every role; absent: not served. */
  readonly statusPort: number | undefined
  /** Opens `/metrics` and nothing else; absent: administrators' keys only. */
  readonly metricsToken: string | undefined
  /** Absolute. */
  readonly dataDir: string
  readonly production: boolean
  readonly roles: ReadonlySet<Role>
  readonly deployment: string
  /** Absent: embedded servers, this many shards. */
  readonly external: { readonly shards: readonly ShardConfig[]; readonly catalogUrl: string } | undefined
  readonly embeddedShards: number
  /** Absent: as the deployment was started, which is by consistent hashing where nothing was said. */
  readonly placement: PlacementConfig | undefined
  /** Of shards whose name does not begin with it. */
  readonly shardRegions: ReadonlyMap<ShardId, string>
  /** With external servers and without Redis: BullMQ's own database; absent: one beside the catalog. */
  readonly jobsUrl: string | undefined
  /** `none` forces solo mode. */
  readonly redisUrl: string | undefined
  readonly subgraphUrls: ReadonlyMap<string, string>
  /** A file, an http(s) URL or `uplink`; absent for our own. */
  readonly supergraph: string | undefined
  /** Names, in lower case, of the client's headers that the subgraphs of that supergraph get to see. */
  readonly subgraphHeaders: readonly string[]
  /** `open`: that supergraph is served to everybody without keys, and nothing of ours is: no databases, no other role. */
  readonly access: 'keys' | 'open'
  readonly uplink: {
    readonly key: string | undefined
    readonly graphRef: string | undefined
    /** Absent: Apollo's. */
    readonly endpoints: readonly string[] | undefined
  }
  readonly adminApiKey: string | undefined
  /** Absent: made in the data directory at first start. */
  readonly keys: {
    readonly wrapping: string | undefined
    readonly checkpoint: string | undefined
    readonly principalSigning: string | undefined
  }
  /** By default with embedded servers only: other people's databases are not to be filled unasked. */
  readonly demo: boolean
  readonly debugExtensions: boolean
  readonly pool: { readonly profile: PoolProfile; readonly max: number | undefined }
  readonly corsOrigins: readonly string[]
  readonly rates: OperationRates
  /** How long one operation may be planned. */
  readonly planLimitMs: number
  /** Whether webhooks may go to private addresses; by default outside production only. */
  readonly webhooksAllowPrivate: boolean
  readonly exports: { readonly maxBytes: number; readonly keepMs: number }
  readonly logLevel: Environment['LOG_LEVEL']
}

/** `--port`, `--roles`, … win over `PORT`, `ROLES`, …; an empty variable counts as absent. @throws AppError CONFIG_INVALID */
export function readConfig(argv: readonly string[] = [], env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = schema.safeParse({ ...knownVariables(env), ...flags(argv) })
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new AppError('CONFIG_INVALID', problems.join('; '))
  }
  const values = parsed.data
  const production = values.NODE_ENV === 'production'
  return {
    port: values.PORT,
    host: values.HOST,
    tls: parseTls(values),
    statusPort: values.STATUS_PORT,
    metricsToken: values.METRICS_TOKEN,
    dataDir: resolve(values.DATA_DIR),
    production,
    roles: parseAccess(values, parseRoles(values.ROLES)),
    deployment: values.DEPLOYMENT,
    external: parseExternal(values),
    embeddedShards: values.EMBEDDED_SHARDS,
    placement: parsePlacement(values),
    shardRegions: parseShardRegions(values.SHARD_REGIONS ?? ''),
    jobsUrl: values.JOBS_URL,
    redisUrl: values.REDIS_URL,
    subgraphUrls: parseSubgraphUrls(values.SUBGRAPH_URLS ?? ''),
    supergraph: values.SUPERGRAPH,
    subgraphHeaders: parseSubgraphHeaders(values),
    access: values.ACCESS,
    uplink: {
      key: values.APOLLO_KEY,
      graphRef: values.APOLLO_GRAPH_REF,
      endpoints: values.APOLLO_UPLINK_ENDPOINTS,
    },
    adminApiKey: values.ADMIN_API_KEY,
    keys: {
      wrapping: values.WRAPPING_KEY,
      checkpoint: values.CHECKPOINT_KEY,
      principalSigning: values.PRINCIPAL_SIGNING_KEY,
    },
    demo: values.ACCESS === 'keys' && (values.DEMO ?? values.SHARDS === undefined),
    debugExtensions: values.DEBUG_EXTENSIONS,
    pool: {
      profile: values.POOL_PROFILE ?? (values.SHARDS === undefined ? 'memory-constrained' : 'high-throughput'),
      max: values.POOL_MAX,
    },
    corsOrigins: values.CORS_ORIGINS ?? (production ? [] : [sandboxOrigin]),
    rates: parseRates(values.RATE_LIMITS ?? ''),
    planLimitMs: values.PLAN_LIMIT_MS,
    webhooksAllowPrivate: values.WEBHOOKS_ALLOW_PRIVATE ?? !production,
    exports: { maxBytes: values.EXPORT_MAX_MB * 1024 ** 2, keepMs: values.EXPORT_KEEP_HOURS * 3_600_000 },
    logLevel: values.LOG_LEVEL,
  }
}

/** Where the embedded default keeps its secrets, mode 0600. */
export function keysDirectory(config: Config): string {
  return join(config.dataDir, 'keys')
}

/** `name=primaryUrl|replicaUrl|…,name=…` @throws AppError CONFIG_INVALID; its message never holds a URL. */
function parseShards(text: string): ShardConfig[] {
  const shards = splitList(text).map((entry) => {
    const equals = entry.indexOf('=')
    const [primaryUrl = '', ...replicaUrls] = entry.slice(equals + 1).split('|')
    if (equals < 1 || ![primaryUrl, ...replicaUrls].every((url) => /^postgres(ql)?:\/\//.test(url))) {
      throw new AppError('CONFIG_INVALID', 'SHARDS: write name=postgres://primary|postgres://replica,name=…')
    }
    return { name: parseShardId(entry.slice(0, equals)), primaryUrl, replicaUrls }
  })
  if (shards.length === 0) throw new AppError('CONFIG_INVALID', 'SHARDS: name at least one shard.')
  if (new Set(shards.map((shard) => shard.name)).size !== shards.length) {
    throw new AppError('CONFIG_INVALID', 'SHARDS: a name stands there twice.')
  }
  return shards
}

function parseExternal(values: Environment): Config['external'] {
  if (values.SHARDS === undefined && values.CATALOG_URL === undefined) return undefined
  if (values.SHARDS === undefined || values.CATALOG_URL === undefined) {
    throw new AppError(
      'CONFIG_INVALID',
      'SHARDS and CATALOG_URL go together: set both for external servers, or neither.',
    )
  }
  return { shards: parseShards(values.SHARDS), catalogUrl: values.CATALOG_URL }
}

function parseTls({ TLS_CERT: cert, TLS_KEY: key }: Environment): Config['tls'] {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) {
    throw new AppError('CONFIG_INVALID', 'TLS_CERT and TLS_KEY go together: set both, or neither.')
  }
  return { certFile: resolve(cert), keyFile: resolve(key) }
}

function parsePlacement({ PLACEMENT: kind, PLACEMENT_REGIONS: regions }: Environment): PlacementConfig | undefined {
  if ((kind === 'geographic') !== (regions !== undefined)) {
    throw new AppError('CONFIG_INVALID', 'PLACEMENT_REGIONS goes with PLACEMENT=geographic: set both or neither.')
  }
  if (kind === undefined) return undefined
  const { virtualNodes } = defaultPlacement
  const parsed = placementConfig.safeParse(
    kind === 'range' ? { kind } : kind === 'geographic' ? { kind, virtualNodes, regions } : { kind, virtualNodes },
  )
  if (!parsed.success || (regions !== undefined && new Set(regions).size !== regions.length)) {
    throw new AppError('CONFIG_INVALID', 'PLACEMENT_REGIONS: write eu,us,…, each 1 to 16 characters of a-z and 0-9.')
  }
  return parsed.data
}

function parseShardRegions(text: string): ReadonlyMap<ShardId, string> {
  return new Map(
    splitList(text).map((entry) => {
      const [, name = '', region = ''] = /^([a-z0-9-]+)=([a-z0-9]{1,16})$/.exec(entry) ?? []
      if (name === '') throw new AppError('CONFIG_INVALID', 'SHARD_REGIONS: write name=region,name=region,…')
      return [parseShardId(name), region]
    }),
  )
}

function parseRoles(names: readonly string[] | undefined): ReadonlySet<Role> {
  if (names === undefined) return new Set(roles)
  const unknown = names.some((name) => !roles.some((role) => role === name))
  if (unknown || names.length === 0) {
    throw new AppError('CONFIG_INVALID', `ROLES: choose from ${roles.join(', ')}.`)
  }
  return new Set(roles.filter((role) => names.includes(role)))
}

/** What is open to everybody is never our own data. @throws AppError CONFIG_INVALID */
function parseAccess({ ACCESS, SUPERGRAPH, ROLES }: Environment, chosen: ReadonlySet<Role>): ReadonlySet<Role> {
  if (ACCESS === 'keys') return chosen
  if (SUPERGRAPH === undefined) {
    throw new AppError(
      'CONFIG_INVALID',
      "ACCESS=open is for a SUPERGRAPH of your own. Ledgerway's own companies and records always need a key.",
    )
  }
  if (ROLES !== undefined && (chosen.size > 1 || !chosen.has('gateway'))) {
    throw new AppError('CONFIG_INVALID', 'ACCESS=open starts a gateway and nothing else: leave ROLES out.')
  }
  return new Set(['gateway'])
}

function parseSubgraphHeaders({ SUBGRAPH_HEADERS = [], SUPERGRAPH, ACCESS }: Environment): string[] {
  const names = SUBGRAPH_HEADERS.map((name) => name.toLowerCase())
  const refuse = (why: string): never => {
    throw new AppError('CONFIG_INVALID', `SUBGRAPH_HEADERS: ${why}`)
  }
  if (names.length > 0 && SUPERGRAPH === undefined)
    refuse('only the subgraphs of a SUPERGRAPH of your own get headers.')
  for (const name of names) {
    if (!/^[a-z0-9_-]{1,64}$/.test(name)) refuse('write names of headers, separated by commas.')
    if (ofTheConnection.has(name)) refuse(`"${name}" belongs to the connection and is not passed on.`)
    if (ACCESS === 'keys' && carriesKey.has(name)) {
      refuse(`"${name}" carries the keys of this gateway, which are not for subgraphs.`)
    }
  }
  return names
}

const carriesKey: ReadonlySet<string> = new Set(['authorization', 'x-api-key'])
const ofTheConnection: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const rateNames = { key: 'perKey', company: 'perCompany', everybody: 'everybody' } as const

/** `key=20/40,company=100,everybody=5000`: operations per second, and how many at once after a pause (else two seconds' worth). */
function parseRates(text: string): OperationRates {
  return Object.fromEntries(
    splitList(text).map((entry) => {
      const [, name = '', perSecond = '', burst] =
        /^(key|company|everybody)=([0-9.]{1,9})(?:\/([0-9]{1,9}))?$/.exec(entry) ?? []
      const rate = { perSecond: Number(perSecond), burst: Number(burst ?? Math.ceil(Number(perSecond) * 2)) }
      if (name === '' || !(rate.perSecond > 0) || rate.burst < 1) {
        throw new AppError('CONFIG_INVALID', 'RATE_LIMITS: write key=N/BURST,company=N/BURST,everybody=N/BURST')
      }
      return [rateNames[name as keyof typeof rateNames], rate]
    }),
  )
}

function parseSubgraphUrls(text: string): ReadonlyMap<string, string> {
  return new Map(
    splitList(text).map((entry) => {
      const [, name = '', url = ''] = /^([A-Za-z0-9_-]+)=(https?:\/\/.+)$/.exec(entry) ?? []
      if (name === '') {
        throw new AppError('CONFIG_INVALID', 'SUBGRAPH_URLS: write name=http://host:port/graphql,name=…')
      }
      return [name, url]
    }),
  )
}

/** Flags carry the variables' names in kebab case: `--data-dir DIR` is `DATA_DIR`. */
function flags(argv: readonly string[]): Record<string, string> {
  const options = Object.fromEntries(
    Object.keys(environment).map((name) => [name.toLowerCase().replaceAll('_', '-'), { type: 'string' as const }]),
  )
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name.toUpperCase().replaceAll('-', '_'), String(value)]),
    )
  } catch (error) {
    throw new AppError('CONFIG_INVALID', error instanceof Error ? error.message : 'unknown option', { cause: error })
  }
}

function knownVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.keys(environment).flatMap((name) => {
      const value = env[name]
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
