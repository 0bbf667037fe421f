/**
 * Rates by the generic cell rate algorithm: each scope remembers one moment, up to which its allowance is spent. A request
 * has several scopes (its key, its company, everybody) and is admitted by all of them or charged to none: what is refused
 * for one must not eat up another.
 */
export interface RateLimiter {
  /** Never rejects: a limiter that cannot be asked admits. */
  take(charges: readonly RateCharge[]): Promise<RateOutcome>
}

export interface RateCharge {
  /** For example `company acme`. */
  readonly scope: string
  readonly rate: Rate
  /** Of the rate's unit; usually 1. */
  readonly cost: number
}

export interface Rate {
  readonly perSecond: number
  /** How much may come at once after a pause. */
  readonly burst: number
}

export type RateOutcome =
  | { readonly admitted: true }
  | { readonly admitted: false; readonly scope: string; readonly retryAfterMs: number }

export const admitted: RateOutcome = { admitted: true }

/** What `take` decides, for one scope: the new moment, or how long to wait. Times in milliseconds. */
export function decide(
  spentUntil: number | undefined,
  { rate, cost }: RateCharge,
  nowMs: number,
): { spentUntil: number } | { waitMs: number } {
  const perUnitMs = 1000 / rate.perSecond
  const next = Math.max(spentUntil ?? nowMs, nowMs) + cost * perUnitMs
  const waitMs = next - rate.burst * perUnitMs - nowMs
  // A rounding's worth over is not over.
  return waitMs > 0.001 ? { waitMs } : { spentUntil: next }
}
