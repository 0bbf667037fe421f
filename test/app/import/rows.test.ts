import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { importItem, type ImportItem } from '../../../app/import/items.ts'
import { readRows, type Row } from '../../../app/import/rows.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ledgerway-rows-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function rows(name: string, content: string): Promise<Row[]> {
  const file = join(directory, name)
  await writeFile(file, content)
  return Array.fromAsync(readRows(file))
}

const item = (row: Row | undefined): ImportItem => {
  if (row === undefined) throw new Error('no row')
  return importItem(row, JSON.parse)
}

test('NDJSON lines keep their numbers over empty lines, CRLF and a missing last newline', async () => {
  const read = await rows('a.ndjson', '{"a":1}\r\n\n  \n{"b":2}\n{"c":"ü"}')
  expect(read.map((row) => [row.line, row.format === 'json' ? row.text : row.format])).toEqual([
    [1, '{"a":1}'],
    [4, '{"b":2}'],
    [5, '{"c":"ü"}'],
  ])
  expect(read.at(-1)?.bytesRead).toBe(31)
})

test('a line over the limit is bad, and the lines after it are read', async () => {
  const read = await rows('long.ndjson', `{"a":"${'x'.repeat(1024 * 1024)}"}\n{"b":1}\n`)
  expect(read.map((row) => row.format)).toEqual(['bad', 'json'])
})

test('a CSV file is told by its name or its first byte', async () => {
  expect((await rows('a.csv', 'name,symbol\nAcme,ACM\n')).map((row) => row.format)).toEqual(['csv'])
  expect((await rows('data', 'name,symbol\nAcme,ACM\n')).map((row) => row.format)).toEqual(['csv'])
  expect((await rows('events', '{"kind":"x"}\n')).map((row) => row.format)).toEqual(['json'])
})

test('a CSV line with too few fields is bad by its number, and its neighbours are read', async () => {
  const read = await rows('short.csv', 'name,symbol,seat\nAcme,ACM,Bonn\nShort,S\n"Two\nlines",TL,Rome\nLast,L,Oslo\n')
  expect(read.map((row) => [row.line, row.format])).toEqual([
    [2, 'csv'],
    [3, 'bad'],
    [5, 'csv'],
    [6, 'csv'],
  ])
})

test('the same identifier names the same company in every file', async () => {
  const [company] = await rows('c.csv', 'Symbol,Security,GICS Sector,CIK\nMMM,3M,Industrials,66740\n')
  const [event] = await rows(
    'e.ndjson',
    '{"kind":"constituent.added","company":"MMM","data":{"Name":"3M Co."},"at":"2012-12-27T20:17:58+01:00"}',
  )
  const made = item(company)
  const happened = item(event)
  expect(made).toMatchObject({
    type: 'company',
    company: {
      name: '3M',
      sectorName: 'Industrials',
      identifiers: [
        { scheme: 'symbol', value: 'MMM' },
        { scheme: 'cik', value: '66740' },
      ],
    },
  })
  expect(happened).toMatchObject({
    type: 'event',
    event: {
      kind: 'constituent.added',
      stream: 'constituent',
      source: 'import',
      occurredAt: '2012-12-27T19:17:58.000Z',
    },
  })
  expect(made.type === 'company' && happened.type === 'event' && made.company.id === happened.event.company.id).toBe(
    true,
  )
})

test.each([
  ['no company', '{"kind":"a.b"}'],
  ['data that is no object', '{"kind":"a.b","company":"X","data":[1]}'],
  ['a time that is none', '{"kind":"a.b","company":"X","at":"yesterday"}'],
  ['a company without an identifier', '{"name":"Acme"}'],
  ['a line that is no object', '"text"'],
])('an event with %s is refused in words', (_name, text) => {
  expect(() => importItem({ line: 1, bytesRead: 0, format: 'json', text }, JSON.parse)).toThrow(
    expect.objectContaining({ code: 'BAD_USER_INPUT' }),
  )
})
