import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'

/**
 * From a client's append to every subscriber's message, through the whole product (HTTP, ledger, relay, bus, plan,
 * WebSocket); the baseline is a bare `ws` server that is posted the same bytes and sends them to everyone. Subscribers are
 * one connection each, all in this process, which shares the machine with the server: large numbers measure both.
 * Takes about two minutes on two cores; `--short` (100 and 1,000, fewer events) half a minute. `BENCH_SUBSCRIBERS`
 * (1,100,1000,5000), `BENCH_EVENTS` (100), `BENCH_BURST` (50).
 */
const short = process.argv.includes('--short')
const counts = (process.env['BENCH_SUBSCRIBERS'] ?? (short ? '100,1000' : '1,100,1000,5000')).split(',').map(Number)
const events = Number(process.env['BENCH_EVENTS'] ?? (short ? 30 : 100))
const burst = Number(process.env['BENCH_BURST'] ?? (short ? 20 : 50))
/** Few subscribers make few samples of an event: the 99th of a hundred is the worst. */
const eventsFor = (subscribers: number): number => (subscribers < 10 ? events * 10 : events)
/** What is measured is a server that runs, not one whose code is still being compiled. */
const warmUpFor = (subscribers: number): number => (subscribers < 10 ? events * 3 : Math.min(events, 20))
const adminKey = 'bench-subscriptions-key-0123456789abcdef'
const company = 'bench'

interface Target extends AsyncDisposable {
  readonly name: string
  readonly pid: number
  /** Opens one subscriber; each of its events calls `onEvent`. */
  connect(onEvent: (message: string) => void): Promise<WebSocket>
  /** Makes this many events in one call. */
  publish(count: number): Promise<void>
}

async function startProcess(
  file: string,
  env: Record<string, string>,
): Promise<{ url: string; pid: number; stop(): Promise<void> }> {
  const child = spawn(process.execPath, ['--max-semi-space-size=64', fileURLToPath(new URL(file, import.meta.url))], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^ready (\S+)/.exec(line) ?? []
    if (url === undefined) continue
    return {
      url,
      pid: child.pid ?? 0,
      async stop() {
        child.kill('SIGTERM')
        await exited
      },
    }
  }
  throw new Error(`${file} ended before it was ready`)
}

async function openSocket(url: string, protocol?: string): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), protocol, { perMessageDeflate: false })
  await once(socket, 'open')
  return socket
}

async function product(): Promise<Target> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-bench-'))
  const { url, pid, stop } = await startProcess('../../app/main.ts', {
    DATA_DIR: dataDir,
    PORT: '0',
    DEMO: '0',
    ADMIN_API_KEY: adminKey,
  })
  const ask = async (query: string, variables: object): Promise<void> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': adminKey },
      body: JSON.stringify({ query, variables }),
    })
    const answer = (await response.json()) as { errors?: unknown }
    if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  }
  await ask('mutation ($id: ID) { createCompany(input: { id: $id, name: "Bench" }) { position } }', { id: company })
  const append = 'mutation ($input: AppendRecordsInput!) { appendRecords(input: $input) { position } }'
  const record = { kind: 'order.placed', source: 'bench', stream: 'orders', data: { order: '4711', amount: '12.50' } }
  const subscribe = JSON.stringify({
    id: '1',
    type: 'subscribe',
    payload: {
      query: `subscription { recordAppended(companyId: "${company}") { cursor record { id position kind data } } }`,
    },
  })
  return {
    name: 'ledgerway',
    pid,
    async connect(onEvent) {
      const socket = await openSocket(url, 'graphql-transport-ws')
      socket.send(JSON.stringify({ type: 'connection_init', payload: { 'x-api-key': adminKey } }))
      await once(socket, 'message')
      socket.on('message', (data: Buffer) => {
        const message = data.toString('latin1')
        if (message.includes('"type":"next"')) onEvent(data.toString())
        else if (!message.includes('"type":"ping"')) throw new Error(message)
        else socket.send('{"type":"pong"}')
      })
      socket.send(subscribe)
      return socket
    },
    publish: (count) =>
      ask(append, { input: { companyId: company, records: Array.from({ length: count }, () => record) } }),
    async [Symbol.asyncDispose]() {
      await stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function bare(message: string): Promise<Target> {
  const { url, pid, stop } = await startProcess('./bare.ts', {})
  return {
    name: 'bare ws',
    pid,
    async connect(onEvent) {
      const socket = await openSocket(url)
      socket.on('message', (data: Buffer) => onEvent(data.toString()))
      return socket
    },
    async publish(count) {
      await fetch(url, { method: 'POST', body: Array.from({ length: count }, () => message).join('\n') })
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** Processor time of a process so far, in microseconds, on Linux: unlike the clock's it does not tell how busy the machine is. */
function processorMicros(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  } catch {
    return Number.NaN
  }
}
/** Resident memory of a process, in KiB. */
const residentKiB = (pid: number): number => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString())
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const round = (value: number): number => Math.round(value * 100) / 100

interface Measured {
  /** From sending an append to its event's arrival; `answerP50Ms` to the append's own answer, which is a commit and a way back. */
  readonly answerP50Ms: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly deliveriesPerSecond: number
  /** The server's processor time for one event to one subscriber, events one by one and in a burst. */
  readonly microsPerDelivery: number
  readonly microsPerDeliveryInBurst: number
  readonly kibPerSubscription: number
}

async function measure(target: Target, count: number, sample: { message: string }): Promise<Measured> {
  const before = residentKiB(target.pid)
  let received = 0
  let sentAt = 0
  let latencies: number[] = []
  let answers: number[] = []
  let wanted = Number.POSITIVE_INFINITY
  let all = Promise.withResolvers<void>()
  const first = new Set<number>()
  const sockets: WebSocket[] = []
  const onEvent = (index: number) => (message: string) => {
    sample.message = message
    first.add(index)
    received += 1
    latencies.push(performance.now() - sentAt)
    if (received >= wanted) all.resolve()
  }
  for (let start = 0; start < count; start += 50) {
    const size = Math.min(50, count - start)
    sockets.push(...(await Promise.all(Array.from({ length: size }, (_, i) => target.connect(onEvent(start + i))))))
  }
  // Subscribing is not acknowledged: events are sent until everyone has had one.
  while (first.size < count) {
    await target.publish(1)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  let quiet = -1
  while (quiet !== received) {
    quiet = received
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const idleKiB = residentKiB(target.pid)

  const run = async (batch: number): Promise<number> => {
    received = 0
    wanted = batch * count
    all = Promise.withResolvers()
    sentAt = performance.now()
    const published = target.publish(batch).then(() => answers.push(performance.now() - sentAt))
    await Promise.all([published, all.promise])
    return performance.now() - sentAt
  }
  const singles = eventsFor(count)
  for (let i = 0; i < warmUpFor(count); i += 1) await run(1)
  latencies = []
  answers = []
  const began = processorMicros(target.pid)
  for (let i = 0; i < singles; i += 1) await run(1)
  const singleMicros = processorMicros(target.pid) - began
  const sorted = latencies.toSorted((a, b) => a - b)
  const answered = answers.toSorted((a, b) => a - b)
  const burstBegan = processorMicros(target.pid)
  const burstMs = await run(burst)
  const burstMicros = processorMicros(target.pid) - burstBegan

  for (const socket of sockets) socket.terminate()
  return {
    answerP50Ms: round(at(answered, 0.5)),
    p50Ms: round(at(sorted, 0.5)),
    p99Ms: round(at(sorted, 0.99)),
    deliveriesPerSecond: Math.round((burst * count * 1_000) / burstMs),
    microsPerDelivery: round(singleMicros / (singles * count)),
    microsPerDeliveryInBurst: round(burstMicros / (burst * count)),
    kibPerSubscription: round((idleKiB - before) / count),
  }
}

const sample = { message: '' }
const ours = new Map<number, Measured>()
for (const count of counts) {
  console.error(`${count} subscribers`)
  // A fresh process each, so that memory says something.
  await using target = await product()
  ours.set(count, await measure(target, count, sample))
}
for (const count of counts) {
  await using target = await bare(sample.message)
  const baseline = await measure(target, count, { message: '' })
  console.log(
    JSON.stringify({
      bench: 'subscriptions',
      subscribers: count,
      ...ours.get(count),
      baseline: target.name,
      baselineResult: baseline,
    }),
  )
}
