/**
 * The data an execution works on is parsed JSON: plain objects, arrays and leaves. Response names are chosen by
 * clients, so an alias may be called `constructor` or `__proto__`; reading and writing go through here where that matters.
 */
export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object's own value: `undefined` for what it only inherits, which is functions (JSON has none) and `__proto__`. */
export function own(object: JsonObject, key: string): unknown {
  const value = object[key]
  if (typeof value !== 'function' && key !== '__proto__') return value
  return Object.hasOwn(object, key) ? value : undefined
}

export function setOwn(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  } else {
    object[key] = value
  }
}

/** Whether two values would be the same JSON, apart from the order of keys. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let index = 0; index < a.length; index++) if (!equalJson(a[index], b[index])) return false
    return true
  }
  if (Array.isArray(b)) return false
  let keys = 0
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !equalJson((a as JsonObject)[key], (b as JsonObject)[key])) return false
    keys += 1
  }
  for (const _key in b) keys -= 1
  return keys === 0
}

/** Whether reading this name from an object without it would find something else. */
export function isInheritedName(key: string): boolean {
  return inherited.has(key)
}

const inherited: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

/** JSON of one leaf. Short strings without anything to escape, nearly all keys, need no call of `JSON.stringify`. */
export function leafText(value: unknown): string {
  if (typeof value === 'string' && value.length < 64 && plain.test(value)) return `"${value}"`
  return JSON.stringify(value) ?? 'null'
}

const plain = /^[\w .:-]*$/
