import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import type { Mover } from '../store/move/mover.ts'
import type { Rebalancer } from '../store/move/rebalance.ts'
import { createRepeating } from './repeating.ts'

const pauseMs = 1_000

/**
 * Works at moves and rebalances that nobody works at: new ones, those that a killed process left, and old copies whose
 * time has come. Any number of processes may run one. Stopping interrupts a move where it can be taken up again.
 */
export function createCompanyMover(deps: { mover: Mover; rebalancer: Rebalancer; logger: Logger }): Service {
  const { mover, rebalancer, logger } = deps
  let failures = 0
  return createRepeating(async (signal) => {
    try {
      await mover.runIdle(signal)
      await rebalancer.runIdle(signal)
      failures = 0
    } catch (error) {
      failures += 1
      // The first, the second, the fourth …: an outage is a few lines, however long.
      if ((failures & (failures - 1)) === 0) logger.warn({ failures, error }, 'moves have to wait')
    }
  }, pauseMs)
}
