import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'

/**
 * `npm run bench -- large-answer`: how long one large answer keeps everybody else waiting. A list goes from a subgraph
 * over HTTP through the gateway to a client: written in slices, as in the product, and in one go (the baseline). Each line
 * says how long the gateway's event loop was held at most, for the median of the rounds and the worst of them, and what
 * its longest turn took of the processor, which is the same on a machine that is busy with other things; to compare with,
 * what `JSON.parse` and `JSON.stringify` of the same text take alone.
 * `BENCH_ITEMS` (5000,40000,160000), `BENCH_ROUNDS` (5).
 */
const sizes = (process.env['BENCH_ITEMS'] ?? '5000,40000,160000').split(',').map(Number)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5)

const queries = {
  'one subgraph': 'query ($first: Int!) { items(first: $first) { id name note tags price } }',
  'entities of another': 'query ($first: Int!) { items(first: $first) { id name note tags price left } }',
} as const

interface Report {
  readonly heldMs: number
  readonly turnCpuMs: number
  readonly cpuMs: number
  readonly rssMb: number
}

async function start(file: string, ...args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    env: { ...process.env, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: '1' },
  })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, port }
}

async function ask(port: number, query: string, first: number): Promise<string> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'bench' },
    body: JSON.stringify({ query, variables: { first } }),
  })
  const text = await body.text()
  if (statusCode !== 200 || text.startsWith('{"errors"')) throw new Error(text.slice(0, 500))
  return text
}

async function report(child: ChildProcess): Promise<Report> {
  const told = once(child, 'message')
  child.send('report')
  const [told0] = (await told) as [Report]
  return told0
}

const round = (value: number): number => Math.round(value * 10) / 10
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
const timed = (work: () => unknown): number => {
  const since = performance.now()
  work()
  return performance.now() - since
}

const subgraphs = await start('./subgraph-process.ts')
const ways = await Promise.all(
  (['slices', 'one go'] as const).map(async (way) => ({
    way,
    ...(await start('./gateway-process.ts', String(subgraphs.port), way)),
  })),
)
try {
  for (const [name, query] of Object.entries(queries)) {
    for (const items of sizes) {
      const results = new Map<string, Report[]>(ways.map(({ way }) => [way, []]))
      const answers = new Set<string>()
      for (let count = 0; count <= rounds; count++) {
        for (const { way, child, port } of ways) {
          await report(child)
          answers.add(await ask(port, query, items))
          const told = await report(child)
          // The first round is for the compilers.
          if (count > 0) results.get(way)?.push(told)
        }
      }
      const [text = ''] = answers
      if (answers.size !== 1) throw new Error('The answers differ.')
      const parsed: unknown = JSON.parse(text)
      const summary = (way: string): Record<string, number> => {
        const told = results.get(way) ?? []
        return {
          heldMs: round(median(told.map(({ heldMs }) => heldMs))),
          turnCpuMs: round(median(told.map(({ turnCpuMs }) => turnCpuMs))),
          heldWorstMs: round(Math.max(...told.map(({ heldMs }) => heldMs))),
          cpuMs: round(median(told.map(({ cpuMs }) => cpuMs))),
          rssMb: round(Math.max(...told.map(({ rssMb }) => rssMb))),
        }
      }
      console.log(
        JSON.stringify({
          bench: 'large-answer',
          case: name,
          items,
          megabytes: round(text.length / 1e6),
          ...summary('slices'),
          baseline: 'in one go',
          baselineResult: summary('one go'),
          parseMs: round(timed(() => JSON.parse(text))),
          stringifyMs: round(timed(() => JSON.stringify(parsed))),
          rounds,
        }),
      )
    }
  }
} finally {
  for (const { child } of [...ways, subgraphs]) child.kill()
}
