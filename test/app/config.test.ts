import { expect, test } from 'vitest'
import { readConfig } from '../../app/config.ts'
import { placeShards } from '../../app/shards.ts'
import { AppError } from '../../core/errors.ts'
import { parseShardId } from '../../core/ids.ts'

const refusal = (argv: string[], env: Record<string, string>): AppError => {
  try {
    readConfig(argv, env)
  } catch (error) {
    if (error instanceof AppError) return error
  }
  throw new Error('the configuration was accepted')
}

test.each([
  ['REDIS_URL', 'localhost:6379'],
  ['CATALOG_URL', 'mysql://u:secret@localhost/x'],
  ['JOBS_URL', 'jobs'],
])('%s that is no URL of its kind is refused without being shown', (name, value) => {
  expect(() => readConfig([], { [name]: value })).toThrow(new RegExp(`^${name}: must be a `))
  expect(() => readConfig([], { [name]: value })).not.toThrow(value)
})

test('Apollo Sandbox, which the console links to, may read answers outside production, and nobody else unasked', () => {
  expect(readConfig([], {}).corsOrigins).toEqual(['https://studio.apollographql.com'])
  expect(readConfig([], { NODE_ENV: 'production' }).corsOrigins).toEqual([])
  expect(readConfig([], { CORS_ORIGINS: 'https://shop.example' }).corsOrigins).toEqual(['https://shop.example'])
})

test('with nothing set, everything runs in one process on loopback with embedded servers', () => {
  const config = readConfig([], {})
  expect([...config.roles]).toEqual(['gateway', 'records', 'companies', 'ops', 'workers'])
  expect(config).toMatchObject({ port: 4000, host: '127.0.0.1', external: undefined, demo: true, production: false })
})

test('a flag wins over its variable, and an empty variable counts as absent', () => {
  expect(readConfig(['--port', '0', '--roles=gateway,workers'], { PORT: '80', HOST: '' })).toMatchObject({
    port: 0,
    host: '127.0.0.1',
    roles: new Set(['gateway', 'workers']),
  })
})

test('shards carry their replicas in order', () => {
  const { external } = readConfig([], {
    SHARDS: 'eu-1=postgres://a/db|postgres://b/db|postgres://c/db, us-1=postgres://d/db',
    CATALOG_URL: 'postgres://a/catalog',
  })
  expect(external?.shards).toEqual([
    { name: 'eu-1', primaryUrl: 'postgres://a/db', replicaUrls: ['postgres://b/db', 'postgres://c/db'] },
    { name: 'us-1', primaryUrl: 'postgres://d/db', replicaUrls: [] },
  ])
})

const ownGraph = { SUPERGRAPH: 'mine.graphql' }

test.each([
  ['a port that is none', ['--port', 'http'], {}, /PORT/],
  ['an unknown role', ['--roles', 'gateway,cook'], {}, /ROLES/],
  ['an unknown flag', ['--prot', '1'], {}, /--prot/],
  ['shards without a catalog', [], { SHARDS: 'a=postgres://x/y' }, /CATALOG_URL/],
  ['a shard named twice', [], { SHARDS: 'a=postgres://x/y,a=postgres://x/z', CATALOG_URL: 'postgres://x' }, /twice/],
  ['a certificate without its key', [], { TLS_CERT: 'cert.pem' }, /TLS_KEY/],
  ['a short administrator key', [], { ADMIN_API_KEY: 'secret' }, /ADMIN_API_KEY/],
  ['our own graph without keys', ['--access', 'open'], {}, /always need a key/],
  ['a role that holds our data, without keys', ['--access=open', '--roles=gateway,ops'], ownGraph, /leave ROLES out/],
  ['our data alone, without keys', ['--access=open', '--roles=records'], ownGraph, /leave ROLES out/],
  ['headers for our own subgraphs', ['--subgraph-headers', 'cookie'], {}, /SUPERGRAPH/],
  ['a list that hands our keys on', ['--subgraph-headers', 'X-Api-Key'], ownGraph, /"x-api-key" carries the keys/],
  ['a header of the connection', ['--subgraph-headers', 'host'], ownGraph, /"host" belongs to the connection/],
])('%s is refused in words', (_name, argv, env, message) => {
  const error = refusal(argv, env)
  expect(error.code).toBe('CONFIG_INVALID')
  expect(error.message).toMatch(message)
})

test('a refusal never shows a connection string or a key', () => {
  const env = { SHARDS: 'a=mysql://user:hunter2@x/y', CATALOG_URL: 'postgres://x', ADMIN_API_KEY: 'hunter2' }
  expect(refusal([], env).message).not.toContain('hunter2')
})

test('rates are named with what may come per second and at once', () => {
  expect(readConfig([], {}).rates).toEqual({})
  expect(readConfig([], { RATE_LIMITS: 'key=20/50, everybody=0.5' }).rates).toEqual({
    perKey: { perSecond: 20, burst: 50 },
    everybody: { perSecond: 0.5, burst: 1 },
  })
  for (const wrong of ['key', 'key=0', 'user=5', 'key=5/0', 'key=-1']) {
    expect(refusal([], { RATE_LIMITS: wrong }).code).toBe('CONFIG_INVALID')
  }
})

test('open access is for a supergraph of your own, and starts nothing beside its gateway', () => {
  expect(readConfig([], ownGraph)).toMatchObject({ access: 'keys', subgraphHeaders: [] })
  const config = readConfig(['--access', 'open', '--subgraph-headers', 'Authorization,x-tenant'], ownGraph)
  expect(config).toMatchObject({
    access: 'open',
    roles: new Set(['gateway']),
    demo: false,
    subgraphHeaders: ['authorization', 'x-tenant'],
  })
})

test('placement is by consistent hashing, by range or by regions, and regions belong to the last alone', () => {
  expect(readConfig([], {})).toMatchObject({ placement: undefined, shardRegions: new Map() })
  expect(readConfig([], { PLACEMENT: 'range' }).placement).toEqual({ kind: 'range' })
  expect(readConfig(['--placement=consistent-hash'], {}).placement).toEqual({
    kind: 'consistent-hash',
    virtualNodes: 150,
  })
  const regional = { PLACEMENT: 'geographic', PLACEMENT_REGIONS: 'eu, us', SHARD_REGIONS: 'a=eu,b=us' }
  const config = readConfig([], regional)
  expect(config.placement).toEqual({ kind: 'geographic', virtualNodes: 150, regions: ['eu', 'us'] })
  const shardOf = (name: string) => ({ name: parseShardId(name), primaryUrl: 'postgres://x', replicaUrls: [] })
  expect(placeShards([shardOf('a'), shardOf('b'), shardOf('us-2')], config).map(({ region }) => region)).toEqual([
    'eu',
    'us',
    undefined,
  ])
  for (const shards of [['a', 'b', 'asia-1'], ['a']]) {
    expect(() => placeShards(shards.map(shardOf), config)).toThrow(/asia|"b"/)
  }
  for (const wrong of [
    { PLACEMENT: 'geographic' },
    { PLACEMENT_REGIONS: 'eu' },
    { ...regional, PLACEMENT_REGIONS: 'eu,eu' },
    { ...regional, PLACEMENT_REGIONS: 'Europe' },
    { SHARD_REGIONS: 'a' },
    { PLACEMENT: 'alphabetic' },
  ]) {
    expect(refusal([], wrong).code).toBe('CONFIG_INVALID')
  }
})
