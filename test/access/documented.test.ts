import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { rights } from '../../access/rights.ts'
import { errorCodes } from '../../core/errors.ts'

const read = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

/** Rows of all tables whose first cell is code, as their cells. */
const rows = (text: string): string[][] =>
  [...text.matchAll(/^\| *`([^`]+)` *\|(.*)\|$/gm)].map(([, first = '', rest = '']) => [
    first,
    ...rest.split('|').map((cell) => cell.trim()),
  ])

test('docs/errors.md lists every code with its status and whether to try again', () => {
  const documented = rows(read('errors.md')).map(([code, status, again]) => [code, status, again].join(' '))
  const known = Object.entries(errorCodes).map(
    ([code, { status, retry }]) => `${code} ${status} ${retry ? 'yes' : 'no'}`,
  )
  expect(documented.sort()).toEqual(known.sort())
})

test('docs/security.md shows the table of rights as it is', () => {
  const reach = { any: 'every company', own: 'its own company', none: 'no' }
  const documented = rows(read('security.md')).flatMap(([action = '', who]) =>
    /^\w+\.\w+$/.test(action) ? [`${action} ${who}`] : [],
  )
  const known = Object.entries(rights).map(([action, { company }]) => `${action} ${reach[company]}`)
  expect(documented.sort()).toEqual(known.sort())
})
