import { isUtf8 } from 'node:buffer'
import { AppError, type ErrorCode } from '../errors.ts'
import { numberPrecision, numberSurvives } from './number.ts'
import { parseNames } from './parse-names.ts'
import { formatPath } from './path.ts'
import { jsonRefusal, tooDeep } from './refusals.ts'

export interface ScanLimits {
  /** Of the UTF-8 text. */
  readonly maxBytes: number
  /** Containers inside each other; the outermost object or array has depth 1. */
  readonly maxDepth: number
}

/** What a ledger payload may be, where the configuration sets no other size. */
export const payloadLimits: ScanLimits = { maxBytes: 16 * 1024 * 1024, maxDepth: 64 }

/**
 * Reads JSON once, as bytes, and refuses what `JSON.parse` would silently lose or change: keys that come twice (however
 * they are escaped), lone surrogates, `\u0000`, numbers that do not survive being a double. Also refuses what it would
 * accept at a cost (depth, size) and everything that is not JSON, UTF-8 and without a byte order mark. After it,
 * `JSON.parse` of the same bytes cannot fail and loses nothing.
 *
 * One pass without recursion; nothing is decoded that needs no decoding, and a path is only put together for an error.
 *
 * @throws AppError PAYLOAD_TOO_LARGE or JSON_*, with the place in `details.path` and `details.offset` (bytes)
 */
export function scanJson(bytes: Uint8Array, limits: ScanLimits = payloadLimits): void {
  scanned(bytes, limits)
}

function scanned(bytes: Uint8Array, limits: ScanLimits): Scanner {
  if (bytes.length > limits.maxBytes) {
    throw new AppError('PAYLOAD_TOO_LARGE', `The JSON text is larger than the limit of ${limits.maxBytes} bytes.`, {
      details: { path: '$', limitBytes: limits.maxBytes },
    })
  }
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw failure('JSON_BYTE_ORDER_MARK', 'JSON text starts without a byte order mark', '$', 0)
  }
  if (!isUtf8(bytes)) throw failure('JSON_INVALID_UTF8', 'The text is not valid UTF-8', '$', 0)
  const scanner = new Scanner(asBuffer(bytes), limits.maxDepth)
  scanner.scan()
  return scanner
}

/** The same for text; lone surrogates written out as such are found like escaped ones. */
export function scanJsonText(text: string, limits: ScanLimits = payloadLimits): void {
  const safe = text.isWellFormed() ? text : text.replaceAll(/(\\*)(\p{Surrogate})/gu, escapeSurrogate)
  scanJson(Buffer.from(safe, 'utf8'), limits)
}

/** Scans, then parses. @throws as `scanJson` */
export function parseJson(bytes: Uint8Array, limits: ScanLimits = payloadLimits): unknown {
  const { hasEscapedName } = scanned(bytes, limits)
  const text = asBuffer(bytes).toString('utf8')
  return hasEscapedName ? parseNames(text) : JSON.parse(text)
}

/** One that stands behind a backslash stays: what it makes is no escape, and escaping it would make one. */
const escapeSurrogate = (found: string, slashes: string, unit: string): string =>
  slashes.length % 2 === 1 ? found : `${slashes}\\u${unit.charCodeAt(0).toString(16)}`

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openObject = 0x7b
const closeObject = 0x7d
const openArray = 0x5b
const closeArray = 0x5d

/** What ends a run of plain bytes inside a string: the quote, the backslash and control characters. */
const stopsString = new Uint8Array(256)
for (let byte = 0; byte < 0x20; byte++) stopsString[byte] = 1
stopsString[quote] = 1
stopsString[backslash] = 1

/** Up to here a new key is compared with every earlier one by hash; beyond, a set is built. */
const linearKeys = 12

/** A decimal of at most 15 digits and no exponent always survives (DBL_DIG). */
const safeDigits = 15

/** Where a key lies and a hash of what it stands for: three numbers a key. */
const keyFields = 3

class Scanner {
  /** Whether any object has a name with an escape in it; known after `scan`. */
  hasEscapedName = false
  readonly #text: Buffer
  readonly #maxDepth: number
  #depth = 0
  /** Per open container: for an array the current index, for an object -1. */
  readonly #index: number[] = []
  /** Per open container: how many keys came before its own. */
  readonly #firstKey: number[] = []
  /** Per open container: every key, once there are many. */
  readonly #manyKeys: (Set<string> | undefined)[] = []
  /** Of all open objects' keys, innermost last: hash, start and end of the text between the quotes. */
  #keys = new Int32Array(64 * keyFields)
  #keyCount = 0
  /** Set by `#string`: whether the string just read holds an escape. */
  #escaped = false
  #inKey = false

  constructor(text: Buffer, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  scan(): void {
    const text = this.#text
    let at = skipSpace(text, 0)
    for (;;) {
      // One value starts here. A container that is not empty goes round for its first member.
      const byte = text[at]
      if (byte === quote) {
        at = this.#string(at)
      } else if (byte === openObject) {
        this.#open(-1, at)
        at = skipSpace(text, at + 1)
        if (text[at] !== closeObject) {
          at = this.#key(at)
          continue
        }
        this.#close()
        at++
      } else if (byte === openArray) {
        this.#open(0, at)
        at = skipSpace(text, at + 1)
        if (text[at] !== closeArray) continue
        this.#close()
        at++
      } else if (byte === 0x74) at = this.#word(at, 'true')
      else if (byte === 0x66) at = this.#word(at, 'false')
      else if (byte === 0x6e) at = this.#word(at, 'null')
      else at = this.#number(at)

      // What may follow it: the end of containers, then a comma and the next member, or the end of the text.
      for (;;) {
        at = skipSpace(text, at)
        const depth = this.#depth
        if (depth === 0) {
          if (at < text.length) throw this.#syntax(at)
          return
        }
        const next = text[at]
        const index = this.#index[depth - 1] ?? 0
        if (next === comma) {
          at = skipSpace(text, at + 1)
          if (index < 0) at = this.#key(at)
          else this.#index[depth - 1] = index + 1
          break
        }
        if (next !== (index < 0 ? closeObject : closeArray)) throw this.#syntax(at)
        this.#close()
        at++
      }
    }
  }

  #open(index: number, at: number): void {
    const depth = this.#depth
    if (depth >= this.#maxDepth) {
      throw tooDeep(this.#maxDepth, this.#path(), { offset: at })
    }
    this.#index[depth] = index
    this.#firstKey[depth] = this.#keyCount
    this.#manyKeys[depth] = undefined
    this.#depth = depth + 1
  }

  #close(): void {
    this.#depth--
    this.#keyCount = this.#firstKey[this.#depth] ?? 0
  }

  /** A key, its colon and the space after it; answers where its value starts. */
  #key(at: number): number {
    const text = this.#text
    if (text[at] !== quote) throw this.#syntax(at)
    const start = at + 1
    let end = start
    let hash = hashSeed
    let byte = text[end] ?? 0
    while (byte !== quote && byte !== backslash && byte >= 0x20) {
      hash = Math.imul(hash ^ byte, hashPrime)
      byte = text[++end] ?? 0
    }
    if (byte !== quote) {
      this.#inKey = true
      end = this.#string(at) - 1
      this.#inKey = false
      if (this.#escaped) {
        this.hasEscapedName = true
        hash = hashOf(Buffer.from(this.#decode(start, end)))
      }
    }
    this.#addKey(hash, start, end)
    const atColon = skipSpace(text, end + 1)
    if (text[atColon] !== colon) throw this.#syntax(atColon)
    return skipSpace(text, atColon + 1)
  }

  #addKey(hash: number, start: number, end: number): void {
    const first = this.#firstKey[this.#depth - 1] ?? 0
    const count = this.#keyCount
    if (count - first < linearKeys) {
      const keys = this.#keys
      for (let i = first; i < count; i++) {
        if (keys[i * keyFields] === hash && this.#keyAt(i) === this.#decode(start, end))
          throw this.#duplicate(start, end)
      }
    } else {
      this.#addToMany(first, start, end)
    }
    if ((count + 1) * keyFields > this.#keys.length) {
      const larger = new Int32Array(this.#keys.length * 2)
      larger.set(this.#keys)
      this.#keys = larger
    }
    this.#keys[count * keyFields] = hash
    this.#keys[count * keyFields + 1] = start
    this.#keys[count * keyFields + 2] = end
    this.#keyCount = count + 1
  }

  #addToMany(first: number, start: number, end: number): void {
    const depth = this.#depth - 1
    let keys = this.#manyKeys[depth]
    if (keys === undefined) {
      keys = new Set()
      for (let i = first; i < this.#keyCount; i++) keys.add(this.#keyAt(i))
      this.#manyKeys[depth] = keys
    }
    const key = this.#decode(start, end)
    if (keys.has(key)) throw this.#duplicate(start, end)
    keys.add(key)
  }

  #keyAt(i: number): string {
    return this.#decode(this.#keys[i * keyFields + 1] ?? 0, this.#keys[i * keyFields + 2] ?? 0)
  }

  #decode(start: number, end: number): string {
    const raw = this.#text.toString('utf8', start, end)
    return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
  }

  /** A string from its opening quote; answers the place after its closing one. */
  #string(at: number): number {
    const text = this.#text
    const end = text.length
    let escaped = false
    let i = at + 1
    for (;;) {
      while (i < end && stopsString[text[i] as number] === 0) i++
      if (i >= end) throw this.#syntax(i)
      const byte = text[i]
      if (byte === quote) {
        this.#escaped = escaped
        return i + 1
      }
      if (byte !== backslash) throw this.#failure('JSON_SYNTAX', 'A string holds a bare control character', i)
      escaped = true
      i = this.#escape(i)
    }
  }

  /** An escape from its backslash; answers the place after it (after both halves of a surrogate pair). */
  #escape(at: number): number {
    const kind = this.#text[at + 1]
    if (kind !== 0x75) {
      // " \ / b f n r t
      if (kind === undefined || !'"\\/bfnrt'.includes(String.fromCharCode(kind))) throw this.#syntax(at + 1)
      return at + 2
    }
    const unit = this.#hex(at + 2)
    if (unit === 0) throw jsonRefusal('JSON_NUL_CHARACTER', this.#path(), { offset: at })
    if (unit < 0xd800 || unit > 0xdfff) return at + 6
    const paired = unit < 0xdc00 && this.#text[at + 6] === backslash && this.#text[at + 7] === 0x75
    const low = paired ? this.#hex(at + 8) : 0
    if (low < 0xdc00 || low > 0xdfff) {
      throw jsonRefusal('JSON_LONE_SURROGATE', this.#path(), { offset: at })
    }
    return at + 12
  }

  #hex(at: number): number {
    let value = 0
    for (let i = at; i < at + 4; i++) {
      const byte = this.#text[i] ?? 0
      const lower = byte | 0x20
      if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30
      else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57
      else throw this.#syntax(i)
    }
    return value
  }

  #number(at: number): number {
    const text = this.#text
    let i = at
    if (text[i] === 0x2d) i++
    const whole = i
    i = skipDigits(text, i)
    if (i === whole || (text[whole] === 0x30 && i > whole + 1)) throw this.#syntax(i === whole ? i : whole + 1)
    let digits = i - whole
    if (text[i] === 0x2e) {
      const fraction = i + 1
      i = skipDigits(text, fraction)
      if (i === fraction) throw this.#syntax(i)
      digits += i - fraction
    }
    let exponent = false
    if (((text[i] ?? 0) | 0x20) === 0x65) {
      exponent = true
      i++
      if (text[i] === 0x2b || text[i] === 0x2d) i++
      const power = i
      i = skipDigits(text, power)
      if (i === power) throw this.#syntax(i)
    }
    if ((exponent || digits > safeDigits) && !numberSurvives(text.toString('latin1', at, i))) {
      throw numberPrecision(this.#path(), { offset: at })
    }
    return i
  }

  #word(at: number, word: string): number {
    for (let i = 0; i < word.length; i++) {
      if (this.#text[at + i] !== word.charCodeAt(i)) throw this.#syntax(at + i)
    }
    return at + word.length
  }

  #duplicate(start: number, end: number): AppError {
    const steps = this.#steps()
    steps[steps.length - 1] = this.#decode(start, end)
    return jsonRefusal('JSON_DUPLICATE_KEY', formatPath(steps), { offset: start - 1 })
  }

  #syntax(at: number): AppError {
    return this.#failure('JSON_SYNTAX', at >= this.#text.length ? 'The JSON text ends early' : 'This is not JSON', at)
  }

  #failure(code: ErrorCode, message: string, at: number): AppError {
    return failure(code, message, this.#path(), at)
  }

  #path(): string {
    return formatPath(this.#steps())
  }

  /** The member being read in every open container; a key that is not finished names none. */
  #steps(): (string | number)[] {
    const steps: (string | number)[] = []
    for (let depth = 0; depth < this.#depth; depth++) {
      const innermost = depth === this.#depth - 1
      const index = this.#index[depth] ?? 0
      const keys = innermost ? this.#keyCount : (this.#firstKey[depth + 1] ?? 0)
      if (index >= 0) steps.push(index)
      else if (!(innermost && this.#inKey) && keys > (this.#firstKey[depth] ?? 0)) steps.push(this.#keyAt(keys - 1))
    }
    return steps
  }
}

function failure(code: ErrorCode, message: string, path: string, offset: number): AppError {
  return new AppError(code, `${message} (at ${path}, byte ${offset}).`, { details: { path, offset } })
}

function skipSpace(text: Buffer, at: number): number {
  let i = at
  // Beyond the end there is nothing; that ends the loop as well.
  while ((text[i] ?? 0x21) <= 0x20) {
    const byte = text[i]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return i
    i++
  }
  return i
}

function skipDigits(text: Buffer, at: number): number {
  let i = at
  for (;;) {
    const byte = text[i]
    if (byte === undefined || byte < 0x30 || byte > 0x39) return i
    i++
  }
}

/** FNV-1a over a key's bytes: equal keys must meet, unequal ones rarely do. */
const hashSeed = 0x811c9dc5 | 0
const hashPrime = 0x01000193

function hashOf(bytes: Uint8Array): number {
  let hash = hashSeed
  for (const byte of bytes) hash = Math.imul(hash ^ byte, hashPrime)
  return hash
}
