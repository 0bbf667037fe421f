import { isAppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Processor } from '../jobs/processing.ts'
import { ownSource } from '../ledger/own-records.ts'

/** What a verification of a stored ledger found. */
export interface StoredVerification {
  /** Records `from` to `until - 1` were looked at. */
  readonly from: number
  readonly until: number
  /** Base64 of the last leaf looked at; null where there was no record. */
  readonly head: string | null
  /** Null: it verifies. A break of the ledger as a whole has no position. */
  readonly firstBreak: { readonly position: number | null; readonly what: string } | null
}

/** Reads and recomputes the records. `onProgress` is told how many of how many. */
export type VerifyStored = (
  companyId: CompanyId,
  options: {
    from: number
    /** Exclusive; absent: all that there is. */
    until?: number
    signal: AbortSignal
    onProgress: (verified: number, size: number) => Promise<void>
  },
) => Promise<StoredVerification>

export interface NewOpsRecord {
  readonly kind: string
  readonly source: string
  readonly stream: string
  readonly data: { readonly [name: string]: string | number | boolean | null }
  readonly key: string
}

/**
 * Verifies a company's ledger, or the records `from` to `to` of it, as a job, and says so in that ledger: the record's key is
 * the job's, so that a job done twice leaves one record, the first one's. A ledger that does not verify is an alarm, not a failure: trying again would find the same.
 */
export function createVerifyLedger(deps: {
  verify: VerifyStored
  append(companyId: CompanyId, record: NewOpsRecord): Promise<unknown>
  logger: Logger
}): Processor {
  const { verify, append, logger } = deps
  return async ({ job, companyId, signal, progress }) => {
    const asked = job.arguments as { from?: number; to?: number }
    const { from, until, head, firstBreak } = await verify(companyId, {
      from: asked.from ?? 0,
      ...(asked.to === undefined ? {} : { until: asked.to + 1 }),
      signal,
      onProgress: (verified, total) => progress(total === 0 ? 1 : verified / total),
    })
    const ok = firstBreak === null
    if (!ok) logger.error({ companyId, from, until, firstBreak }, 'a ledger does not verify')
    const data = { from, to: Math.max(until - 1, from), size: until, head, ok }
    try {
      await append(companyId, {
        kind: 'chain.verified',
        source: ownSource,
        stream: 'ops',
        data,
        key: `job:${job.id}`,
      })
    } catch (error) {
      // By a worker that was killed right after; that record made the ledger longer, so this one would say another size.
      if (!isAppError(error, 'IDEMPOTENCY_CONFLICT')) throw error
    }
    return { ok, size: until, from, head, firstBreak }
  }
}
