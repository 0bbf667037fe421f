import { once } from 'node:events'
import { startEmbeddedPostgres } from '../../../app/embedded/postgres.ts'
import { startRedis } from '../../../app/embedded/redis.ts'
import { claimDataDirectory } from '../../../app/embedded/run-file.ts'
import { silentLogger } from '../../../core/log.ts'

/** Runs servers on the directory in the first argument until standard input ends. */
const dataDir = process.argv[2] ?? ''
const claim = await claimDataDirectory(dataDir)
await using stack = new AsyncDisposableStack()
stack.use(claim)
const postgres = stack.use(await startEmbeddedPostgres({ dataDir, shardCount: 1, logger: silentLogger }))
const redis = stack.use(await startRedis({ dataDir, logger: silentLogger }))
const redisUrl = redis.kind === 'redis' ? redis.url : null
await claim.publish({ roles: ['workers'], shards: [], catalogUrl: postgres.catalogUrl, redisUrl })
console.log(JSON.stringify({ primaryUrl: postgres.shards[0]?.primaryUrl, redisUrl }))
process.stdin.resume()
await once(process.stdin, 'end')
