import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { type AppError, isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import { canonicalJson } from '../../core/json/canonical.ts'
import { parseJson } from '../../core/json/scan.ts'
import type { NewRecord } from '../../ledger/ledger.ts'
import { importItem, type ImportedCompany, type ImportedEvent } from './items.ts'
import { readRows } from './rows.ts'

/** Where an import goes. Both calls are idempotent: what is there already stays as it is and is not counted. */
export interface ImportTarget {
  /** Returns how many were created. */
  createCompanies(companies: readonly ImportedCompany[]): Promise<number>
  /** Returns how many were appended; each record carries an idempotency key. @throws AppError */
  append(companyId: CompanyId, records: readonly NewRecord[]): Promise<number>
}

export interface ImportReport {
  lines: number
  companies: number
  records: number
  /** Lines that were there already. */
  unchanged: number
  bad: number
}

/** Lines held in memory at a time. A company's events of one window go out as one batch, in the file's order. */
const windowLines = 5000
const concurrentAppends = 16
const recordsPerAppend = 500

/**
 * Imports a file of companies or events. Running it again changes nothing, so an import that was cut short is resumed by
 * repeating it. A line that cannot be imported is reported and left out; a server that fails ends the import.
 */
export async function runImport(options: {
  file: string
  target: ImportTarget
  onBadLine(line: number, error: AppError): void
  onProgress(bytesRead: number): void
  signal?: AbortSignal
}): Promise<ImportReport> {
  const { file, target, signal } = options
  const report: ImportReport = { lines: 0, companies: 0, records: 0, unchanged: 0, bad: 0 }
  const reject = (line: number, error: unknown): void => {
    if (!isAppError(error) || error.retryable || error.code === 'INTERNAL_SERVER_ERROR') throw error
    report.bad += 1
    options.onBadLine(line, error)
  }
  let window: Line[] = []
  const flush = async (): Promise<void> => {
    await importWindow(window, target, report, reject)
    window = []
  }
  for await (const row of readRows(file)) {
    signal?.throwIfAborted()
    report.lines += 1
    try {
      window.push({ line: row.line, ...importItem(row, (text) => parseJson(Buffer.from(text))) })
    } catch (error) {
      reject(row.line, error)
    }
    if (window.length >= windowLines) {
      await flush()
      options.onProgress(row.bytesRead)
    }
  }
  await flush()
  options.onProgress((await stat(file)).size)
  return report
}

type Line = { line: number } & ReturnType<typeof importItem>
type EventLine = { record: NewRecord & { key: string }; line: number }
type Reject = (line: number, error: unknown) => void

async function importWindow(
  lines: readonly Line[],
  target: ImportTarget,
  report: ImportReport,
  reject: Reject,
): Promise<void> {
  const companies = new Map<CompanyId, { company: ImportedCompany; line: number; stated: boolean }>()
  const events = new Map<CompanyId, Map<string, EventLine>>()
  for (const item of lines) {
    const company = item.type === 'company' ? item.company : item.event.company
    const known = companies.get(company.id)
    if (known === undefined || item.type === 'company' || !known.stated) {
      companies.set(company.id, { company, line: item.line, stated: item.type === 'company' })
    }
    if (item.type === 'event') {
      const record = newRecord(item.event)
      const queue = events.get(company.id) ?? new Map<string, EventLine>()
      // The same fact stated twice is one record.
      if (queue.has(record.key)) report.unchanged += 1
      else queue.set(record.key, { record, line: item.line })
      events.set(company.id, queue)
    }
  }
  const stated = lines.filter((item) => item.type === 'company').length
  const created = await createEach([...companies.values()], target, reject)
  report.companies += created
  report.unchanged += Math.max(0, stated - created)

  const queues = events.entries()
  await Promise.all(
    Array.from({ length: concurrentAppends }, async () => {
      for (const [companyId, byKey] of queues) {
        const queue = [...byKey.values()]
        for (let start = 0; start < queue.length; start += recordsPerAppend) {
          const batch = queue.slice(start, start + recordsPerAppend)
          const appended = await appendEach(companyId, batch, target, reject)
          report.records += appended.appended
          report.unchanged += appended.unchanged
        }
      }
    }),
  )
}

/** All at once; when one of them is bad, one by one, so that only the bad one is left out. */
async function createEach(
  companies: readonly { company: ImportedCompany; line: number }[],
  target: ImportTarget,
  reject: Reject,
): Promise<number> {
  if (companies.length === 0) return 0
  try {
    return await target.createCompanies(companies.map(({ company }) => company))
  } catch (error) {
    const [only] = companies
    if (companies.length === 1 && only !== undefined) {
      reject(only.line, error)
      return 0
    }
    if (!isAppError(error) || error.retryable) throw error
    let created = 0
    for (const company of companies) created += await createEach([company], target, reject)
    return created
  }
}

async function appendEach(
  companyId: CompanyId,
  batch: readonly EventLine[],
  target: ImportTarget,
  reject: Reject,
): Promise<{ appended: number; unchanged: number }> {
  try {
    const appended = await target.append(
      companyId,
      batch.map(({ record }) => record),
    )
    return { appended, unchanged: batch.length - appended }
  } catch (error) {
    const [only] = batch
    if (batch.length === 1 && only !== undefined) {
      reject(only.line, error)
      return { appended: 0, unchanged: 0 }
    }
    if (!isAppError(error) || error.retryable) throw error
    const total = { appended: 0, unchanged: 0 }
    for (const event of batch) {
      const one = await appendEach(companyId, [event], target, reject)
      total.appended += one.appended
      total.unchanged += one.unchanged
    }
    return total
  }
}

function newRecord(event: ImportedEvent): NewRecord & { key: string } {
  const { kind, stream, source, data, occurredAt } = event
  const content = { kind, stream, source, data, ...(occurredAt === undefined ? {} : { occurredAt }) }
  const digest = createHash('sha256').update(canonicalJson(content)).digest('base64url')
  return { ...content, key: `import:${digest}` }
}
