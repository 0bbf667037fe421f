import { isAppError } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import { scanJsonText } from '../../core/json/scan.ts'

/** A line or a field that is not as the format has it. The message says what. */
export class FormatError extends Error {}

export interface BundleHeader {
  readonly origin: string
  readonly size: number
  readonly private: boolean
  readonly checkpoint: string
  readonly vkey: string
}

/** A record's line. Salts and commitments are base64 of 32 bytes, in its one spelling. */
export interface BundleRecord {
  readonly position: number
  readonly header: string
  readonly data: string | null
  readonly salt: string | null
  readonly dataCommitment: string
  readonly private: string | null
  readonly privateSalt: string | null
  readonly privateCommitment: string | null
}

export const originPattern = /^[a-z0-9.-]+\/[a-z0-9.-]+$/

/** Base64 of 32 zero bytes: in an entry, "no private part" and "no previous leaf". */
export const zeroHash = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='

const formatName = 'ledgerway-bundle/v1'
const headerFields = ['format', 'origin', 'size', 'private', 'checkpoint', 'vkey']
const recordFields = [
  'position',
  'header',
  'data',
  'salt',
  'dataCommitment',
  'private',
  'privateSalt',
  'privateCommitment',
]
const lineLimits = { maxBytes: Number.MAX_SAFE_INTEGER, maxDepth: 1 }

/** Per character code: 1 for a digit of base64, 3 for one whose two lowest bits are zero. */
const base64Digits = new Uint8Array(128)
for (const [value, digit] of Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/').entries()) {
  base64Digits[digit.charCodeAt(0)] = value % 4 === 0 ? 3 : 1
}

/** @throws FormatError */
export function parseBundleHeader(line: string): BundleHeader {
  const value = parseLine(line, headerFields)
  const { format, origin, size, private: withPrivate, checkpoint, vkey } = value
  if (format !== formatName) throw new FormatError(`its format is not "${formatName}"`)
  if (typeof origin !== 'string' || !originPattern.test(origin)) throw new FormatError('its "origin" is not an origin')
  if (!isPosition(size)) throw new FormatError('its "size" is not a size')
  if (typeof withPrivate !== 'boolean') throw new FormatError('its "private" is neither true nor false')
  if (typeof checkpoint !== 'string') throw new FormatError('its "checkpoint" is not a text')
  if (typeof vkey !== 'string') throw new FormatError('its "vkey" is not a text')
  return { origin, size, private: withPrivate, checkpoint, vkey }
}

/** The key that a first line names, also where something else is wrong with the line. */
export function namedKeyOf(line: string): Pick<BundleHeader, 'vkey' | 'checkpoint'> | undefined {
  try {
    const { vkey, checkpoint } = JSON.parse(line) as Record<string, unknown>
    return typeof vkey === 'string' && typeof checkpoint === 'string' ? { vkey, checkpoint } : undefined
  } catch {
    return undefined
  }
}

/** @throws FormatError */
export function parseBundleRecord(line: string, expectedPosition: number): BundleRecord {
  return readPlainRecord(line, expectedPosition) ?? readRecord(line)
}

const tail = {
  salt: '","salt":"',
  dataCommitment: '","dataCommitment":"',
  end: '","private":null,"privateSalt":null,"privateCommitment":null}',
}
const hashLength = 44
const tailLength = tail.salt.length + hashLength + tail.dataCommitment.length + hashLength + tail.end.length

/**
 * The line of a record without a private part, spelled as exporters spell it: most lines of most bundles. The two texts
 * are parsed each for itself, so that what lies between fixed places is one string and nothing else; everything that is
 * not exactly like this is left to `readRecord`.
 */
function readPlainRecord(text: string, position: number): BundleRecord | undefined {
  const start = `{"position":${position},"header":`
  const tailAt = text.length - tailLength
  const saltAt = tailAt + tail.salt.length
  const commitmentAt = saltAt + hashLength + tail.dataCommitment.length
  if (!text.startsWith(start) || !text.endsWith(tail.end) || !text.startsWith(tail.salt, tailAt)) return undefined
  if (!text.startsWith(tail.dataCommitment, saltAt + hashLength)) return undefined
  const headerEnd = text.indexOf('","data":"', start.length) + 1
  if (headerEnd === 0 || headerEnd > tailAt) return undefined
  const salt = text.slice(saltAt, saltAt + hashLength)
  const dataCommitment = text.slice(commitmentAt, commitmentAt + hashLength)
  if (!isHash(salt) || !isHash(dataCommitment)) return undefined
  try {
    const header: unknown = JSON.parse(text.slice(start.length, headerEnd))
    const data: unknown = JSON.parse(text.slice(headerEnd + ',"data":'.length, tailAt + 1))
    if (typeof header !== 'string' || typeof data !== 'string') return undefined
    return { position, header, data, salt, dataCommitment, private: null, privateSalt: null, privateCommitment: null }
  } catch {
    return undefined
  }
}

function readRecord(line: string): BundleRecord {
  const value = parseLine(line, recordFields)
  const { position, header, dataCommitment, privateCommitment } = value
  if (!isPosition(position)) throw new FormatError('"position" is not a position')
  if (typeof header !== 'string') throw new FormatError('"header" is not a text')
  if (!isHash(dataCommitment)) throw new FormatError('"dataCommitment" is not base64 of 32 bytes')
  if (privateCommitment !== null && !isHash(privateCommitment)) {
    throw new FormatError('"privateCommitment" is not base64 of 32 bytes')
  }
  if (privateCommitment === zeroHash)
    throw new FormatError('"privateCommitment" is null where there is no private part')
  const [data, salt] = checkPart(value, 'data', 'salt')
  const [privatePart, privateSalt] = checkPart(value, 'private', 'privateSalt')
  if (privatePart !== null && privateCommitment === null) throw new FormatError('"private" has no commitment')
  return { position, header, data, salt, dataCommitment, private: privatePart, privateSalt, privateCommitment }
}

/**
 * One object with exactly these fields. A line that is what `JSON.stringify` writes of its own value has no field twice;
 * every other line is scanned for it.
 */
function parseLine(line: string, fields: readonly string[]): Record<string, unknown> {
  let value: unknown
  try {
    value = parseJsonText(line)
  } catch {
    throw new FormatError('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FormatError('it is not an object')
  if (JSON.stringify(value) !== line) checkScan(line)
  const names = Object.keys(value)
  const further = names.find((name) => !fields.includes(name))
  if (further !== undefined) throw new FormatError(`it has a further field ${JSON.stringify(further)}`)
  if (names.length !== fields.length) {
    throw new FormatError(`it has no field "${fields.find((name) => !names.includes(name))}"`)
  }
  return value as Record<string, unknown>
}

function checkScan(line: string): void {
  try {
    scanJsonText(line, lineLimits)
  } catch (error) {
    if (isAppError(error)) throw new FormatError(error.message)
    throw error
  }
}

function checkPart(
  value: Record<string, unknown>,
  part: string,
  salt: string,
): [part: string, salt: string] | [part: null, salt: null] {
  const text = value[part]
  const saltText = value[salt]
  if (text === null && saltText === null) return [null, null]
  if (text === null || saltText === null) throw new FormatError(`of "${part}" and "${salt}" one is missing`)
  if (typeof text !== 'string') throw new FormatError(`"${part}" is not a text`)
  if (!isHash(saltText)) throw new FormatError(`"${salt}" is not base64 of 32 bytes`)
  return [text, saltText]
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** 32 bytes: 43 digits, the last of which has two bits to spare that are zero, and the padding. */
function isHash(value: unknown): value is string {
  if (typeof value !== 'string' || value.length !== hashLength || value.charCodeAt(43) !== 0x3d) return false
  for (let i = 0; i < 42; i++) if (!((base64Digits[value.charCodeAt(i)] ?? 0) > 0)) return false
  return base64Digits[value.charCodeAt(42)] === 3
}
