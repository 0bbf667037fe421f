import { AppError } from '../errors.ts'
import { canonicalPayload } from './canonical.ts'
import { parseJsonText } from './parse-names.ts'
import { payloadLimits, scanJsonText, type ScanLimits } from './scan.ts'

/**
 * Checks that a payload's text is the canonical one: a JSON object, RFC 8785, the ledger's further rules. Nearly every
 * text proves it in one pass; what is left over is parsed, written out again and compared.
 * @throws AppError JSON_*, PAYLOAD_TOO_LARGE, BAD_USER_INPUT (not an object)
 */
export function checkCanonical(text: string, limits: ScanLimits = payloadLimits): void {
  if (text.length * 3 <= limits.maxBytes && isEvidentlyCanonical(text, limits.maxDepth)) return
  scanJsonText(text, limits)
  const value = parseJsonText(text)
  if (canonicalPayload(value, limits) !== text) {
    throw new AppError('JSON_SYNTAX', 'The JSON text is not the canonical one (RFC 8785).', { details: { path: '$' } })
  }
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a

/**
 * True only for a canonical object's text. False also where the proof would need more than comparing characters: keys
 * with escapes, whose order is that of what they stand for.
 */
function isEvidentlyCanonical(text: string, maxDepth: number): boolean {
  if (text.charCodeAt(0) !== 0x7b) return false
  // Per open container: where its last key lies, or -1 for an array.
  const keyStart: number[] = []
  const keyEnd: number[] = []
  let depth = 0
  let at = 0
  for (;;) {
    // A value starts here.
    const first = text.charCodeAt(at)
    let opened = false
    if (first === quote) {
      at = endOfString(text, at, true)
      if (at < 0) return false
    } else if (first === 0x7b || first === 0x5b) {
      if (depth === maxDepth) return false
      keyStart[depth] = first === 0x7b ? 0 : -1
      keyEnd[depth] = 0
      depth++
      at++
      opened = true
    } else {
      at = first === 0x74 || first === 0x66 || first === 0x6e ? endOfWord(text, at) : endOfNumber(text, at)
      if (at < 0) return false
    }

    // What follows it: the end of containers, then the next member or the end of the text.
    for (;;) {
      if (depth === 0) return at === text.length
      const next = text.charCodeAt(at)
      const last = keyStart[depth - 1] ?? 0
      if (next === (last < 0 ? 0x5d : 0x7d)) {
        depth--
        at++
        opened = false
        continue
      }
      if (opened ? next === comma : next !== comma) return false
      if (!opened) at++
      if (last >= 0) {
        const start = at + 1
        const end = text.charCodeAt(at) === quote ? endOfString(text, at, false) : -1
        if (end < 0 || text.charCodeAt(end) !== colon) return false
        const lastEnd = keyEnd[depth - 1] ?? 0
        // Offset 0 is the opening brace: no key begins there.
        if (last > 0 && !isBefore(text, last, lastEnd, start, end - 1)) return false
        keyStart[depth - 1] = start
        keyEnd[depth - 1] = end - 1
        at = end + 1
      }
      break
    }
  }
}

/** Whether one key comes before another in UTF-16 code units: neither equal nor after. */
function isBefore(text: string, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  const length = Math.min(end - start, otherEnd - otherStart)
  for (let i = 0; i < length; i++) {
    const difference = text.charCodeAt(start + i) - text.charCodeAt(otherStart + i)
    if (difference !== 0) return difference < 0
  }
  return end - start < otherEnd - otherStart
}

/** The place after a string's closing quote; -1 where the string is not canonical. */
function endOfString(text: string, at: number, mayEscape: boolean): number {
  let i = at + 1
  for (;;) {
    const unit = text.charCodeAt(i)
    if (unit === quote) return i + 1
    if (unit === backslash) {
      const length = mayEscape ? escapeLength(text, i) : 0
      if (length === 0) return -1
      i += length
    } else if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = text.charCodeAt(i + 1)
      if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return -1
      i += 2
    } else if (unit >= 0x20) i++
    // A bare control character, or NaN: the text's end.
    else return -1
  }
}

/** Of an escape that canonical text may hold: the short ones, and control characters that have no short one. */
function escapeLength(text: string, at: number): number {
  const kind = text.charAt(at + 1)
  if (kind !== 'u') return kind !== '' && '"\\bfnrt'.includes(kind) ? 2 : 0
  return /^00(?:0[1-7bef]|1[0-9a-f])$/.test(text.slice(at + 2, at + 6)) ? 6 : 0
}

function endOfNumber(text: string, at: number): number {
  let i = at
  if (text.charCodeAt(i) === 0x2d) i++
  const first = text.charCodeAt(i)
  let next = first
  while (next >= 0x30 && next <= 0x39) next = text.charCodeAt(++i)
  // Integers of up to 15 digits, without a leading zero or a minus zero, are as they should be.
  const plain = next !== 0x2e && (next | 0x20) !== 0x65
  if (plain && first >= 0x31 && first <= 0x39 && i - at <= 15) return i
  while ((next >= 0x30 && next <= 0x39) || next === 0x2e || next === 0x65 || next === 0x2b || next === 0x2d) {
    next = text.charCodeAt(++i)
  }
  const written = text.slice(at, i)
  const value = Number(written)
  return String(value) === written && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? i : -1
}

function endOfWord(text: string, at: number): number {
  for (const word of ['true', 'false', 'null']) if (text.startsWith(word, at)) return at + word.length
  return -1
}
