import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
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
  /** Native code of a planner that its process has loaded: shows which planner it is. */
  nativePlanner?(): Promise<string | undefined>
  usage(): Promise<{ cpuMicros: number; rss: number }>
  stop(): Promise<void>
}

/** Each in a folder of its own, with the version of graphql that it works with. */
const installations = {
  hive: {
    packages: ['@graphql-hive/gateway@2.15.1', '@graphql-hive/router-runtime@1.4.23', 'graphql@16.15.0'],
    // Asked for in a newer version than every registry has; this one serves as well.
    overrides: { '@graphql-tools/batch-execute': '10.2.0' },
  },
  mercurius: {
    packages: ['fastify@5.12.8', '@mercuriusjs/gateway@5.2.0', 'mercurius@16.10.1', 'graphql@16.12.0'],
    // It prints trees that later versions of graphql do not print.
    overrides: { graphql: '16.12.0' },
  },
}

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
  /** What is installed there is used again. */
  folder: string
  heapMb: number
}): Promise<Peer[]> {
  const hive = await install(options.folder, 'hive')
  const mercurius = await install(options.folder, 'mercurius')
  await writeFile(join(hive, 'supergraph.graphql'), options.sdl)
  const flags = options.heapMb === 0 ? [] : [`--max-semi-space-size=${options.heapMb}`]
  const variants = [
    // `inboundInflightRequestDeduplication` shares identical queries of clients (off unless said), the transport's option
    // identical requests to subgraphs (on unless said).
    { name: 'Hive Gateway, JS planner', rust: false, dedupe: false },
    { name: 'Hive Gateway, JS planner, shared', rust: false, dedupe: true },
    { name: 'Hive Gateway, Rust planner', rust: true, dedupe: false },
    { name: 'Hive Gateway, Rust planner, shared', rust: true, dedupe: true },
  ]
  const peers: Peer[] = []
  /** One that does not start is said and left out; the others are still worth measuring. */
  async function start(name: string, folder: string, port: number, args: string[]): Promise<void> {
    const peer = await startPeer(name, folder, port, args)
    if (peer === undefined) console.error(`${name} did not start`)
    else peers.push(peer)
  }
  for (const { name, rust, dedupe } of variants) {
    const port = await freePort()
    const config = join(hive, `gateway-${port}.config.mjs`)
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
    const bin = join(hive, 'node_modules/@graphql-hive/gateway/dist/bin.js')
    await start(name, hive, port, [...flags, bin, 'supergraph', '-c', config])
  }
  const port = await freePort()
  await writeFile(
    join(mercurius, 'gateway.mjs'),
    `import Fastify from 'fastify'
import gateway from '@mercuriusjs/gateway'
const app = Fastify()
const schemas = ${JSON.stringify(firstVersionSchemas)}
app.register(gateway, { jit: 1, gateway: { services: Object.entries(schemas).map(([name, schema]) => (
  { name, schema, url: '${options.subgraphsUrl}/' + name, keepAlive: 30000, connections: 64 })) } })
await app.listen({ port: ${port}, host: '127.0.0.1' })
`,
  )
  await start('Mercurius gateway', mercurius, port, [...flags, join(mercurius, 'gateway.mjs')])
  return peers
}

/** Installing takes minutes; what is there is used again. */
async function install(parent: string, name: keyof typeof installations): Promise<string> {
  const { packages, overrides } = installations[name]
  const folder = join(parent, name)
  const manifest = JSON.stringify({ name: `peer-${name}`, private: true, type: 'module', packages, overrides })
  const kept = await readFile(join(folder, 'installed.json'), 'utf8').catch(() => undefined)
  if (kept === manifest) return folder
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), manifest)
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], { cwd: folder })
  await writeFile(join(folder, 'installed.json'), manifest)
  return folder
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
    if (attempt > 300 || child.exitCode !== null) {
      child.kill('SIGKILL')
      return undefined
    }
    await delay(200)
  }
  return {
    name,
    url,
    async nativePlanner() {
      const maps = await readFile(`/proc/${child.pid ?? 0}/maps`, 'utf8').catch(() => '')
      return /[^/\n]*planner[^/\n]*\.node$/m.exec(maps)?.[0]
    },
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
