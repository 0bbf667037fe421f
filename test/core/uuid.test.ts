import { describe, expect, test } from 'vitest'
import { uuidv5, uuidv7 } from '../../core/uuid.ts'

const millisecondsOf = (uuid: string) => Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)

describe('a UUID version 7', () => {
  test('has the version, the variant and the time', () => {
    const uuid = uuidv7(1_700_000_000_000)
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(millisecondsOf(uuid)).toBe(1_700_000_000_000)
  })

  test('sorts in the order of making, also many in one millisecond', () => {
    const uuids = Array.from({ length: 20_000 }, () => uuidv7(1_800_000_000_000))
    expect(new Set(uuids).size).toBe(uuids.length)
    expect(uuids.toSorted()).toEqual(uuids)
  })

  test('goes on rising when the clock steps back a little, and follows it when it steps back far', () => {
    const before = uuidv7(1_900_000_000_000)
    const steppedBack = uuidv7(1_899_999_999_500)
    expect(before < steppedBack).toBe(true)
    expect(millisecondsOf(uuidv7(1_899_000_000_000))).toBe(1_899_000_000_000)
  })
})

test('a UUID version 5 is that of the RFC for the same namespace and name', () => {
  expect(uuidv5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2')
})
