import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { createExportWriter } from '../../ledger/exports/write-exports.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { createStore } from '../../store/create-store.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import type { Store } from '../../store/store.ts'
import { patientPool } from '../support/patient-pool.ts'

/** A process that writes an export as far as its first chunk, says so when that lies there, and waits to be killed. */
const { shards, catalogUrl, companyId, skey, wrappingKey } = JSON.parse(process.argv[2] ?? '') as {
  shards: ShardConfig[]
  catalogUrl: string
  companyId: CompanyId
  skey: string
  wrappingKey: string
}
const opened = await createStore({
  shards,
  catalogUrl,
  pool: patientPool('low-latency'),
  deployment: 'test',
  logger: silentLogger,
})
const store: Store = {
  ...opened,
  async transact(id, fn, scope) {
    const result = await opened.transact(id, fn, scope)
    const chunks = await opened.onPrimary(
      opened.shardOf(id),
      (sql) => sql`select from ledger_export_chunks where company_id = ${companyId}`,
    )
    if (chunks.length === 0) return result
    process.stdout.write('written\n')
    return new Promise(() => setInterval(() => {}, 1_000))
  },
}
const keyring = parseKeyring(skey)
const states = [catalogSignerState(store.catalog)]
const signer = createCheckpointSigner({ store, keyring, states, logger: silentLogger })
const exports = createExportWriter({ store, signer, keyring, wrappingKey: Buffer.from(wrappingKey, 'hex') })
await exports.write(companyId, 'normal.1', { private: false, signal: new AbortController().signal })
