import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isOwnKind } from '../../ledger/own-records.ts'
import { readSources } from '../architecture/layers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** `kind: 'a.b'`, or either of two, beside the source that is Ledgerway. */
const ownRecord =
  /kind: ([^\n]*'[a-z.]+'[^\n]*)(?=[^}]{0,200}source: ownSource)|source: ownSource[^}]{0,200}kind: ('[a-z.]+')/gs
const profileRecord = /profileRecord\(('[a-z.]+')/g

test('no kind that Ledgerway writes can be appended by anybody else', () => {
  const product = readSources(root).filter(({ path }) => !/^(test|bench|node_modules)\//.test(path))
  const written = product.flatMap(({ path }) => {
    const text = readFileSync(join(root, path), 'utf8')
    return [...text.matchAll(ownRecord), ...text.matchAll(profileRecord)].flatMap(([found]) =>
      [...found.matchAll(/'([a-z]+\.[a-z.]+)'/g)].map(([, kind = '']) => kind),
    )
  })
  expect(written).toEqual(
    expect.arrayContaining(['company.created', 'user.added', 'webhook.disabled', 'chain.verified']),
  )
  expect(written.filter((kind) => !isOwnKind(kind))).toEqual([])
})

test('kinds that only look similar are free', () => {
  expect(['company.renamed', 'user.login', 'ledgers.x', 'constituent.added'].filter(isOwnKind)).toEqual([])
})
