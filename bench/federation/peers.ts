import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { hasProgram } from './load.ts'

/**
 * Other gateways for comparison, installed by npm into a folder of the run: they are no dependencies of the project.
 * Each answers GraphQL by POST at its URL.
 */
export interface Peer {
  readonly name: string
  readonly url: string
  usage(): Promise<{ cpuMicros: number; rss: number }>
  stop(): Promise<void>
}

const packages = [
  '@graphql-hive/gateway@2.15.1',
  '@graphql-hive/router-runtime@1.4.23',
  'fastify@5.12.8',
  '@mercuriusjs/gateway@5.2.0',
  'mercurius@16.10.1',
  'graphql@16.15.0',
]
/** Hive asks for a newer one than every registry has; this one serves it as well. */
const overrides = { '@graphql-tools/batch-execute': '10.2.0' }

/** Mercurius knows the first version of federation. */
const firstVersionSchemas = {
  accounts: `extend type Query { me: User users: [User] }
    type User @key(fields: "id") { id: ID! name: String username: String birthday: Int }`,
  inventory: `extend type Product @key(fields: "upc") {
      upc: String! @external weight: Int @external price: Int @external inStock: Boolean
      shippingEstimate: Int @requires(fields: "price weight")
    }`,
  products: `extend type Query { topProducts(first: Int = 5): [Product] }
    type Product @key(fields: "upc") { upc: String! name: String price: Int weight: Int }`,
  reviews: `type Review @key(fields: "id") { id: ID! body: String author: User product: Product }
    extend type User @key(fields: "id") { id: ID! @external reviews: [Review] }
    extend type Product @key(fields: "upc") { upc: String! @external reviews: [Review] }`,
}

export async function startPeers(options: {
  sdl: string
  subgraphsUrl: string
  /** Kept and used again when it is there already: installing takes minutes. */
  folder: string
  heapMb: number
}): Promise<Peer[]> {
  const { folder } = options
  if (!existsSync(join(folder, 'node_modules'))) {
    await mkdir(folder, { recursive: true })
    const manifest = { name: 'peers', private: true, type: 'module', overrides }
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], { cwd: folder })
  }
  await writeFile(join(folder, 'supergraph.graphql'), options.sdl)
  const flags = options.heapMb === 0 ? [] : [`--max-semi-space-size=${options.heapMb}`]
  const variants = [
    { name: 'Hive Gateway, JS planner', rust: false, dedupe: false },
    { name: 'Hive Gateway, JS planner, shared', rust: false, dedupe: true },
    { name: 'Hive Gateway, Rust planner', rust: true, dedupe: false },
    { name: 'Hive Gateway, Rust planner, shared', rust: true, dedupe: true },
  ]
  const peers: Peer[] = []
  /** One that does not start is said and left out; the others are still worth measuring. */
  async function start(name: string, port: number, args: string[]): Promise<void> {
    const peer = await startPeer(name, folder, port, args)
    if (peer === undefined) console.error(`${name} did not start`)
    else peers.push(peer)
  }
  for (const { name, rust, dedupe } of variants) {
    const port = await freePort()
    const config = join(folder, `gateway-${port}.config.mjs`)
    await writeFile(
      config,
      `${rust ? "import { unifiedGraphHandler } from '@graphql-hive/router-runtime'\n" : ''}export const gatewayConfig = {
  supergraph: './supergraph.graphql', port: ${port}, host: '127.0.0.1', fork: 1, logging: false, graphqlEndpoint: '/graphql',
  ${rust ? 'unifiedGraphHandler,' : ''} requestTimeout: 30000,
  inboundInflightRequestDeduplication: ${dedupe},
  transportEntries: { '*.http': { options: { deduplicateInflightRequests: ${dedupe} } } },
}
`,
    )
    const bin = join(folder, 'node_modules/@graphql-hive/gateway/dist/bin.js')
    await start(name, port, [...flags, bin, 'supergraph', '-c', config])
  }
  const port = await freePort()
  await writeFile(
    join(folder, 'mercurius.mjs'),
    `import Fastify from 'fastify'
import gateway from '@mercuriusjs/gateway'
const app = Fastify()
const schemas = ${JSON.stringify(firstVersionSchemas)}
app.register(gateway, { jit: 1, gateway: { services: Object.entries(schemas).map(([name, schema]) => (
  { name, schema, url: '${options.subgraphsUrl}/' + name, keepAlive: 30000, connections: 64 })) } })
await app.listen({ port: ${port}, host: '127.0.0.1' })
`,
  )
  await start('Mercurius gateway', port, [...flags, join(folder, 'mercurius.mjs')])
  return peers
}

async function startPeer(name: string, folder: string, port: number, args: string[]): Promise<Peer | undefined> {
  const pin = (await hasProgram('taskset')) ? ['taskset', '-c', '0'] : []
  const [command = '', ...rest] = [...pin, process.execPath, ...args]
  const child = spawn(command, rest, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const url = `http://127.0.0.1:${port}/graphql`
  for (let attempt = 0; ; attempt++) {
    const answered = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ __typename }"}',
      signal: AbortSignal.timeout(5_000),
    }).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) break
    if (attempt > 60 || child.exitCode !== null) {
      child.kill('SIGKILL')
      return undefined
    }
    await delay(200)
  }
  return {
    name,
    url,
    async usage() {
      const pid = child.pid ?? 0
      const stat = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
      const ticks = Number(stat[11]) + Number(stat[12])
      return { cpuMicros: ticks * 10_000, rss: Number(stat[21]) * 4096 }
    },
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
