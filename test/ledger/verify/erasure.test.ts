import { describe, expect, test } from 'vitest'
import { type TestBundle } from '../bundle-generator.ts'
import { verifyBundle, header, forged } from './harness.ts'

describe('erasure', () => {
  test.each<[string, number, TestBundle]>([
    ['data missing without a reason', 3, forged((r) => (r[1]!.withoutData = true))],
    ['data missing where only the private part was erased', 3, forged((r) => (r[5]!.withoutData = true))],
    ['a private part missing without a reason', 3, forged((r) => (r[3]!.withoutPrivate = true))],
    ['an erasure whose own data is missing', 3, forged((r) => (r[6]!.withoutData = true))],
    ['the record that says why removed', 3, forged((r) => Object.assign(r[6]!.header, { kind: 'ledger.forgot' }))],
    ['data there that was erased', 1, forged((r) => delete r[2]!.withoutData)],
    ['a private part there that was erased with the data', 1, forged((r) => delete r[2]!.withoutPrivate)],
    ['a private part there that was erased', 1, forged((r) => delete r[5]!.withoutPrivate)],
    ['an erasure of itself', 1, forged((r) => (r[6]!.data = { position: 6 }))],
    ['an erasure of a later record', 1, forged((r) => (r[6]!.data = { position: 8 }))],
    ['an erasure of an erasure', 1, forged((r) => Object.assign(r[7]!, { data: { position: 6 } }))],
    [
      'an erasure of an erasure whose data is gone',
      1,
      forged((r) => {
        r[6]!.withoutData = true
        r[7]!.data = { position: 6 }
      }),
    ],
    ['an erasure with another part', 1, forged((r) => (r[7]!.data = { part: 'data', position: 5 }))],
    ['an erasure with a further field', 1, forged((r) => (r[6]!.data = { position: 2, why: 'x' }))],
    ['an erasure without a position', 1, forged((r) => (r[6]!.data = {}))],
    ['an erasure at no position', 1, forged((r) => (r[6]!.data = { position: -1 }))],
    ['an erasure at half a position', 1, forged((r) => (r[6]!.data = { position: 1.5 }))],
    ['an erasure of a text', 1, forged((r) => (r[6]!.data = { position: '2' }))],
  ])('%s', async (_, code, bundle) => {
    expect((await verifyBundle(bundle)).code).toBe(code)
  })

  test('a gap names its record, and the invalid comes before it', async () => {
    const gap = forged((r) => (r[3]!.withoutPrivate = true))
    expect((await verifyBundle(gap)).out).toMatch(/^gap: .*, line 5, record 3: the private part is missing/)
    const both = forged((r) => (r[3]!.withoutPrivate = true))
    both.lines[8]!.salt = both.lines[9]!.salt
    expect((await verifyBundle(both)).code).toBe(1)
  })

  test('a private part may be erased and the whole record after it', async () => {
    const bundle = forged((r) => {
      r[5]!.withoutData = true
      r.push({ header: header(10, 'erasures', 3, { kind: 'ledger.erased' }), data: { position: 5 } })
    })
    expect((await verifyBundle(bundle)).code).toBe(0)
  })
})
