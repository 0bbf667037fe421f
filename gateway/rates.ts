import type { Rate, RateCharge, RateLimiter } from '../access/rate-limits.ts'
import { AppError } from '../core/errors.ts'
import type { Principal } from '../core/request.ts'
import { principalKey } from './credentials.ts'

/** Operations per second; what is left out is not limited. */
export interface OperationRates {
  readonly perKey?: Rate
  /** A company over all its keys; an administrator's key counts as its own. */
  readonly perCompany?: Rate
  readonly everybody?: Rate
}

export interface RateGuard {
  /** @throws AppError RATE_LIMITED, with `retryAfterMs` */
  check(principal: Principal): Promise<void>
}

/** Charges every operation to its key, its company and everybody. */
export function createRateGuard(deps: { limiter: RateLimiter; rates: OperationRates }): RateGuard {
  const { limiter, rates } = deps
  return {
    async check(principal) {
      const charges: RateCharge[] = []
      const charge = (scope: string, rate: Rate | undefined): void => {
        if (rate !== undefined) charges.push({ scope, rate, cost: 1 })
      }
      charge(principal.kind === 'anonymous' ? 'anonymous' : `key ${principal.keyId}`, rates.perKey)
      charge(principalKey(principal), rates.perCompany)
      charge('everybody', rates.everybody)
      if (charges.length === 0) return
      const outcome = await limiter.take(charges)
      if (outcome.admitted) return
      const { retryAfterMs } = outcome
      throw new AppError('RATE_LIMITED', `Too many operations; the next may come in ${retryAfterMs} ms.`, {
        details: { retryAfterMs, scope: outcome.scope.split(' ')[0] },
      })
    },
  }
}

export const unlimited: RateGuard = { check: () => Promise.resolve() }
