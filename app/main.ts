import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import type { App, ComposeDeps } from './compose.ts'
import { readConfig } from './config.ts'
import { createLogger } from './logger.ts'
import { plainMessage } from './plain-message.ts'

/**
 * `npm start`. Standard output carries one line, `ready <url>`, when queries answer; everything else goes to standard
 * error. SIGINT and SIGTERM stop it in the reverse order of its start; a second one ends it at once.
 */
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130)
    stop.abort()
    endInTime(143)
  })
}

const stopLimitMs = 60_000

/** A server that does not answer must not keep a process that is to end: whoever starts it again waits for its end. */
function endInTime(exitCode: number): void {
  setTimeout(() => {
    process.stderr.write(`ledgerway: not everything stopped within ${stopLimitMs / 1_000} s; ending all the same\n`)
    process.exit(exitCode)
  }, stopLimitMs).unref()
}

/** What runs without our data is not made to load everything that works on it. */
async function start(deps: ComposeDeps): Promise<Pick<App, 'urls'> & { data?: App['data'] } & AsyncDisposable> {
  if (deps.config.access === 'open') return (await import('./open-gateway.ts')).composeOpenGateway(deps)
  return (await import('./compose.ts')).compose(deps)
}

try {
  const config = readConfig(process.argv.slice(2))
  const logger = createLogger(config.logLevel)
  const out = process.stderr
  await using app = await start({ config, logger, out, signal: stop.signal, onFailed: () => endInTime(1) })
  for (const url of app.urls) process.stdout.write(`ready ${url}\n`)
  // Else only an orderly end keeps what was compiled, and `npm start` halves its next start by it.
  flushCompileCache()
  if (app.data !== undefined && config.demo && config.roles.has('workers')) {
    const { loadDemo } = await import('./demo.ts')
    const { store, importTarget: target } = app.data
    await loadDemo({
      store,
      target,
      logger,
      out,
      signal: stop.signal,
      markerFile: join(config.dataDir, 'demo-loading'),
    })
  }
  await new Promise((resolve) => {
    if (stop.signal.aborted) resolve(undefined)
    else stop.signal.addEventListener('abort', resolve, { once: true })
  })
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(`ledgerway: ${plainMessage(error)}\n`)
    process.exitCode = 1
  }
}
