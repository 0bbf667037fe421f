import { AppError } from '../errors.ts'
import { canonicalPayload, type JsonObject } from './canonical.ts'
import { payloadLimits, scanJsonText, type ScanLimits } from './scan.ts'

/** Escapes that canonical text may hold but that need a closer look: U+0000 and halves of surrogate pairs. */
const suspiciousEscape = /\\u(?:0000|d[89a-f])/

/**
 * Parses a payload's text that MUST be the canonical one already: a JSON object, RFC 8785, the ledger's further rules.
 *
 * Nearly always the text is what `JSON.stringify` writes of its own value, which proves everything but the order of
 * keys, the range of numbers and the depth; those are read off the value. Anything else is written out again and
 * compared (keys that look like integers, for one, which JavaScript keeps in another order).
 *
 * @throws AppError JSON_*, PAYLOAD_TOO_LARGE, BAD_USER_INPUT (not an object)
 */
export function parseCanonical(text: string, limits: ScanLimits = payloadLimits): JsonObject {
  const value = tryParse(text)
  if (
    isObject(value) &&
    text.length * 3 <= limits.maxBytes &&
    JSON.stringify(value) === text &&
    !suspiciousEscape.test(text) &&
    keepsRules(value, limits.maxDepth)
  ) {
    return value
  }
  scanJsonText(text, limits)
  if (canonicalPayload(value, limits) !== text) {
    throw new AppError('JSON_SYNTAX', 'The JSON text is not the canonical one (RFC 8785).', { details: { path: '$' } })
  }
  return value as JsonObject
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether keys are sorted, numbers safe and containers no deeper than `depth`, all the way down. */
function keepsRules(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  if (Array.isArray(value)) {
    for (const item of value) if (!keepsRules(item, depth - 1)) return false
    return true
  }
  let previous: string | undefined
  for (const key of Object.keys(value)) {
    if (previous !== undefined && previous >= key) return false
    previous = key
    if (!keepsRules((value as Record<string, unknown>)[key], depth - 1)) return false
  }
  return true
}
