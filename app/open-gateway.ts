import { createMemoryRateLimiter } from '../access/rate-limits-in-memory.ts'
import { createTickets } from '../access/tickets.ts'
import type { Logger } from '../core/log.ts'
import { openToAll } from '../gateway/credentials.ts'
import { defaultLimits } from '../gateway/limits.ts'
import type { Readiness } from '../gateway/http/health.ts'
import type { Config } from './config.ts'
import { composeEdge, composeStatus, type EdgeParts } from './edge.ts'
import { composeFederation, federationReadiness } from './federation.ts'
import { createMetricsRegistry } from './metrics/registry.ts'

/**
 * `ACCESS=open`: a supergraph of the operator's own, served to everybody. It needs no database and opens none, so that there
 * is nothing of ours that it could give away; our own subgraphs would refuse it, since it signs for nobody.
 */
export async function composeOpenGateway(deps: {
  config: Config
  logger: Logger
  out: NodeJS.WriteStream
}): Promise<{ urls: readonly string[] } & AsyncDisposable> {
  const { config, logger, out } = deps
  await using stack = new AsyncDisposableStack()
  const metrics = createMetricsRegistry()
  const federation = stack.use(composeFederation({ config, logger, metrics }))
  const checkReady = (): Promise<Readiness> => federationReadiness(federation)
  const parts: EdgeParts = {
    authenticator: openToAll,
    tickets: createTickets({ stores: [], logger }),
    checkReady,
    limiter: createMemoryRateLimiter(),
    // All are one principal here.
    limits: { operationsPerPrincipal: defaultLimits.operations },
  }
  const server = await composeEdge({ config, logger, metrics, federation, parts }, stack)
  const { url } = await server.listen()
  await composeStatus({ config, logger, out, metrics, authenticator: openToAll, checkReady }, stack)
  out.write(`OPEN ACCESS: whoever reaches ${url} may run every operation of this supergraph, without a key.\n`)
  logger.warn({ url }, 'open access: no key is asked for')
  const running = stack.move()
  return { urls: [url], [Symbol.asyncDispose]: () => running.disposeAsync() }
}
