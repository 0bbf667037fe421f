import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { compose } from '../app/compose.ts'
import { readConfig } from '../app/config.ts'
import { silentLogger } from '../core/log.ts'

/**
 * What it costs to tell many principals of one event: subscribers with a key each watch a company's profile, of which all
 * is public, so that one run serves them all; the baseline has one private field more, and a run for each. From the change
 * until all have had it, and the processor's time for it (server, databases' clients and subscribers, all in one process).
 * `BENCH_SUBSCRIBERS` (200), `BENCH_EVENTS` (20).
 */
const subscribers = Number(process.env['BENCH_SUBSCRIBERS'] ?? 200)
const events = Number(process.env['BENCH_EVENTS'] ?? 20)
const adminKey = 'bench-administrator-key-0123456789'
const selections = { 'all public': '{ name seat }', 'one private field': '{ name seat ledger { size } }' } as const

const dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-bench-'))
try {
  const config = readConfig([], {
    DATA_DIR: dataDir,
    PORT: '0',
    ADMIN_API_KEY: adminKey,
    LOG_LEVEL: 'error',
    DEMO: '0',
  })
  const stop = new AbortController()
  await using app = await compose({ config, logger: silentLogger, out: process.stderr, signal: stop.signal })
  const [url = ''] = app.urls
  await ask(url, 'mutation { createCompany(input: { id: "bench", name: "Bench" }) { position } }')
  const keys: string[] = []
  for (let count = 0; count < subscribers; count++) {
    const { createApiKey } = await ask<{ createApiKey: { key: string } }>(
      url,
      `mutation { createApiKey(input: { label: "subscriber ${count}" }) { key } }`,
    )
    keys.push(createApiKey.key)
  }
  const results = new Map<string, { allHaveItMs: number; cpuMs: number }>()
  for (const [name, selection] of Object.entries(selections)) results.set(name, await measure(url, keys, selection))
  console.log(
    JSON.stringify({
      bench: 'shared-events',
      subscribers,
      events,
      ...results.get('all public'),
      baseline: 'one private field',
      baselineResult: results.get('one private field'),
    }),
  )
} finally {
  await rm(dataDir, { recursive: true, force: true })
}

async function measure(url: string, keys: readonly string[], selection: string) {
  let received = 0
  let all = Promise.withResolvers<void>()
  const onEvent = (): void => {
    received += 1
    if (received === keys.length) all.resolve()
  }
  const query = `subscription { companyChanged(companyId: "bench") { cursor kind company ${selection} } }`
  const sockets = await Promise.all(keys.map((key) => subscribe(url, key, query, onEvent)))
  const change = (count: number): Promise<unknown> =>
    ask(url, `mutation { updateCompany(input: { id: "bench", seat: "${count}" }) { position } }`)
  // Subscribing is not acknowledged: changes are made until one has reached everybody.
  while (received < keys.length) {
    received = 0
    await change(-1)
    await Promise.race([all.promise, new Promise((resolve) => setTimeout(resolve, 500))])
  }
  const times: number[] = []
  const cpu = process.cpuUsage()
  for (let count = 0; count < events; count++) {
    received = 0
    all = Promise.withResolvers()
    const since = performance.now()
    await Promise.all([change(count), all.promise])
    times.push(performance.now() - since)
  }
  const used = process.cpuUsage(cpu)
  for (const socket of sockets) socket.terminate()
  return {
    allHaveItMs: Math.round(times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0),
    cpuMs: Math.round((used.user + used.system) / 1000 / events),
  }
}

async function subscribe(url: string, key: string, query: string, onEvent: () => void): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws')
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init', payload: { 'x-api-key': key } }))
  await once(socket, 'message')
  socket.on('message', (data: Buffer) => {
    const text = data.toString()
    if (text.includes('"type":"ping"')) return socket.send('{"type":"pong"}')
    if (!text.includes('"type":"next"') || text.includes('"errors"')) throw new Error(text)
    return onEvent()
  })
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }))
  return socket
}

async function ask<T>(url: string, query: string): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': adminKey },
    body: JSON.stringify({ query }),
  })
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown }
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  return data
}
