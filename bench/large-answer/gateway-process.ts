import { monitorEventLoopDelay } from 'node:perf_hooks'
import { AppError } from '../../core/errors.ts'
import { silentLogger } from '../../core/log.ts'
import { createFederatedGateway } from '../../gateway/executor/gateway.ts'
import { textSource } from '../../gateway/planner/supergraph-source.ts'
import { createGatewayServer } from '../../gateway/server.ts'
import { createRoute } from '../../gateway/transport/route.ts'
import { supergraph } from './subgraphs.ts'

/**
 * The gateway as in the product, in a process of its own: its arguments are the subgraphs' address and `slices` or
 * `one go`. It tells how long its event loop was held since it was last asked.
 */
const [, , subgraphs = '', way = ''] = process.argv
const url = `http://127.0.0.1:${subgraphs}`
const route = createRoute({
  urlOf: (name) => `${url}/${name}`,
  http: () => (way === 'slices' ? {} : { parseMax: Number.MAX_SAFE_INTEGER }),
})
const gateway = createFederatedGateway({
  supergraph: textSource(supergraph(url)),
  executor: route.execute,
  logger: silentLogger,
  ...(way === 'slices' ? {} : { itemsMax: Number.MAX_SAFE_INTEGER }),
})
const refuse = (): never => {
  throw new AppError('UNAUTHENTICATED', 'There are no tickets here.')
}
const server = createGatewayServer({
  gateway,
  authenticator: {
    authenticate: async () => ({ kind: 'admin', keyId: 'bench', scopes: ['*'] }),
    valid: () => true,
    onRevoked: () => () => undefined,
  },
  tickets: { issue: refuse, redeem: refuse, resume: refuse },
  checkReady: async () => ({ ready: true, parts: {} }),
  logger: silentLogger,
  host: '127.0.0.1',
  port: 0,
  development: true,
})
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
let cpu = process.cpuUsage()
/** Of this thread between two timers that are due at every turn: what a turn took, whoever else uses the machine. */
let turnCpuMs = 0
let threadCpu = process.threadCpuUsage()
setInterval(() => {
  const used = process.threadCpuUsage(threadCpu)
  turnCpuMs = Math.max(turnCpuMs, (used.user + used.system) / 1000)
  threadCpu = process.threadCpuUsage()
}, 1)
process.on('message', () => {
  const used = process.cpuUsage(cpu)
  process.send?.({
    heldMs: delay.max / 1e6,
    turnCpuMs,
    cpuMs: (used.user + used.system) / 1000,
    rssMb: process.memoryUsage.rss() / 1e6,
  })
  delay.reset()
  turnCpuMs = 0
  cpu = process.cpuUsage()
})
const { port } = await server.listen()
process.send?.({ port })
