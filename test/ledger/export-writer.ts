import { setTimeout as sleep } from 'node:timers/promises'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { createExportWriter } from '../../ledger/exports/write-exports.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { createStore } from '../../store/create-store.ts'
import { poolProfiles } from '../../store/pool/options.ts'
import type { ShardConfig } from '../../store/shard-config.ts'

/** A process that writes an export, says so after its first chunk lies there, and waits to be killed. */
const { shards, catalogUrl, companyId, skey, wrappingKey } = JSON.parse(process.argv[2] ?? '') as {
  shards: ShardConfig[]
  catalogUrl: string
  companyId: CompanyId
  skey: string
  wrappingKey: string
}
const store = await createStore({
  shards,
  catalogUrl,
  pool: poolProfiles['low-latency'],
  deployment: 'test',
  logger: silentLogger,
})
const keyring = parseKeyring(skey)
const states = [catalogSignerState(store.catalog)]
const signer = createCheckpointSigner({ store, keyring, states, logger: silentLogger })
const exports = createExportWriter({ store, signer, keyring, wrappingKey: Buffer.from(wrappingKey, 'hex') })
void exports.write(companyId, 'normal.1', { private: false, signal: new AbortController().signal })
for (;;) {
  const [row] = await store.onPrimary(
    store.shardOf(companyId),
    (sql) => sql<{ chunks: number }[]>`select chunks from ledger_exports where company_id = ${companyId}`,
  )
  if ((row?.chunks ?? 0) > 0) process.stdout.write('written\n')
  await sleep(1)
}
