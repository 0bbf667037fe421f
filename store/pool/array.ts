/**
 * Postgres' text form of an array. postgres.js reads a null element as the text "NULL", indistinguishable from the word.
 * `parse` turns an element's text into its value.
 */
export function parseArray(text: string, parse: (element: string) => unknown = String, delimiter = ','): unknown[] {
  // A lower bound other than 1 comes first: `[0:1]={a,b}`.
  let at = text.indexOf('{')
  const list = (): unknown[] => {
    const values: unknown[] = []
    for (at += 1; text[at] !== '}' && at < text.length;) {
      if (text[at] === '{') values.push(list())
      else if (text[at] === '"') values.push(parse(quoted()))
      else if (text[at] === delimiter) at += 1
      else values.push(plain())
    }
    at += 1
    return values
  }
  const quoted = (): string => {
    let value = ''
    for (at += 1; text[at] !== '"'; at++) {
      if (text[at] === '\\') at += 1
      value += text[at]
    }
    at += 1
    return value
  }
  const plain = (): unknown => {
    const start = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '}') at += 1
    const value = text.slice(start, at)
    return value === 'NULL' ? null : parse(value)
  }
  return list()
}

/** The reverse. `serialize` turns an element into its text. */
export function formatArray(
  values: unknown,
  serialize: (element: unknown) => unknown = String,
  delimiter = ',',
): string {
  if (!Array.isArray(values)) return String(values)
  const elements = values.map((value: unknown) => {
    if (value === null) return 'null'
    if (value === undefined) throw new TypeError('an array given to a statement holds an undefined value')
    if (Array.isArray(value)) return formatArray(value, serialize, delimiter)
    return `"${String(serialize(value))
      .replaceAll('\\', String.raw`\\`)
      .replaceAll('"', String.raw`\"`)}"`
  })
  return `{${elements.join(delimiter)}}`
}
