import { setTimeout as sleep } from 'node:timers/promises'
import { isAppError } from '../../core/errors.ts'
import { type CompanyId, parseShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createStore } from '../../store/create-store.ts'
import { poolProfiles } from '../../store/pool/options.ts'

/**
 * A process that appends until it is killed: 8 writers, each append of three records under keys of its own, repeated until
 * it is acknowledged. Says `ready`, then each acknowledged append's name, a line each; the full stop tells a whole
 * line from one that was cut off by the kill.
 */
const [primaryUrl = '', catalogUrl = '', companyId = '', round = ''] = process.argv.slice(2)
const store = await createStore({
  shards: [{ name: parseShardId('shard-1'), primaryUrl, replicaUrls: [] }],
  catalogUrl,
  pool: poolProfiles['high-throughput'],
  deployment: 'crash',
  logger: silentLogger,
})
const ledger = createLedger({ store })
process.stdout.write('ready.\n')

async function appendUntilAcknowledged(name: string): Promise<void> {
  const records = [0, 1, 2].map((i) => ({
    kind: 'crash.tested',
    source: 'test',
    stream: name,
    data: { text: 'x'.repeat(i * 5_000) },
    key: `${name}/${i}`,
  }))
  for (;;) {
    try {
      await ledger.append(companyId as CompanyId, { records })
      return
    } catch (error) {
      if (!isAppError(error) || !error.retryable) throw error
      await sleep(20)
    }
  }
}

await Promise.all(
  Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; ; i++) {
      const name = `${round}/${writer}/${i}`
      await appendUntilAcknowledged(name)
      process.stdout.write(`${name}.\n`)
    }
  }),
)
