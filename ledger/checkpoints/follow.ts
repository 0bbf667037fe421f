import { isAppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import { createFeedConsumer, type FeedConsumer } from '../feed-consumer.ts'
import type { CheckpointSigner } from './signer.ts'

const atOnce = 8

/**
 * Signs each ledger's checkpoint soon after it has grown. The feed cursor's lease makes one process the signer of a shard;
 * a second one that still believes it holds it does no harm, since the signer's state decides.
 */
export function createCheckpointFollower(deps: {
  store: Store
  signer: CheckpointSigner
  logger: Logger
  pollMs?: number
}): FeedConsumer {
  const { store, signer, logger, pollMs = 500 } = deps
  return createFeedConsumer({
    store,
    logger,
    name: 'checkpoints',
    begin: 'first',
    pollMs,
    async handle(_shard, rows, signal) {
      const queue = new Set(rows.map(({ companyId }) => companyId)).values()
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          for (const companyId of queue) {
            if (signal.aborted) return
            try {
              await signer.sign(companyId)
            } catch (error) {
              // Raised as an alarm; it must not keep other ledgers from being signed.
              if (!isAppError(error, 'LEDGER_CORRUPT')) throw error
            }
          }
        }),
      )
    },
  })
}
