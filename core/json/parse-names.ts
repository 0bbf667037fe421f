/**
 * `JSON.parse`, also right about names with escapes, which the engine's own is not (see `parseNames`). For every text in
 * which others chose the names.
 * @throws SyntaxError
 */
export function parseJsonText(text: string): unknown {
  const value: unknown = JSON.parse(text)
  return hasEscapedName(text) ? parseNames(text) : value
}

/** Whether any name of valid JSON holds an escape: backslashes stand in strings only, and names end before a colon. */
function hasEscapedName(text: string): boolean {
  for (let at = text.indexOf('\\'); at !== -1; at = text.indexOf('\\', at)) {
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
    for (at++; ' \n\r\t'.includes(text[at] ?? '-'); at++);
    if (text[at] === ':') return true
  }
  return false
}

/**
 * `JSON.parse` for texts in which a name holds an escape. V8 of Node 26.10 compares such a name as it is written with the
 * name that it expects there: after `{"id":1,"\\":2}` it reads `{"id":1,"\n":2}` as if the name were a backslash. Single
 * strings it reads right, so here only those are left to it.
 *
 * @param text valid JSON, not nested deeper than the stack takes
 */
export function parseNames(text: string): unknown {
  let at = 0

  function value(): unknown {
    skipSpace()
    const character = text[at]
    if (character === '"') return string()
    if (character === '{') return object()
    if (character === '[') return array()
    const start = at
    while (at < text.length && !',]} \n\r\t'.includes(text[at] ?? '')) at++
    return JSON.parse(text.slice(start, at))
  }

  function object(): Record<string, unknown> {
    const members: Record<string, unknown> = {}
    for (at++, skipSpace(); text[at] !== '}'; skipSpace()) {
      const name = string()
      skipSpace()
      at++
      // Assigning to `__proto__` would set the prototype.
      Object.defineProperty(members, name, { value: value(), configurable: true, enumerable: true, writable: true })
      skipSpace()
      if (text[at] === ',') at++
    }
    at++
    return members
  }

  function array(): unknown[] {
    const items: unknown[] = []
    for (at++, skipSpace(); text[at] !== ']'; skipSpace()) {
      items.push(value())
      skipSpace()
      if (text[at] === ',') at++
    }
    at++
    return items
  }

  function string(): string {
    const start = at++
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
    at++
    return JSON.parse(text.slice(start, at)) as string
  }

  function skipSpace(): void {
    while (' \n\r\t'.includes(text[at] ?? '-')) at++
  }

  return value()
}
