import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { environment, readConfig, roles } from '../../app/config.ts'
import { readSources } from '../architecture/layers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const serviceSchema = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  environment: z.record(z.string(), z.string()),
  depends_on: z.record(z.string(), z.object({ condition: z.literal('service_healthy') })).optional(),
  healthcheck: z.object({ test: z.array(z.string()) }),
  restart: z.string(),
  ports: z.array(z.string()).optional(),
  networks: z.array(z.string()),
  volumes: z.array(z.string()).optional(),
  deploy: z.object({ resources: z.object({ limits: z.object({ cpus: z.string(), memory: z.string() }) }) }),
})
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  networks: z.record(z.string(), z.object({ internal: z.boolean().optional() })),
  volumes: z.record(z.string(), z.object({})),
})

const text = read('docker-compose.yml')
const { services, networks, volumes } = composeSchema.parse(parse(text, { merge: true }))
const product = Object.entries(services).filter(([, service]) => service.build !== undefined)

/** What `.env` would hold, by the program that makes it. */
let secrets: Record<string, string> = {}
beforeAll(() => {
  const output = execFileSync(process.execPath, [join(root, 'deploy/make-env.ts')], { encoding: 'utf8' })
  secrets = Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2)),
  )
})

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, as Compose reads them. */
function interpolate(value: string): string {
  return value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_whole, name: string, kind?: string, rest = '') => {
    const found = secrets[name]
    if (found !== undefined) return found
    if (kind === '-') return rest
    throw new Error(`${name} is required, and deploy/make-env.ts does not make it`)
  })
}

test('every role has a service of its own, and every service of ours is a role', () => {
  const started = product.map(([, service]) => service.environment['ROLES'])
  expect(started).toHaveLength(roles.length)
  expect(new Set(started)).toEqual(new Set(roles))
})

test('every variable of our services is one that the configuration reads', () => {
  const known = new Set(Object.keys(environment))
  for (const [name, service] of product) {
    const unknown = Object.keys(service.environment).filter((variable) => !known.has(variable))
    expect({ name, unknown }).toEqual({ name, unknown: [] })
  }
})

test('with the generated secrets, every service’s configuration is valid and names services that exist', () => {
  const hosts = Object.keys(services)
  for (const [, service] of product) {
    const env = Object.fromEntries(Object.entries(service.environment).map(([key, value]) => [key, interpolate(value)]))
    const config = readConfig([], env)
    expect(config.external?.shards.map((shard) => shard.replicaUrls.length)).toEqual([1, 0, 0])
    const urls = [
      ...(config.external?.shards ?? []).flatMap((shard) => [shard.primaryUrl, ...shard.replicaUrls]),
      config.external?.catalogUrl ?? '',
      config.redisUrl ?? '',
      ...config.subgraphUrls.values(),
    ].map((url) => new URL(url))
    expect(hosts).toEqual(expect.arrayContaining(urls.map((url) => url.hostname)))
    expect(config).toMatchObject({ production: true, host: '0.0.0.0', port: 4000 })
  }
})

test('every service of ours is asked for its health where every role answers, the status port', () => {
  for (const [name, { healthcheck, environment: given }] of product) {
    expect([name, healthcheck.test.at(-1)]).toEqual([name, 'http://127.0.0.1:4001/health/ready'])
    expect(readConfig([], { STATUS_PORT: given['STATUS_PORT'] ?? '' }).statusPort).toBe(4001)
  }
})

test('the secrets are made by a program that runs before anything is installed', () => {
  const seen = new Set<string>()
  const packages: string[] = []
  const follow = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const [, specifier = ''] of read(path).matchAll(/from '([^']+)'/g)) {
      if (specifier.startsWith('.')) follow(join(dirname(path), specifier))
      else if (!specifier.startsWith('node:')) packages.push(`${path}: ${specifier}`)
    }
  }
  follow('deploy/make-env.ts')
  expect(packages).toEqual([])
})

test('the gateway reaches each subgraph at the service that runs it, and says who asks with a key only it holds', () => {
  const { gateway, ...others } = Object.fromEntries(product)
  const { subgraphUrls } = readConfig([], { SUBGRAPH_URLS: gateway?.environment['SUBGRAPH_URLS'] ?? '' })
  expect([...subgraphUrls.keys()].sort()).toEqual(
    roles.filter((role) => role !== 'gateway' && role !== 'workers').sort(),
  )
  for (const [name, url] of subgraphUrls) {
    expect(services[new URL(url).hostname]?.environment['ROLES']).toBe(name)
    expect(Number(new URL(url).port)).toBe(4000)
  }
  expect(gateway?.environment['PRINCIPAL_SIGNING_KEY']).toContain('PRINCIPAL_SIGNING_KEY')
  for (const other of Object.values(others)) {
    expect(JSON.stringify(other.environment)).not.toContain('{PRINCIPAL_SIGNING_KEY')
  }
})

test('all who sign checkpoints do so with the deployment’s one key, and nobody else holds it', () => {
  const holders = product.filter(([, { environment: given }]) => 'CHECKPOINT_KEY' in given).map(([name]) => name)
  expect(holders.sort()).toEqual(['records', 'workers'])
})

test('what a service waits for exists and says when it is healthy', () => {
  for (const service of Object.values(services)) {
    for (const needed of Object.keys(service.depends_on ?? {})) {
      expect(services[needed]?.healthcheck).toHaveProperty('test')
    }
  }
})

test('no secret has a default, and none stands in the file', () => {
  const variables = [...text.matchAll(/\$\{(\w+)(?::([-?])[^}]*)?\}/g)]
  const secret = /PASSWORD|KEY|TOKEN/
  const required = new Set(variables.filter(([, , kind]) => kind === '?').map(([, name]) => name))
  for (const [, name = '', kind] of variables.filter(([, name = '']) => secret.test(name))) {
    expect({ name, kind }).not.toMatchObject({ kind: '-' })
    expect(required).toContain(name)
  }
  const given = Object.values(services).flatMap((service) => Object.entries(service.environment))
  for (const [, value] of given.filter(([name]) => secret.test(name))) expect(value).toMatch(/^\$\{\w+:\?[^}]+\}$/)
  expect(required).toEqual(new Set(Object.keys(secrets)))
})

test('only the gateway is reached from outside, and the servers’ network leads nowhere', () => {
  const published = Object.entries(services).filter(([, service]) => service.ports !== undefined)
  expect(published.map(([name]) => name)).toEqual(['gateway'])
  expect(networks['data']).toEqual({ internal: true })
  for (const service of Object.values(services)) {
    expect(Object.keys(networks)).toEqual(expect.arrayContaining(service.networks))
  }
  const data = Object.entries(services).filter(([, service]) => service.build === undefined)
  for (const [, service] of data) expect(service.networks).toEqual(['data'])
})

test('the first shard’s replica streams from it, through a slot that its first start makes', () => {
  const primary = services['shard-1']
  const replica = services['shard-1-replica']
  expect(replica?.environment['PRIMARY_HOST']).toBe('shard-1')
  expect(primary?.environment['REPLICATION_SLOTS']).toBe(replica?.environment['REPLICATION_SLOT'])
  expect(primary?.environment['REPLICATION_PASSWORD']).toBe(replica?.environment['REPLICATION_PASSWORD'])
  expect(primary?.image).toBe(replica?.image)
})

test('every file and volume that is named exists, and every script is one that its shell can read', () => {
  const builds = product.flatMap(([, { build }]) =>
    build === undefined ? [] : [join(build.context, build.dockerfile)],
  )
  const mounts = Object.values(services).flatMap((service) => service.volumes ?? [])
  const sources = mounts.map((mount) => mount.split(':')[0] ?? '')
  const files = [...builds, ...sources.filter((source) => source.startsWith('./'))]
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  expect(Object.keys(volumes).sort()).toEqual(sources.filter((source) => !source.startsWith('./')).sort())
  for (const [shell, script] of [
    ['bash', 'deploy/postgres/init.sh'],
    ['sh', 'deploy/postgres/replica.sh'],
    ['sh', 'deploy/redis.sh'],
  ] as const) {
    execFileSync(shell, ['-n', join(root, script)])
  }
})

test('the image runs as an ordinary user and holds every folder that the product is made of', () => {
  const dockerfile = read('deploy/Dockerfile')
  expect(dockerfile.match(/^USER .*$/gm)).toEqual(['USER node'])
  const ignored = read('deploy/Dockerfile.dockerignore').split('\n')
  const kept = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  expect(ignored).toContain('*')
  for (const path of kept) expect({ path, exists: existsSync(join(root, path)) }).toEqual({ path, exists: true })
  const imported = (folder: string): boolean => !['test', 'bench', 'docs', 'console', 'deploy'].includes(folder)
  const folders = readSources(root)
    .map(({ path }) => path.split('/'))
    .flatMap(([folder = '', ...rest]) => (rest.length > 0 && imported(folder) ? [folder] : []))
  expect(kept).toEqual(expect.arrayContaining([...new Set(folders)]))
})
