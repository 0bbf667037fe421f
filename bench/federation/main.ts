import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { load, startProcess, type Load } from './load.ts'
import { startPeers, type Peer } from './peers.ts'
import { query, supergraph } from './subgraphs.ts'

/**
 * `npm run bench -- federation [--rounds 3] [--seconds 4] [--connections 50] [--only TEXT] [--heap 0,64]
 *   [--peers [--peers-folder DIR]]`; `BENCH_ROUNDS` and `BENCH_SECONDS` are other ways to say the first two.
 *
 * Every gateway answers the same query over the same four subgraphs. The gateway runs alone on core 0; subgraphs and
 * load share core 1. Rounds are interleaved (each gateway once a round), the median round counts, and every answer is
 * compared with the first gateway's before anything is measured. All of it once for each `--heap`: Node's
 * `--max-semi-space-size` in MB, the same for all gateways; 0 is Node's own.
 */
const { values: options } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== 'federation'),
  options: {
    rounds: { type: 'string', default: process.env['BENCH_ROUNDS'] ?? '3' },
    seconds: { type: 'string', default: process.env['BENCH_SECONDS'] ?? '4' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string', default: '' },
    heap: { type: 'string', default: '0,64' },
    peers: { type: 'boolean', default: false },
    'peers-folder': { type: 'string' },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const connections = Number(options.connections)

const apolloOverHttp = '@apollo/gateway over HTTP'
const gateways = [
  apolloOverHttp,
  'Ledgerway over HTTP',
  'Ledgerway over HTTP, shared',
  '@apollo/gateway in process',
  'Ledgerway in process',
  'Ledgerway in process, shared',
  'Apollo Server, constant answer',
  'node:http, same bytes',
].filter((name) => name.includes(options.only))

type Round = Load & { cpuMsPerRequest: number; subgraphRequests: number; rssMb: number }

interface Running extends Peer {
  rounds: Round[]
}

const body = JSON.stringify({ query })
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'bench-federation-'))
const answerFile = join(folder, 'answer.json')
const subgraphs = await startProcess(file('subgraph-process.ts'), [], { cpu: 1 })
const subgraphsUrl = `http://127.0.0.1:${subgraphs.port}`

try {
  const reference = await startGateway(apolloOverHttp, [])
  const answer = await ask(reference.url)
  await reference.stop()
  await writeFile(answerFile, answer)
  const results: Result[] = []
  for (const heap of options.heap.split(',').map(Number)) results.push(...(await compare(answer, heap)))
  printTable(results)
} finally {
  await subgraphs.stop()
  await rm(folder, { recursive: true })
}

async function compare(answer: string, heapMb: number): Promise<Result[]> {
  const nodeFlags = heapMb === 0 ? [] : [`--max-semi-space-size=${heapMb}`]
  const running: Running[] = []
  try {
    for (const name of gateways) running.push({ ...(await startGateway(name, nodeFlags)), rounds: [] })
    if (options.peers) {
      const sdl = supergraph((name) => `${subgraphsUrl}/${name}`)
      const peers = await startPeers({
        sdl,
        subgraphsUrl,
        folder: options['peers-folder'] ?? join(folder, 'peers'),
        heapMb,
      })
      running.push(...peers.map((peer) => ({ ...peer, rounds: [] })))
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
    for (const gateway of running.slice()) {
      if (await answersLike(gateway, answer)) continue
      running.splice(running.indexOf(gateway), 1)
      await gateway.stop()
    }
    for (const gateway of running) await showSharing(gateway)
    for (const gateway of running) await load({ url: gateway.url, body, connections, seconds: Math.min(seconds, 3) })
    for (let round = 0; round < rounds; round++) {
      for (const gateway of running) gateway.rounds.push(await measure(gateway))
    }
    return printResults(running, heapMb)
  } finally {
    await Promise.all(running.map((gateway) => gateway.stop()))
  }
}

/** Ours have to; a peer that does not is said and left out. */
async function answersLike(gateway: Peer, answer: string): Promise<boolean> {
  const given = JSON.stringify((JSON.parse(await ask(gateway.url)) as { data: unknown }).data)
  if (given === JSON.stringify((JSON.parse(answer) as { data: unknown }).data)) return true
  if (gateways.includes(gateway.name)) throw new Error(`${gateway.name} answers something else`)
  console.error(`${gateway.name} is left out, since it answers something else: ${given?.slice(0, 200)}`)
  return false
}

/**
 * Shows that what is called shared is, and that nothing else is (how many requests a query needs varies a little with
 * what happens to be ready together), and which peer plans with native code.
 */
async function showSharing(gateway: Peer): Promise<void> {
  const atOnce = 20
  await quiet()
  await ask(gateway.url)
  const alone = await countRequests()
  await Promise.all(Array.from({ length: atOnce }, () => ask(gateway.url)))
  const together = await countRequests()
  const nativePlanner = await gateway.nativePlanner?.()
  const shown = { gateway: gateway.name, subgraphRequests: { alone, [`of${atOnce}AtOnce`]: together }, nativePlanner }
  console.log(JSON.stringify(shown))
  if (alone === 0) return
  const shared = gateway.name.endsWith('shared')
  if (shared === together > (alone * atOnce) / 2) {
    console.error(`${gateway.name} ${shared ? 'shares little' : 'shares requests'}: see the line before`)
  }
}

interface Result {
  readonly gateway: string
  readonly heapMb: number
  readonly median: Round
  readonly timesPlainApollo: number | undefined
}

function printResults(running: readonly Running[], heapMb: number): Result[] {
  const results = running.flatMap(({ name, rounds }) => {
    const sorted = rounds.toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond)
    const median = sorted[Math.floor(sorted.length / 2)]
    const errors = rounds.reduce((sum, { errors }) => sum + errors, 0)
    return median === undefined ? [] : [{ gateway: name, heapMb, median, errors }]
  })
  const plain = results.find(({ gateway }) => gateway === apolloOverHttp)?.median.requestsPerSecond
  return results.map(({ gateway, median, errors }) => {
    const timesPlainApollo = plain === undefined ? undefined : median.requestsPerSecond / plain
    console.log(
      JSON.stringify({
        gateway,
        heapMb: heapMb === 0 ? 'default' : heapMb,
        requestsPerSecond: round(median.requestsPerSecond),
        timesPlainApollo: timesPlainApollo === undefined ? undefined : round(timesPlainApollo),
        p50Ms: round(median.p50Ms),
        p99Ms: round(median.p99Ms),
        cpuMsPerRequest: round(median.cpuMsPerRequest),
        subgraphRequests: round(median.subgraphRequests),
        rssMb: round(median.rssMb),
        errors,
      }),
    )
    return { gateway, heapMb, median, timesPlainApollo }
  })
}

/** The table of `docs/performance.md`: where a cell holds two figures, each heap setting has one. */
function printTable(results: readonly Result[]): void {
  const heading =
    'gateway | requests/s | times plain Apollo | p50 ms | p99 ms | CPU ms a request | to subgraphs | memory MB'
  console.error(`| ${heading} |\n| --- |${' ---: |'.repeat(7)}`)
  const shown = (value: number | undefined): string =>
    value === undefined || !Number.isFinite(value) ? '–' : round(value).toLocaleString('en')
  for (const [gateway, each] of Map.groupBy(results, ({ gateway }) => gateway)) {
    const cell = (of: (result: Result) => number | undefined): string => each.map(of).map(shown).join(' / ')
    const cells = [
      gateway,
      cell(({ median }) => median.requestsPerSecond),
      cell(({ timesPlainApollo }) => timesPlainApollo),
      cell(({ median }) => median.p50Ms),
      cell(({ median }) => median.p99Ms),
      cell(({ median }) => median.cpuMsPerRequest),
      cell(({ median }) => median.subgraphRequests),
      cell(({ median }) => median.rssMb),
    ]
    console.error(`| ${cells.join(' | ')} |`)
  }
}

async function startGateway(name: string, nodeFlags: string[]): Promise<Peer> {
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

/** Those since it was last asked. */
async function countRequests(): Promise<number> {
  return ((await (await fetch(`${subgraphsUrl}/count`)).json()) as { count: number }).count
}

/** What the last load has left under way is over, and not counted. */
async function quiet(): Promise<void> {
  do await setTimeout(100)
  while ((await countRequests()) > 0)
}

async function measure(gateway: Peer): Promise<Round> {
  await quiet()
  const before = await gateway.usage()
  const result = await load({ url: gateway.url, body, connections, seconds })
  const after = await gateway.usage()
  return {
    ...result,
    cpuMsPerRequest: (after.cpuMicros - before.cpuMicros) / 1e3 / result.requests,
    subgraphRequests: (await countRequests()) / result.requests,
    rssMb: after.rss / 1024 / 1024,
  }
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
