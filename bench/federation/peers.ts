import { execFile, spawn } from 'node:child_process'
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
  '@graphql-hive/gateway',
  '@graphql-hive/router-runtime',
  'fastify',
  '@mercuriusjs/gateway',
  'mercurius',
  'graphql@16',
]

export async function startPeers(options: {
  sdl: string
  subgraphsUrl: string
  folder: string
  heapMb: number
}): Promise<Peer[]> {
  const folder = join(options.folder, 'peers')
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{"name":"peers","private":true,"type":"module"}')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], { cwd: folder })
  await writeFile(join(folder, 'supergraph.graphql'), options.sdl)
  const flags = options.heapMb === 0 ? [] : [`--max-semi-space-size=${options.heapMb}`]
  const variants = [
    { name: 'Hive Gateway, JS planner', rust: false, dedupe: false },
    { name: 'Hive Gateway, JS planner, shared', rust: false, dedupe: true },
    { name: 'Hive Gateway, Rust planner', rust: true, dedupe: false },
    { name: 'Hive Gateway, Rust planner, shared', rust: true, dedupe: true },
  ]
  const peers: Peer[] = []
  for (const { name, rust, dedupe } of variants) {
    const port = await freePort()
    const config = join(folder, `gateway-${port}.config.mjs`)
    await writeFile(
      config,
      `${rust ? "import { unifiedGraphHandler } from '@graphql-hive/router-runtime'\n" : ''}export const gatewayConfig = {
  supergraph: './supergraph.graphql', port: ${port}, host: '127.0.0.1', fork: 1, logging: false, graphqlEndpoint: '/graphql',
  ${rust ? 'unifiedGraphHandler,' : ''} requestTimeout: 30000, inflightRequestDeduplication: ${dedupe},
}
`,
    )
    const bin = join(folder, 'node_modules/@graphql-hive/gateway/dist/bin.js')
    peers.push(await startPeer(name, folder, port, [...flags, bin, 'supergraph', '-c', config]))
  }
  const port = await freePort()
  await writeFile(
    join(folder, 'mercurius.mjs'),
    `import Fastify from 'fastify'
import gateway from '@mercuriusjs/gateway'
const app = Fastify()
app.register(gateway, { jit: 1, gateway: { services: ${JSON.stringify([
      'accounts',
      'inventory',
      'products',
      'reviews',
    ])}.map((name) => ({ name, url: '${options.subgraphsUrl}/' + name, keepAlive: true, connections: 64 })) } })
await app.listen({ port: ${port}, host: '127.0.0.1' })
`,
  )
  peers.push(await startPeer('Mercurius gateway', folder, port, [...flags, join(folder, 'mercurius.mjs')]))
  return peers
}

async function startPeer(name: string, folder: string, port: number, args: string[]): Promise<Peer> {
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
    }).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) break
    if (attempt > 100 || child.exitCode !== null) throw new Error(`${name} does not answer`)
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
