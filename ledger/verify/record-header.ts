import { isAppError } from '../../core/errors.ts'
import { parseCanonical } from '../../core/json/canonical-check.ts'
import type { JsonObject } from '../../core/json/canonical.ts'
import { FormatError } from './format.ts'

export interface RecordHeader {
  readonly kind: string
  readonly stream: string
  readonly version: number
  readonly recordedAt: string
}

/** Of text in a bundle. A bundle's lines have a limit of their own. */
const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxDepth: 64 }

const required = ['kind', 'recordedAt', 'source', 'stream']
const optional = ['actor', 'causation', 'key', 'occurredAt']

/** @throws FormatError */
export function parseRecordHeader(text: string): RecordHeader {
  const header = parsePayload(text, 'header')
  let found = 0
  for (const name of Object.keys(header)) {
    const value = header[name]
    if (name === 'version') {
      if (!Number.isSafeInteger(value) || (value as number) < 1) throw new FormatError('its "version" is not a version')
      continue
    }
    if (required.includes(name)) found++
    else if (!optional.includes(name)) throw new FormatError(`its header has a further field ${JSON.stringify(name)}`)
    if (typeof value !== 'string') throw new FormatError(`the header's "${name}" is not a text`)
  }
  const { kind, stream, version, recordedAt, occurredAt } = header
  if (found !== required.length || version === undefined) {
    const missing = [...required, 'version'].find((name) => header[name] === undefined)
    throw new FormatError(`its header has no field "${missing}"`)
  }
  if (!isTime(recordedAt)) throw new FormatError('"recordedAt" is not a time as YYYY-MM-DDTHH:MM:SS.mmmZ')
  if (occurredAt !== undefined && !isTime(occurredAt)) {
    throw new FormatError('"occurredAt" is not a time as YYYY-MM-DDTHH:MM:SS.mmmZ')
  }
  return { kind, stream, version, recordedAt } as RecordHeader
}

/** A header's, data's or private part's text: canonical JSON, an object, within the ledger's rules. @throws FormatError */
export function parsePayload(text: string, part: string): JsonObject {
  try {
    return parseCanonical(text, limits)
  } catch (error) {
    if (isAppError(error)) throw new FormatError(`${part}: ${error.message}`)
    throw error
  }
}

const timePattern =
  /^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$/

function isTime(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const [, , , day = ''] = timePattern.exec(value) ?? []
  if (day === '') return false
  // The 29th and later are not in every month: such a day turns into another one.
  return day <= '28' || new Date(value).toISOString() === value
}
