import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { load, startProcess, type Load } from './load.ts'
import { startPeers, type Peer } from './peers.ts'
import { query, supergraph } from './subgraphs.ts'

/**
 * `npm run bench -- federation [--rounds 3] [--seconds 4] [--connections 50] [--only TEXT] [--heap MB]
 *   [--peers [--peers-folder DIR]]`
 *
 * Every gateway answers the same query over the same four subgraphs. The gateway runs alone on core 0; subgraphs and
 * load share core 1. Rounds are interleaved (each gateway once a round), the median round counts, and every answer is
 * compared with the first gateway's before anything is measured.
 */
const { values: options } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== 'federation'),
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string', default: '' },
    heap: { type: 'string', default: '64' },
    peers: { type: 'boolean', default: false },
    'peers-folder': { type: 'string' },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const connections = Number(options.connections)
const nodeFlags = options.heap === '0' ? [] : [`--max-semi-space-size=${options.heap}`]

const gateways = [
  '@apollo/gateway over HTTP',
  'Ledgerway over HTTP',
  'Ledgerway over HTTP, shared',
  '@apollo/gateway in process',
  'Ledgerway in process',
  'Ledgerway in process, shared',
  'Apollo Server, constant answer',
  'node:http, same bytes',
].filter((name) => name.includes(options.only))

interface Running extends Peer {
  rounds: (Load & { cpuMsPerRequest: number; subgraphRequests: number; rssMb: number })[]
}

const body = JSON.stringify({ query })
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'bench-federation-'))
const subgraphs = await startProcess(file('subgraph-process.ts'), [], { cpu: 1 })
const subgraphsUrl = `http://127.0.0.1:${subgraphs.port}`
const running: Running[] = []
const answerFile = join(folder, 'answer.json')

try {
  const reference = await startGateway('@apollo/gateway over HTTP')
  const answer = await ask(reference.url)
  await reference.stop()
  await writeFile(answerFile, answer)
  for (const name of gateways) running.push({ ...(await startGateway(name)), rounds: [] })
  if (options.peers) {
    const sdl = supergraph((name) => `${subgraphsUrl}/${name}`)
    const peers = await startPeers({
      sdl,
      subgraphsUrl,
      folder: options['peers-folder'] ?? join(folder, 'peers'),
      heapMb: Number(options.heap),
    })
    running.push(...peers.map((peer) => ({ ...peer, rounds: [] })))
  }
  for (const gateway of running.slice()) {
    const given = JSON.stringify(JSON.parse(await ask(gateway.url)).data)
    if (given === JSON.stringify(JSON.parse(answer).data)) continue
    if (gateways.includes(gateway.name)) throw new Error(`${gateway.name} answers something else`)
    console.error(`${gateway.name} is left out, since it answers something else: ${given?.slice(0, 200)}`)
    running.splice(running.indexOf(gateway), 1)
    await gateway.stop()
  }
  console.log(
    JSON.stringify({
      bench: 'federation',
      answerBytes: answer.length,
      connections,
      seconds,
      rounds,
      flags: nodeFlags,
      node: process.version,
    }),
  )
  for (const gateway of running) await load({ url: gateway.url, body, connections, seconds: Math.min(seconds, 3) })
  for (let round = 0; round < rounds; round++) {
    for (const gateway of running) gateway.rounds.push(await measure(gateway))
  }
  for (const { name, rounds } of running) {
    const sorted = rounds.toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond)
    const median = sorted[Math.floor(sorted.length / 2)]
    if (median === undefined) continue
    console.log(
      JSON.stringify({
        gateway: name,
        requestsPerSecond: round(median.requestsPerSecond),
        p50Ms: round(median.p50Ms),
        p99Ms: round(median.p99Ms),
        cpuMsPerRequest: round(median.cpuMsPerRequest),
        subgraphRequests: round(median.subgraphRequests),
        rssMb: round(median.rssMb),
        errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
      }),
    )
  }
} finally {
  await Promise.all(running.map((gateway) => gateway.stop()))
  await subgraphs.stop()
  await rm(folder, { recursive: true })
}

async function startGateway(name: string): Promise<Peer> {
  const started = await startProcess(file('gateway-process.ts'), [name, subgraphsUrl, answerFile], {
    cpu: 0,
    nodeFlags,
  })
  const url = `http://127.0.0.1:${started.port}/`
  return {
    name,
    url,
    stop: started.stop,
    usage: async () => (await (await fetch(url)).json()) as { cpuMicros: number; rss: number },
  }
}

async function ask(url: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(30_000),
  })
  return response.text()
}

async function measure(gateway: Peer): Promise<Running['rounds'][number]> {
  await fetch(`${subgraphsUrl}/count`)
  const before = await gateway.usage()
  const result = await load({ url: gateway.url, body, connections, seconds })
  const after = await gateway.usage()
  const { count } = (await (await fetch(`${subgraphsUrl}/count`)).json()) as { count: number }
  return {
    ...result,
    cpuMsPerRequest: (after.cpuMicros - before.cpuMicros) / 1e3 / result.requests,
    subgraphRequests: count / result.requests,
    rssMb: after.rss / 1024 / 1024,
  }
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
