import type { CompanyId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Processor } from '../jobs/processing.ts'

/** What a full verification of a stored ledger found. */
export interface StoredVerification {
  readonly ok: boolean
  /** Records verified. */
  readonly size: number
  /** Base64 of the last leaf; null for an empty ledger. */
  readonly head: string | null
}

/** Reads and recomputes every record. `onProgress` is told how many of how many. */
export type VerifyStored = (
  companyId: CompanyId,
  options: { signal: AbortSignal; onProgress: (verified: number, size: number) => Promise<void> },
) => Promise<StoredVerification>

export interface NewOpsRecord {
  readonly kind: string
  readonly source: string
  readonly stream: string
  readonly data: { readonly [name: string]: string | number | boolean | null }
  readonly key: string
}

/**
 * Verifies a company's ledger as a job, and says so in that ledger: the record's key is the job's, so that a job done twice
 * leaves one record. A ledger that does not verify is an alarm, not a failure: trying again would find the same.
 */
export function createVerifyLedger(deps: {
  verify: VerifyStored
  append(companyId: CompanyId, record: NewOpsRecord): Promise<unknown>
  logger: Logger
}): Processor {
  const { verify, append, logger } = deps
  return async ({ job, companyId, signal, progress }) => {
    const { ok, size, head } = await verify(companyId, {
      signal,
      onProgress: (verified, total) => progress(total === 0 ? 1 : verified / total),
    })
    if (!ok) logger.error({ companyId, size, head }, 'a ledger does not verify')
    const data = { from: 0, to: Math.max(size - 1, 0), size, head, ok }
    await append(companyId, { kind: 'chain.verified', source: 'ledgerway', stream: 'ops', data, key: `job:${job.id}` })
    return { ok, size, head }
  }
}
