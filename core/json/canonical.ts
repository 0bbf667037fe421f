import { AppError, type ErrorCode } from '../errors.ts'
import { numberPrecision } from './number.ts'
import { formatPath } from './path.ts'
import { jsonRefusal, tooDeep } from './refusals.ts'
import { payloadLimits, type ScanLimits } from './scan.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export type JsonObject = { readonly [key: string]: JsonValue }

/** Without limits of a ledger, recursion still needs one. */
const deepest = 1000

/**
 * RFC 8785 (JSON Canonicalization Scheme): keys sorted by UTF-16 code units, numbers and strings as ECMAScript writes
 * them, no space. `-0` is written `0`, as the RFC has it. Refuses what has no canonical form: `undefined`, functions,
 * bigints, class instances (a `Date` is not JSON), NaN and infinities, lone surrogates.
 *
 * @throws AppError JSON_*, with the place in `details.path`
 */
export function canonicalJson(value: unknown): string {
  return write(value, { payload: false, maxDepth: deepest }, 1, [])
}

/**
 * The same for what goes into a ledger: a JSON object, and the ledger's further rules (no `\u0000`, no number beyond
 * ±(2^53 - 1), depth, size). Duplicate keys and rounded numbers can no longer be seen here: `scanJson` does that on the
 * raw text.
 *
 * @throws AppError JSON_*, PAYLOAD_TOO_LARGE, BAD_USER_INPUT (not an object)
 */
export function canonicalPayload(value: unknown, limits: ScanLimits = payloadLimits): string {
  if (!isPlainObject(value)) {
    throw new AppError('BAD_USER_INPUT', 'A payload is a JSON object.', { details: { path: '$' } })
  }
  const text = writeSorted(value, limits.maxDepth) ?? write(value, { payload: true, maxDepth: limits.maxDepth }, 1, [])
  if (text.length * 3 > limits.maxBytes && Buffer.byteLength(text) > limits.maxBytes) {
    throw new AppError('PAYLOAD_TOO_LARGE', `The payload is larger than the limit of ${limits.maxBytes} bytes.`, {
      details: { path: '$', limitBytes: limits.maxBytes },
    })
  }
  return text
}

/** Escapes in `JSON.stringify`'s text that need a closer look: U+0000 and halves of surrogate pairs. */
const suspiciousEscape = /\\u(?:0000|d[89a-f])/

/**
 * The engine's own `JSON.stringify`, several times as fast as writing piece by piece, of the value with its keys sorted.
 * Undefined for whatever is not plainly fine, be it wrong or only unusual.
 */
function writeSorted(value: Record<string, unknown>, maxDepth: number): string | undefined {
  const sorted = sortKeys(value, maxDepth)
  if (sorted === unusual) return undefined
  const text = JSON.stringify(sorted)
  return suspiciousEscape.test(text) ? undefined : text
}

const unusual = Symbol('unusual')

/** The value itself where its keys are in order all the way down, a copy where they are not. */
function sortKeys(value: unknown, depth: number): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number') {
    return value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER ? value : unusual
  }
  if (typeof value !== 'object' || depth === 0) return unusual
  if (Array.isArray(value)) return sortItems(value, depth)
  if (!isPlainObject(value)) return unusual
  const keys = Object.keys(value)
  let changed = false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? ''
    // Keys that look like integers have a place of their own in objects, and assigning __proto__ adds no key.
    if ((key >= '0' && key < ':') || key === '__proto__') return unusual
    if (i > 0 && (keys[i - 1] ?? '') > key) changed = true
  }
  if (changed) keys.sort()
  let copy: Record<string, unknown> | undefined = changed ? {} : undefined
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? ''
    const item = value[key]
    const sorted = sortKeys(item, depth - 1)
    if (sorted === unusual) return unusual
    if (copy === undefined && sorted !== item) {
      copy = {}
      for (let j = 0; j < i; j++) copy[keys[j] ?? ''] = value[keys[j] ?? '']
    }
    if (copy !== undefined) copy[key] = sorted
  }
  return copy ?? value
}

function sortItems(items: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | undefined
  for (let i = 0; i < items.length; i++) {
    const sorted = sortKeys(items[i], depth - 1)
    if (sorted === unusual) return unusual
    if (copy === undefined && sorted !== items[i]) copy = items.slice(0, i)
    copy?.push(sorted)
  }
  return copy ?? items
}

type Rules = { payload: boolean; maxDepth: number }
type Steps = (string | number)[]

function write(value: unknown, rules: Rules, depth: number, steps: Steps): string {
  switch (typeof value) {
    case 'string':
      return writeString(value, rules, steps)
    case 'number':
      return writeNumber(value, rules, steps)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth > rules.maxDepth) {
        throw tooDeep(rules.maxDepth, formatPath(steps))
      }
      return Array.isArray(value) ? writeArray(value, rules, depth, steps) : writeObject(value, rules, depth, steps)
    default:
      throw refusal('JSON_SYNTAX', `A value of type ${typeof value} is not JSON`, steps)
  }
}

function writeObject(value: object, rules: Rules, depth: number, steps: Steps): string {
  if (!isPlainObject(value)) throw refusal('JSON_SYNTAX', 'An instance of a class is not JSON', steps)
  let text = '{'
  const last = steps.push('') - 1
  for (const key of Object.keys(value).sort()) {
    steps[last] = key
    if (text.length > 1) text += ','
    text += `${writeString(key, rules, steps)}:${write(value[key], rules, depth + 1, steps)}`
  }
  steps.pop()
  return `${text}}`
}

function writeArray(value: readonly unknown[], rules: Rules, depth: number, steps: Steps): string {
  let text = '['
  const last = steps.push(0) - 1
  for (let i = 0; i < value.length; i++) {
    steps[last] = i
    if (i > 0) text += ','
    text += write(value[i], rules, depth + 1, steps)
  }
  steps.pop()
  return `${text}]`
}

/** Nothing to escape and nothing to refuse: most strings. Everything from U+D800 on is left to the slower way. */
const plainString = /^[ !#-[\]-\ud7ff]*$/

function writeString(value: string, rules: Rules, steps: Steps): string {
  if (plainString.test(value)) return `"${value}"`
  if (!value.isWellFormed()) throw jsonRefusal('JSON_LONE_SURROGATE', formatPath(steps))
  if (rules.payload && value.includes('\0')) {
    throw jsonRefusal('JSON_NUL_CHARACTER', formatPath(steps))
  }
  return JSON.stringify(value)
}

function writeNumber(value: number, rules: Rules, steps: Steps): string {
  if (!Number.isFinite(value) || (rules.payload && Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    throw numberPrecision(formatPath(steps))
  }
  return String(value)
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function refusal(code: ErrorCode, message: string, steps: Steps): AppError {
  const path = formatPath(steps)
  return new AppError(code, `${message} (at ${path}).`, { details: { path } })
}
