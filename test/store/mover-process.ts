import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { parseShardId } from '../../core/ids.ts'
import { createMover } from '../../store/move/mover.ts'
import { openStore } from './open-store.ts'

/** A process that works at whatever moves there are, until it is killed. Its argument says where the databases are. */
const databases = z
  .object({
    catalogUrl: z.string(),
    shards: z.array(z.object({ name: z.string(), primaryUrl: z.string() })),
  })
  .parse(JSON.parse(process.argv[2] ?? ''))

const store = await openStore({
  catalogUrl: databases.catalogUrl,
  shards: databases.shards.map(({ name, primaryUrl }) => ({ name: parseShardId(name), primaryUrl, replicaUrls: [] })),
})
const logger = { debug() {}, info() {}, warn: console.error, error: console.error, child: () => logger }
const mover = createMover({ store, logger, cleanupDelayMs: 0 })
process.stdout.write('ready\n')
for (;;) {
  if ((await mover.runIdle()) === 0) await setTimeout(5)
}
