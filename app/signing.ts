import { join } from 'node:path'
import type { Logger } from '../core/log.ts'
import { createCheckpointSigner, type CheckpointSigner } from '../ledger/checkpoints/signer.ts'
import { catalogSignerState, fileSignerState, type SignerState } from '../ledger/checkpoints/signer-state.ts'
import { type Keyring, loadOrCreateKeyring, parseKeyring } from '../ledger/proof/keyring.ts'
import type { Store } from '../store/store.ts'
import { makeDirectory } from './embedded/data-directory.ts'
import { type Config, keysDirectory } from './config.ts'

export interface Signing extends Disposable {
  readonly keyring: Keyring
  readonly signer: CheckpointSigner
  /** What was signed last, outside the shards. */
  readonly states: readonly SignerState[]
}

/**
 * The checkpoint keys, from configuration or the data directory and never from a database, and a signer whose last word is
 * kept in the catalog and in the data directory. @throws AppError CONFIG_INVALID
 */
export function openSigning(deps: { config: Config; store: Store; logger: Logger }): Signing {
  const { config, store, logger } = deps
  makeDirectory(keysDirectory(config), 0o700)
  const keyring =
    config.keys.checkpoint === undefined
      ? loadOrCreateKeyring(join(keysDirectory(config), 'checkpoint.key'), config.deployment)
      : parseKeyring(config.keys.checkpoint)
  const witness = fileSignerState(join(config.dataDir, 'signed-checkpoints'))
  const states = [catalogSignerState(store.catalog), witness]
  const signer = createCheckpointSigner({ store, keyring, states, logger })
  return { keyring, signer, states, [Symbol.dispose]: () => witness[Symbol.dispose]() }
}
