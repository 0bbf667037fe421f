import type { FastifyInstance } from 'fastify'
import type { Logger } from '../../core/log.ts'

export interface PartHealth {
  readonly ok: boolean
  /** For operators; MUST hold no address and no credential. */
  readonly detail?: string
}

/** Whether queries answer, part by part. Ready means that every part is `ok`, or says by `degraded` that it is not needed. */
export interface Readiness {
  readonly ready: boolean
  readonly parts: Readonly<Record<string, PartHealth>>
}

const keptMs = 1_000
const checkMs = 2_000

/**
 * `GET /health/live`: the process runs. `GET /health/ready`, or `/health` for short: 200 only while queries answer. The check runs at most once a
 * second and never twice at once, however often it is asked for, and counts as failed when it takes too long.
 */
export function addHealthRoutes(
  app: FastifyInstance,
  deps: { check: () => Promise<Readiness>; draining: () => boolean; logger: Logger },
): void {
  let last: { atMs: number; readiness: Readiness } | undefined
  let running: Promise<Readiness> | undefined

  async function bounded(): Promise<Readiness> {
    const late = Promise.withResolvers<Readiness>()
    const timer = setTimeout(
      () => late.resolve({ ready: false, parts: { check: { ok: false, detail: `no answer within ${checkMs} ms` } } }),
      checkMs,
    )
    try {
      return await Promise.race([deps.check(), late.promise])
    } catch (error) {
      deps.logger.warn({ error }, 'the readiness check failed')
      return { ready: false, parts: { check: { ok: false } } }
    } finally {
      clearTimeout(timer)
    }
  }

  async function readiness(): Promise<Readiness> {
    if (deps.draining()) return { ready: false, parts: { server: { ok: false, detail: 'shutting down' } } }
    if (last !== undefined && performance.now() - last.atMs < keptMs) return last.readiness
    running ??= bounded().finally(() => {
      running = undefined
    })
    const found = await running
    last = { atMs: performance.now(), readiness: found }
    return found
  }

  app.get('/health/live', async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'live' }))
  for (const path of ['/health', '/health/ready']) {
    app.get(path, async (_request, reply) => {
      const { ready, parts } = await readiness()
      return reply
        .code(ready ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ status: ready ? 'ready' : 'not ready', parts })
    })
  }
}
