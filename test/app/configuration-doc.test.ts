import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { environment } from '../../app/config.ts'

test('the configuration page lists exactly the variables that are read', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  const listed = [...page.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, name]) => name)
  expect(new Set(listed)).toEqual(new Set(Object.keys(environment)))
  expect(listed).toHaveLength(Object.keys(environment).length)
})
