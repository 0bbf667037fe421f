import { AppError, isAppError, listTooLong } from '../core/errors.ts'
import { canonicalPayload } from '../core/json/canonical.ts'
import { headerParts } from './entry.ts'
import { isOwnKind, ownSource } from './own-records.ts'
import { maxRecordsPerAppend, type LedgerLimits } from './limits.ts'
import type { Expectation, NewRecord } from './record.ts'
import { parseTime } from '../core/time.ts'

/** A record checked, and its texts in canonical form: all that can be done before the chain's lock. */
export interface PreparedRecord {
  readonly kind: string
  readonly source: string
  readonly stream: string
  readonly occurredAt: string | null
  readonly actor: string | null
  readonly key: string | null
  readonly causation: string | null
  readonly beforeTime: string
  readonly beforeVersion: string
  readonly data: string
  readonly private: { readonly subject: string; readonly text: string } | null
}

export interface PreparedItem {
  readonly records: readonly PreparedRecord[]
  /** Without those that expect any version. */
  readonly expected: readonly { readonly stream: string; readonly version: number }[]
}

const kindPattern = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/
/** Line feeds separate values on the wire to the database, and control characters have no place in a name. */
// oxlint-disable-next-line no-control-regex
const namePattern = /^[^\u0000-\u001f\u007f]{1,200}$/u

/** `caller` for what came from outside, which may not speak for Ledgerway. */
export type Origin = 'caller' | 'internal'

/** @throws AppError BAD_USER_INPUT | LIST_TOO_LONG | PAYLOAD_TOO_LARGE | JSON_*, with the place in `details.path` */
export function prepareItem(
  input: { readonly records: readonly NewRecord[]; readonly expected?: readonly Expectation[] | undefined },
  origin: Origin,
  limits: LedgerLimits,
): PreparedItem {
  const { records, expected = [] } = input
  if (records.length === 0) throw new AppError('BAD_USER_INPUT', 'An append has at least one record.')
  // What Ledgerway itself appends follows from what callers sent, and one erasure may concern many records.
  if ((origin === 'caller' && records.length > maxRecordsPerAppend) || expected.length > maxRecordsPerAppend) {
    throw listTooLong(
      `An append has at most ${maxRecordsPerAppend} records and expected versions.`,
      maxRecordsPerAppend,
    )
  }
  let bytes = 0
  const prepared = records.map((record, index) => {
    const one = located(index, () => prepareRecord(record, origin, limits))
    bytes += Buffer.byteLength(one.data) + (one.private === null ? 0 : Buffer.byteLength(one.private.text))
    if (bytes > limits.maxBatchBytes) {
      throw new AppError('PAYLOAD_TOO_LARGE', `The payloads of an append have at most ${limits.maxBatchBytes} bytes.`, {
        details: { path: `$.records[${index}]`, limitBytes: limits.maxBatchBytes },
      })
    }
    return one
  })
  refuseRepeatedKeys(prepared)
  return { records: prepared, expected: prepareExpected(expected) }
}

function prepareRecord(record: NewRecord, origin: Origin, limits: LedgerLimits): PreparedRecord {
  if (typeof record.kind !== 'string' || !kindPattern.test(record.kind)) {
    throw refusal('kind', 'kind is 1 to 100 of A-Z, a-z, 0-9 and ._:/-, beginning with a letter or digit.')
  }
  if (origin === 'caller') {
    if (isOwnKind(record.kind))
      throw refusal('kind', `Records of the kind "${record.kind}" are written by Ledgerway alone.`)
    if (record.source === ownSource) throw refusal('source', `The source "${ownSource}" is Ledgerway itself.`)
  }
  const payloadLimits = { maxBytes: limits.maxPayloadBytes, maxDepth: limits.maxDepth }
  const fields = {
    kind: record.kind,
    source: name('source', record.source),
    stream: name('stream', record.stream),
    occurredAt: record.occurredAt == null ? null : parseTime(record.occurredAt, 'occurredAt'),
    actor: optionalName('actor', record.actor),
    key: optionalName('key', record.key),
    causation: optionalName('causation', record.causation),
  }
  const { beforeTime, beforeVersion } = headerParts({
    kind: fields.kind,
    source: fields.source,
    stream: fields.stream,
    occurredAt: fields.occurredAt ?? undefined,
    actor: fields.actor ?? undefined,
    key: fields.key ?? undefined,
    causation: fields.causation ?? undefined,
  })
  return {
    ...fields,
    beforeTime,
    beforeVersion,
    data: within('data', () => canonicalPayload(record.data, payloadLimits)),
    private:
      record.private == null
        ? null
        : {
            subject: name('private.subject', record.private.subject),
            text: within('private.data', () => canonicalPayload(record.private?.data, payloadLimits)),
          },
  }
}

function prepareExpected(expected: readonly Expectation[]): PreparedItem['expected'] {
  return expected.flatMap(({ stream, version }, index) => {
    located(index, () => name('stream', stream), 'expected')
    if (version === 'any') return []
    const number = version === 'none' ? 0 : version
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new AppError('BAD_USER_INPUT', 'An expected version is a whole number from 0, "none" or "any".', {
        details: { path: `$.expected[${index}].version` },
      })
    }
    return [{ stream, version: number }]
  })
}

function refuseRepeatedKeys(records: readonly PreparedRecord[]): void {
  const seen = new Set<string>()
  for (const [index, { key }] of records.entries()) {
    if (key === null) continue
    if (seen.has(key)) {
      throw new AppError('BAD_USER_INPUT', 'Two records of one append have the same idempotency key.', {
        details: { path: `$.records[${index}].key` },
      })
    }
    seen.add(key)
  }
}

function name(field: string, value: unknown): string {
  if (typeof value !== 'string' || !value.isWellFormed() || !namePattern.test(value)) {
    throw refusal(field, `${field} is 1 to 200 characters, none of them a control character.`)
  }
  return value
}

const optionalName = (field: string, value: string | null | undefined): string | null =>
  value == null ? null : name(field, value)

function refusal(field: string, message: string): AppError {
  return new AppError('BAD_USER_INPUT', message, { details: { path: `$.${field}` } })
}

/** Puts the field before the path inside it: `$.a` of `data` is `$.data.a`. */
function within<T>(field: string, fn: () => T): T {
  return prefixed(`$.${field}`, fn)
}

function located<T>(index: number, fn: () => T, list = 'records'): T {
  return prefixed(`$.${list}[${index}]`, fn)
}

function prefixed<T>(prefix: string, fn: () => T): T {
  try {
    return fn()
  } catch (error) {
    if (!isAppError(error) || typeof error.details['path'] !== 'string') throw error
    const inner = error.details['path']
    const path = prefix + inner.slice(1)
    throw new AppError(
      error.code,
      error.message.replace(`at ${inner}`, () => `at ${path}`),
      { cause: error, details: { ...error.details, path } },
    )
  }
}
