import type { CompanyId } from '../core/ids.ts'
import type { Processor } from '../jobs/processing.ts'
import type { ExportWriter } from '../ledger/exports/write-exports.ts'
import { ownSource } from '../ledger/own-records.ts'
import type { NewOpsRecord } from './verify-ledger.ts'

/**
 * Writes a company's ledger as a bundle, as a job, and says so in that ledger: who holds a copy is part of its history. The
 * export bears the job's id, so that a job done twice leaves one; each file that was made has its record.
 */
export function createExportLedger(deps: {
  exports: ExportWriter
  append(companyId: CompanyId, record: NewOpsRecord): Promise<unknown>
}): Processor {
  const { exports, append } = deps
  return async ({ job, companyId, signal, progress }) => {
    const { private: withPrivate } = job.arguments as { private: boolean }
    const done = await exports.write(companyId, job.id, {
      private: withPrivate,
      signal,
      onProgress: (records, total) => void progress(records / total).catch(() => {}),
    })
    const data = { size: done.size, sha256: done.sha256, private: done.private, by: job.submittedBy }
    await append(companyId, {
      kind: 'ledger.exported',
      source: ownSource,
      stream: 'ops',
      data,
      key: `job:${job.id}:${done.sha256.slice(0, 16)}`,
    })
    return { ...done, url: `/exports/${done.id}` }
  }
}
