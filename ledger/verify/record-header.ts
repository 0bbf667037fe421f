import { isAppError } from '../../core/errors.ts'
import { checkCanonical } from '../../core/json/canonical-check.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
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

/** A string without escapes, controls and surrogates: canonical as it stands. */
const plain = '"([^"\\\\\\x00-\\x1f\\ud800-\\udfff]*)"'
const plainHeader = new RegExp(
  `^\\{(?:"actor":${plain},)?(?:"causation":${plain},)?(?:"key":${plain},)?"kind":${plain},(?:"occurredAt":${plain},)?` +
    `"recordedAt":${plain},"source":${plain},"stream":${plain},"version":([1-9][0-9]{0,14})\\}$`,
)

/** @throws FormatError */
export function parseRecordHeader(text: string): RecordHeader {
  const [, , , , kind, occurredAt, recordedAt, , stream, version] = plainHeader.exec(text) ?? []
  if (kind !== undefined && recordedAt !== undefined && stream !== undefined) {
    checkTimes(recordedAt, occurredAt)
    return { kind, stream, version: Number(version), recordedAt }
  }
  return parseAnyHeader(text)
}

function parseAnyHeader(text: string): RecordHeader {
  checkPayload(text, 'header')
  const header = parseJsonText(text) as Record<string, unknown>
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
  checkTimes(recordedAt, occurredAt)
  return { kind, stream, version, recordedAt } as RecordHeader
}

function checkTimes(recordedAt: unknown, occurredAt: unknown): void {
  if (!isTime(recordedAt)) throw new FormatError('"recordedAt" is not a time as YYYY-MM-DDTHH:MM:SS.mmmZ')
  if (occurredAt !== undefined && !isTime(occurredAt)) {
    throw new FormatError('"occurredAt" is not a time as YYYY-MM-DDTHH:MM:SS.mmmZ')
  }
}

/** A header's, data's or private part's text: canonical JSON, an object, within the ledger's rules. @throws FormatError */
export function checkPayload(text: string, part: string): void {
  try {
    checkCanonical(text, limits)
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
