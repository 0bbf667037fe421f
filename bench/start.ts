import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startEmbeddedPostgres } from '../app/embedded/postgres.ts'
import { silentLogger } from '../core/log.ts'

/**
 * How long `npm start` takes until it is ready, on an empty data directory (cold) and on one that was used before (warm).
 * The baseline is the same Postgres clusters alone, started by the same code on a directory of their own, in the same
 * round, with the order changed every round. The median round counts. `BENCH_ROUNDS` (3).
 */
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const product = fileURLToPath(new URL('../app/main.ts', import.meta.url))
const times = { cold: [] as number[], warm: [] as number[], baselineCold: [] as number[], baselineWarm: [] as number[] }

for (let round = 0; round < rounds; round += 1) {
  const measures = [
    () => onEmptyDirectory(startProduct, times.cold, times.warm),
    () => onEmptyDirectory(startClusters, times.baselineCold, times.baselineWarm),
  ]
  for (const measure of round % 2 === 0 ? measures : measures.toReversed()) await measure()
}
report('start cold', times.cold, times.baselineCold, 8_000)
report('start warm', times.warm, times.baselineWarm, 4_000)

async function onEmptyDirectory(
  start: (dataDir: string) => Promise<{ ms: number; stop(): Promise<void> }>,
  cold: number[],
  warm: number[],
): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-bench-'))
  try {
    for (const list of [cold, warm]) {
      const { ms, stop } = await start(dataDir)
      list.push(ms)
      await stop()
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** From the spawn of node to the line that says it is ready. */
async function startProduct(dataDir: string): Promise<{ ms: number; stop(): Promise<void> }> {
  const before = performance.now()
  const child = spawn(process.execPath, [product], {
    env: { ...process.env, DATA_DIR: dataDir, PORT: '0', DEMO: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-2_000)))
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('ready ')) continue
    const ms = performance.now() - before
    return {
      ms,
      async stop() {
        child.kill('SIGINT')
        await exited
      },
    }
  }
  throw new Error(`the product ended before it was ready:\n${complaint}`)
}

async function startClusters(dataDir: string): Promise<{ ms: number; stop(): Promise<void> }> {
  const before = performance.now()
  const clusters = await startEmbeddedPostgres({ dataDir, logger: silentLogger })
  return { ms: performance.now() - before, stop: async () => await clusters[Symbol.asyncDispose]() }
}

function report(name: string, measured: number[], baseline: number[], targetMs: number): void {
  const value = median(measured)
  const base = median(baseline)
  console.log(
    JSON.stringify({
      bench: name,
      ms: Math.round(value),
      baseline: 'the same Postgres clusters alone',
      baselineMs: Math.round(base),
      ratio: Number((value / base).toFixed(2)),
      targetMs,
      met: value <= targetMs,
      rounds,
    }),
  )
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
