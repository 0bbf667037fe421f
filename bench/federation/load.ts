import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Pool } from 'undici'

export interface Load {
  requests: number
  errors: number
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
}

export interface LoadOptions {
  url: string
  body: string
  connections: number
  seconds: number
}

const run = promisify(execFile)

/** True when the program is on the PATH. */
export async function hasProgram(name: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${name}`]).then(
    () => true,
    () => false,
  )
}

/** With wrk where it is installed; its load costs the least. */
export async function load(options: LoadOptions): Promise<Load> {
  return (await hasProgram('wrk')) ? loadByWrk(options) : loadByUndici(options)
}

async function loadByWrk({ url, body, connections, seconds }: LoadOptions): Promise<Load> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-federation-'))
  try {
    const script = join(folder, 'post.lua')
    await writeFile(
      script,
      `wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [==[${body}]==]
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"errors":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d}',
    summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
`,
    )
    const cpu = (await hasProgram('taskset')) ? ['taskset', '-c', '1'] : []
    const [command, ...args] = [...cpu, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url]
    const { stdout } = await run(command, args)
    const line = stdout.slice(stdout.indexOf('RESULT ') + 'RESULT '.length)
    const result = JSON.parse(line) as Record<'requests' | 'errors' | 'durationUs' | 'p50Us' | 'p99Us', number>
    return {
      requests: result.requests,
      errors: result.errors,
      requestsPerSecond: result.requests / (result.durationUs / 1e6),
      p50Ms: result.p50Us / 1e3,
      p99Ms: result.p99Us / 1e3,
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function loadByUndici({ url, body, connections, seconds }: LoadOptions): Promise<Load> {
  const { origin, pathname } = new URL(url)
  await using pool = Object.assign(new Pool(origin, { connections, pipelining: 1 }), {
    async [Symbol.asyncDispose](this: Pool) {
      await this.close()
    },
  })
  const latencies: number[] = []
  let errors = 0
  const start = performance.now()
  const endMs = start + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < endMs) {
        const sent = performance.now()
        const response = await pool.request({
          method: 'POST',
          path: pathname,
          headers: { 'content-type': 'application/json' },
          body,
        })
        await response.body.arrayBuffer()
        if (response.statusCode !== 200) errors += 1
        latencies.push(performance.now() - sent)
      }
    }),
  )
  const elapsedSeconds = (performance.now() - start) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  return {
    requests: latencies.length,
    errors,
    requestsPerSecond: latencies.length / elapsedSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

/** A node process of ours that says its port; pinned to one core where that can be done. */
export async function startProcess(
  file: string,
  args: string[],
  options: { cpu: number; nodeFlags?: string[]; env?: Record<string, string> },
): Promise<{ port: number; stop(): Promise<void> }> {
  const node = [process.execPath, ...(options.nodeFlags ?? []), file, ...args]
  const pinned = (await hasProgram('taskset')) ? ['taskset', '-c', String(options.cpu), ...node] : node
  const [command = '', ...rest] = pinned
  const child = spawn(command, rest, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: '1', ...options.env },
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port))
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
  })
  return {
    port,
    async stop() {
      child.kill()
      await ended
    },
  }
}
