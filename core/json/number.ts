import { AppError } from '../errors.ts'

/** `-`? digits, fraction, exponent: RFC 8259's number, which is also GraphQL's IntValue and FloatValue. */
const numberPattern = /^-?(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/

/**
 * Whether a number keeps its value when it becomes a double and is written again: the decimal as written and the
 * shortest decimal of its double (RFC 8785's spelling) MUST be the same number, compared exactly and not as text. So
 * `0.10`, `1.0` and `1e2` survive, `0.1234567890123456789`, `9007199254740993`, `1e400` and `1e-400` do not. Every
 * magnitude over 2^53 - 1 is refused, however it is written, even where the double happens to be exact (`1e20`): readers
 * in other languages would take it for an integer. `-0` survives: its value is zero, and canonical JSON writes `0`.
 */
export function numberSurvives(text: string): boolean {
  const value = Number(text)
  if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) return false
  return normalDecimal(text) === normalDecimal(String(value))
}

export function numberPrecision(path: string, extra: Record<string, unknown> = {}): AppError {
  return new AppError(
    'JSON_NUMBER_PRECISION',
    `The number at ${path} would not survive: integers go to ±9007199254740991 and decimals to what a double holds; send it as a string.`,
    { details: { path, ...extra } },
  )
}

/** The value as `digits e exponent` without leading or trailing zeros, so that equal numbers give equal text. */
function normalDecimal(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] = numberPattern.exec(text) ?? []
  const digits = whole + fraction
  let first = 0
  while (digits.charCodeAt(first) === 0x30) first++
  let end = digits.length
  while (end > first && digits.charCodeAt(end - 1) === 0x30) end--
  if (first === end) return '0'
  const sign = text.startsWith('-') ? '-' : ''
  return `${sign}${digits.slice(first, end)}e${Number(exponent) - fraction.length + (digits.length - end)}`
}
