import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRepeatParser, type ParseRepeats } from '../../../core/json/parse-repeats.ts'

/** A long text in which few authors stand under many books, and a parser that has seen it often enough. */
const authors = Array.from({ length: 3 }, (_, id) => ({
  __typename: 'Author',
  id: `${id}`,
  name: `Author "${id}" with\na long näme`,
  books: [
    { title: `Title ${id}`, pages: -1.5e3 },
    { title: null, pages: 0 },
  ],
}))
const library = {
  data: { books: Array.from({ length: 60 }, (_, isbn) => ({ isbn, lent: isbn % 2 === 0, author: authors[isbn % 3] })) },
}
const text = JSON.stringify(library)

function accustomed(to = text): ParseRepeats {
  const parse = createRepeatParser()
  for (let time = 0; time < 5; time++) parse(to)
  return parse
}

type Library = typeof library

test('what a text repeats at one place is one object, and all is as JSON.parse reads it', () => {
  const parsed = accustomed()(text) as Library
  expect(parsed).toEqual(library)
  expect(JSON.stringify(parsed)).toBe(text)
  const [first, second, , fourth] = parsed.data.books
  expect(fourth?.author).toBe(first?.author)
  expect(second?.author).not.toBe(first?.author)
})

test('objects of one text are never those of another', () => {
  const parse = accustomed()
  const [one, other] = [parse(text) as Library, parse(text) as Library]
  expect(other.data.books[0]?.author).not.toBe(one.data.books[0]?.author)
})

test('what begins alike and goes on otherwise is read by itself', () => {
  const long = 'x'.repeat(100)
  const things = Array.from({ length: 80 }, (_, index) => ({ name: long, of: { kind: long, index: index >> 5 } }))
  const alike = JSON.stringify({ things: things.map((of) => ({ of })) })
  expect(JSON.stringify(accustomed(alike)(alike))).toBe(alike)
})

test('texts that are not as those before, or repeat nothing, are read as well', () => {
  const parse = accustomed()
  const others = [
    JSON.stringify(library, null, 1),
    text.replaceAll('"isbn"', '"number"'),
    text.replace('"author":{', '"author":{"more":1,'),
    text.replaceAll('"id"', '"__proto__"'),
    text.replaceAll('"id"', String.raw`"\u0069d"`),
    text.replaceAll('Title', String.raw`\"},{\\`),
    text.replaceAll('"lent":true', '"lent": 1.5E+3'),
    JSON.stringify({
      data: { books: library.data.books.map(({ isbn }) => ({ isbn, author: { isbn, in: { isbn } } })) },
    }),
    '{}',
    '[]',
  ]
  for (const other of others) {
    expect(JSON.stringify(parse(other))).toBe(JSON.stringify(JSON.parse(other)))
    for (let time = 0; time < 10; time++) parse(text)
    const again = accustomed(other)
    expect(JSON.stringify(again(other))).toBe(JSON.stringify(JSON.parse(other)))
  }
})

test('what is no JSON is refused wherever it is wrong', () => {
  fc.assert(
    fc.property(
      fc.nat(text.length - 1),
      fc.nat(3),
      fc.constantFrom('', '"', '\\', '\n', ',', '{', '}', ']', '0', '01', '-', 'é', 'null', '\u0000', ' '),
      (at, removed, put) => {
        const parse = accustomed()
        const broken = text.slice(0, at) + put + text.slice(at + removed)
        expect(outcome(parse, broken)).toEqual(outcome(JSON.parse, broken))
      },
    ),
    { numRuns: 300 },
  )
})

function outcome(parse: ParseRepeats, given: string): unknown {
  try {
    return { value: parse(given) }
  } catch (error) {
    return { isSyntaxError: error instanceof SyntaxError }
  }
}
