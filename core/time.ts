import { AppError } from './errors.ts'

const pattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/

/** Unix milliseconds in the ledger's format, `2026-01-31T12:00:00.000Z`; it sorts as text. */
export function formatTime(unixMs: number): string {
  return new Date(unixMs).toISOString()
}

/**
 * An ISO 8601 time with an offset, to the millisecond at most, in the ledger's format.
 * @throws AppError BAD_USER_INPUT, also for days that no month has
 */
export function parseTime(text: string, field: string): string {
  if (text.length === 24 && text.endsWith('Z')) {
    // Most are written as the ledger writes them: what comes out as it went in is one.
    const time = new Date(text)
    if (!Number.isNaN(time.getTime()) && time.toISOString() === text) return text
  }
  const [, local = '', fraction = '', offset = ''] = pattern.exec(text) ?? []
  const utc = new Date(`${local}${fraction}Z`)
  const shifted = new Date(`${local}${fraction}${offset}`)
  if (Number.isNaN(utc.getTime()) || Number.isNaN(shifted.getTime()) || !utc.toISOString().startsWith(local)) {
    throw refusal(field)
  }
  const result = shifted.toISOString()
  if (result.length !== 24) throw refusal(field)
  return result
}

function refusal(field: string): AppError {
  const message = `${field} is an ISO 8601 time with an offset, "2026-01-31T12:00:00.000Z".`
  return new AppError('BAD_USER_INPUT', message, { details: { path: `$.${field}` } })
}
