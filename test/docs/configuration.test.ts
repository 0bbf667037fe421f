import { expect, test } from 'vitest'
import { environment, readConfig } from '../../app/config.ts'
import { defaultPlacement } from '../../store/placement/create-strategy.ts'
import { readPage } from './pages.ts'

/** `- **`NAME`** (default): …` */
const entries = [...readPage('docs/configuration.md').text.matchAll(/^- \*\*`([A-Z_]+)`\*\* \(([^)]+)\):/gm)].map(
  ([, name = '', byDefault = '']) => ({ name, byDefault: byDefault.replaceAll(/\s+/g, ' ') }),
)

/** What the composition makes of an absent variable. */
const decidedLater: Record<string, string> = { PLACEMENT: defaultPlacement.kind }

test('the configuration page lists exactly the variables that are read', () => {
  expect(entries.map(({ name }) => name).sort()).toEqual(Object.keys(environment).sort())
})

test('the configuration page tells each default as it is', () => {
  const told = entries.flatMap(({ name, byDefault }) => {
    const value = environment[name as keyof typeof environment].safeParse(undefined).data
    // Where the code has none, the page says in words what happens, and names no value that the code does not know.
    return value === undefined && !/^`[^`]*`$/.test(byDefault) ? [] : [{ name, byDefault, value }]
  })
  expect(told.length).toBeGreaterThan(10)
  for (const { name, byDefault, value } of told) {
    const known = value === undefined ? decidedLater[name] : typeof value === 'boolean' ? Number(value) : value
    expect([name, byDefault]).toEqual([name, `\`${known}\``])
  }
})

test('the defaults that depend on where the servers are and on production are those of the page', () => {
  const told = Object.fromEntries(entries.map(({ name, byDefault }) => [name, byDefault]))
  const external = { SHARDS: 'a=postgres://h/d', CATALOG_URL: 'postgres://h/c' }
  const production = { NODE_ENV: 'production' }
  const [own, theirs] = [readConfig([], {}), readConfig([], external)]
  expect(told['DEMO']).toBe(`\`${Number(own.demo)}\` with embedded servers, else \`${Number(theirs.demo)}\``)
  expect(told['POOL_PROFILE']).toBe(`\`${own.pool.profile}\` with embedded servers, else \`${theirs.pool.profile}\``)
  expect(told['WEBHOOKS_ALLOW_PRIVATE']).toBe(
    `\`${Number(own.webhooksAllowPrivate)}\` outside production, else \`${Number(readConfig([], production).webhooksAllowPrivate)}\``,
  )
  expect(told['CORS_ORIGINS']).toBe('Apollo Sandbox outside production, else none')
  expect([own.corsOrigins.length, readConfig([], production).corsOrigins.length]).toEqual([1, 0])
})
