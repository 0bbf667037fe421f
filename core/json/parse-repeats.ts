/**
 * `JSON.parse` for texts of one kind that come again and again and repeat themselves, as answers about entities do: the
 * same author stands under each of his reviews, with all that is selected of him. Which names objects have at which
 * place is learned from texts before; an object whose text was read at that place already is not read again but given
 * once more. Three times as fast where most of a text is repeated, slower where little is, so each parser finds out what
 * its texts are like, and goes on with `JSON.parse` unless it pays.
 */
import { parseJsonText } from './parse-names.ts'

/** As `parseJsonText`, but equal objects at the same path (whatever the list items) may be one and the same object. */
export type ParseRepeats = (text: string) => unknown

/** Shorter texts are not worth it. */
const charactersMin = 4_096
/** Texts that are parsed as usual before the first, and before the next, is looked at. */
const firstTrial = 4
const nextTrial = 200
/** Of a text: below this share, reading it as usual is as fast. */
const repeatedMin = 0.4

export function createRepeatParser(): ParseRepeats {
  let untilTrial = firstTrial
  let shape: Shape | undefined

  function repeatedIn(text: string, by: Shape): { value: unknown; repeated: number } | undefined {
    const reader = new Reader(text)
    try {
      return { value: reader.whole(by), repeated: reader.repeated / text.length }
    } catch (error) {
      if (error === otherwise || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  function tryOut(text: string, value: unknown): void {
    const learned = new Shape()
    if (!learned.learn(value)) return
    const { repeated = 0 } = repeatedIn(text, learned) ?? {}
    learned.forgetRare()
    if (repeated >= repeatedMin) shape = learned
  }

  return (text) => {
    if (text.length < charactersMin) return parseJsonText(text)
    const read = shape && repeatedIn(text, shape)
    if (read === undefined || read.repeated < repeatedMin) shape = undefined
    if (read !== undefined) return read.value
    const value = parseJsonText(text)
    untilTrial -= 1
    if (untilTrial <= 0) {
      untilTrial = nextTrial
      tryOut(text, value)
    }
    return value
  }
}

/** Thrown for a text that is not as was learned, or no JSON: `JSON.parse` then says what it is. */
const otherwise = new Error('not as learned')

const plainName = /^(?!__proto__$)[a-zA-Z_]\w*$/

interface Member {
  readonly name: string
  /** What comes before its value: `{"id":`, `,"body":`. */
  readonly opening: string
  readonly shape: Shape
}

/** What stands at one path: a leaf, or objects with these names in this order, or lists of either. */
class Shape {
  members: readonly Member[] | undefined
  /** Whether objects that were read are remembered. */
  remembers = false
  /** How often an object was looked for and found. */
  lookups = 0
  found = 0

  /** False where the names of objects differ from one to the next, or are not those of GraphQL. */
  learn(value: unknown): boolean {
    if (Array.isArray(value)) return value.every((item) => this.learn(item))
    if (typeof value !== 'object' || value === null) return true
    const names = Object.keys(value)
    if (this.members === undefined) {
      if (!names.every((name) => plainName.test(name))) return false
      this.members = names.map((name, index) => ({
        name,
        opening: `${index === 0 ? '{' : ','}"${name}":`,
        shape: new Shape(),
      }))
    }
    const { members } = this
    if (names.length !== members.length || members.some(({ name }, index) => name !== names[index])) return false
    const learned = members.every(({ name, shape }) => shape.learn((value as Record<string, unknown>)[name]))
    // Reading a few leaves is as fast as looking for them.
    this.remembers = members.some(({ shape }) => shape.members !== undefined)
    return learned
  }

  forgetRare(): void {
    this.remembers &&= this.found * 4 > this.lookups
    for (const { shape } of this.members ?? []) shape.forgetRare()
  }
}

const quote = 0x22
const comma = 0x2c
const minus = 0x2d
const digit0 = 0x30
const digit9 = 0x39
const openList = 0x5b
const backslash = 0x5c
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

/** As much of an object's text as tells most objects at one place apart: its type and its key. */
const keyCharacters = 64

/** What V8 takes shorter strings out of a text as is a string of its own. */
const sliceMin = 13

interface Known {
  readonly text: string
  readonly value: unknown
}

/** Reads one text. Strict: whatever is not plain JSON without space as learned is left to `JSON.parse`. */
class Reader {
  readonly #text: string
  readonly #known = new Map<Shape, Map<string, Known>>()
  #at = 0
  /** Characters that were not read again. */
  repeated = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(shape: Shape): unknown {
    const value = this.#value(shape)
    if (this.#at !== this.#text.length) throw otherwise
    return value
  }

  #value(shape: Shape): unknown {
    switch (this.#text.charCodeAt(this.#at)) {
      case quote:
        return this.#string()
      case openObject:
        return this.#object(shape)
      case openList:
        return this.#list(shape)
      default:
        return this.#numberOrWord()
    }
  }

  #object(shape: Shape): unknown {
    if (!shape.remembers) return this.#members(shape)
    const text = this.#text
    const start = this.#at
    const key = text.slice(start, start + keyCharacters)
    let known = this.#known.get(shape)
    if (known === undefined) this.#known.set(shape, (known = new Map()))
    const before = known.get(key)
    shape.lookups += 1
    // An object ends where its braces do, so one that begins with the whole text of another is that.
    if (before !== undefined && text.slice(start, start + before.text.length) === before.text) {
      shape.found += 1
      this.repeated += before.text.length
      this.#at = start + before.text.length
      return before.value
    }
    const value = this.#members(shape)
    known.set(key, { text: text.slice(start, this.#at), value })
    return value
  }

  #members({ members = [] }: Shape): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    if (members.length === 0) throw otherwise
    for (const { name, opening, shape } of members) {
      if (!this.#text.startsWith(opening, this.#at)) throw otherwise
      this.#at += opening.length
      object[name] = this.#value(shape)
    }
    if (this.#text.charCodeAt(this.#at) !== closeObject) throw otherwise
    this.#at += 1
    return object
  }

  #list(shape: Shape): unknown[] {
    const items: unknown[] = []
    this.#at += 1
    if (this.#text.charCodeAt(this.#at) === closeList) {
      this.#at += 1
      return items
    }
    for (;;) {
      items.push(this.#value(shape))
      const code = this.#text.charCodeAt(this.#at)
      this.#at += 1
      if (code === closeList) return items
      if (code !== comma) throw otherwise
    }
  }

  #string(): string {
    const text = this.#text
    const start = this.#at
    let end = text.indexOf('"', start + 1)
    while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
    if (end < 0) throw otherwise
    this.#at = end + 1
    if (end - start < sliceMin && isPlain(text, start + 1, end)) return text.slice(start + 1, end)
    // A slice of the text would keep all of it, and is written as JSON more slowly. This also looks at what is inside.
    return JSON.parse(text.slice(start, end + 1)) as string
  }

  #numberOrWord(): unknown {
    const text = this.#text
    const start = this.#at
    let at = start
    let whole = 0
    for (let code = text.charCodeAt(at); code >= digit0 && code <= digit9; code = text.charCodeAt(++at)) {
      whole = whole * 10 + code - digit0
    }
    const code = text.charCodeAt(at)
    const isShort = at > start && at < start + 10 && (at === start + 1 || text.charCodeAt(start) !== digit0)
    if (isShort && (code === comma || code === closeObject || code === closeList)) {
      this.#at = at
      return whole
    }
    for (const [word, value] of words) {
      if (!text.startsWith(word, start)) continue
      this.#at = start + word.length
      return value
    }
    return this.#number(at)
  }

  /** @param at behind its first digits */
  #number(at: number): number {
    const text = this.#text
    let end = at
    for (let code = text.charCodeAt(end); isOfNumber(code); code = text.charCodeAt(++end));
    const value: unknown = JSON.parse(text.slice(this.#at, end))
    this.#at = end
    return value as number
  }
}

const words = [
  ['null', null],
  ['true', true],
  ['false', false],
] as const

/** `+`, `-`, `.`, digits, `E` and `e`. */
function isOfNumber(code: number): boolean {
  return (
    (code >= digit0 && code <= digit9) || code === minus || code === 0x2b || code === 0x2e || (code | 0x20) === 0x65
  )
}

/** Whether all is of the characters that stand for themselves in a JSON string. */
function isPlain(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === backslash) return false
  }
  return true
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes += 1
  return backslashes % 2 === 1
}
