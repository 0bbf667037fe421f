/**
 * `JSON.parse` for texts so long that it would hold the event loop: the text is cut between the members of its outer
 * lists and objects, and the parts are parsed as usual, with everybody else's turn in between. What comes out is the same.
 * A single member that is long in itself is cut again; a long string is not.
 */
import { parseJsonText } from '../../core/json/parse-names.ts'
import { createTurns } from '../../core/turns.ts'
import { setOwn, type JsonObject } from '../executor/json.ts'

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openList = 0x5b
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

/** @param partCharacters of a part that is parsed in one go
 * @throws SyntaxError where `JSON.parse` would throw; what the signal aborts with */
export async function parseInTurns(text: string, signal: AbortSignal, partCharacters = 256 * 1024): Promise<unknown> {
  const turns = createTurns(signal)

  /** The value that stands alone between `start` and `end`. */
  async function value(start: number, end: number): Promise<unknown> {
    if (end - start <= partCharacters) {
      if (turns.isDue()) await turns.next()
      return parseJsonText(text.slice(start, end))
    }
    const from = skipSpace(text, start)
    const to = skipSpaceBack(text, end)
    if (text[from] === '[' && text[to - 1] === ']') return list(from + 1, to - 1)
    if (text[from] === '{' && text[to - 1] === '}') return object(from + 1, to - 1)
    return parseJsonText(text.slice(from, to))
  }

  async function list(start: number, end: number): Promise<unknown[]> {
    const items: unknown[] = []
    if (skipSpace(text, start) === end) return items
    /** Members from here on are parsed together. */
    let from = start
    for (let at = start; at <= end;) {
      const near = memberEnd(at, Math.min(at + partCharacters, end), end)
      if (near === undefined) {
        if (at > from) append(items, text.slice(from, at - 1))
        const far = await farMemberEnd(at, end)
        items.push(await value(at, far))
        from = far + 1
        at = from
        continue
      }
      at = near + 1
      if (at - from < partCharacters && near < end) continue
      append(items, text.slice(from, near))
      from = at
      if (turns.isDue()) await turns.next()
    }
    return items
  }

  async function object(start: number, end: number): Promise<JsonObject> {
    const members: JsonObject = {}
    if (skipSpace(text, start) === end) return members
    for (let at = start; at <= end;) {
      const next = await farMemberEnd(at, end)
      const nameStart = skipSpace(text, at)
      const nameEnd = stringEnd(text, nameStart)
      const separator = skipSpace(text, nameEnd)
      if (text.charCodeAt(separator) !== colon) throw new SyntaxError(`No name of a member at position ${at}`)
      setOwn(members, JSON.parse(text.slice(nameStart, nameEnd)) as string, await value(separator + 1, next))
      at = next + 1
    }
    return members
  }

  const open = { depth: 0, at: 0 }

  /** Where the member that begins at `at` ends, at its comma or at the end of all; `undefined` when that is not before `limit`. */
  function memberEnd(at: number, limit: number, end: number, depthThere = 0): number | undefined {
    let depth = depthThere
    let index = at
    for (; index < limit; index++) {
      const code = text.charCodeAt(index)
      if (code === quote) index = stringEnd(text, index) - 1
      else if (code === comma && depth === 0) return index
      else if (code === openList || code === openObject) depth += 1
      else if (code === closeList || code === closeObject) {
        depth -= 1
        if (depth < 0) throw new SyntaxError(`Nothing is open at position ${index}`)
      }
    }
    if (index >= end) return end
    open.depth = depth
    open.at = index
    return undefined
  }

  /** The same for one that may be far away. */
  async function farMemberEnd(start: number, end: number): Promise<number> {
    let at = start
    let depth = 0
    for (;;) {
      const found = memberEnd(at, Math.min(at + partCharacters, end), end, depth)
      if (found !== undefined) return found
      at = open.at
      depth = open.depth
      if (turns.isDue()) await turns.next()
    }
  }

  return value(0, text.length)
}

function append(items: unknown[], members: string): void {
  if (skipSpace(members, 0) === members.length) throw new SyntaxError('A list has a comma and nothing behind it')
  const parsed = parseJsonText(`[${members}]`) as unknown[]
  for (const item of parsed) items.push(item)
}

/** Behind the closing quote of the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  if (text.charCodeAt(start) !== quote || end < 0) throw new SyntaxError(`No string at position ${start}`)
  return end + 1
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes += 1
  return backslashes % 2 === 1
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

function skipSpaceBack(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at - 1))) at -= 1
  return at
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
