/**
 * The data an execution works on is parsed JSON: plain objects, arrays and leaves. Response names are chosen by
 * clients, so an alias may be called `constructor` or `__proto__`; reading and writing go through here where that matters.
 */
export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object's own value: `undefined` for what it only inherits. */
export function own(object: JsonObject, key: string): unknown {
  const value = object[key]
  return value !== undefined && inherited.has(key) && !Object.hasOwn(object, key) ? undefined : value
}

export function setOwn(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  } else {
    object[key] = value
  }
}

/** Whether reading this name from an object without it would find something else. */
export function isInheritedName(key: string): boolean {
  return inherited.has(key)
}

const inherited: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

/** JSON of one leaf. Short strings without anything to escape, nearly all of them, need no call of `JSON.stringify`. */
export function leafText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length < 64 && plain.test(value) ? `"${value}"` : JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? `${value}` : 'null'
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return JSON.stringify(value) ?? 'null'
  }
}

// eslint-disable-next-line no-control-regex -- the characters JSON must escape
const plain = /^[^"\\\u0000-\u001f\ud800-\udfff]*$/
