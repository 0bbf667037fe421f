import { expect, test } from 'vitest'
import { pageSize } from '../../core/page-size.ts'

test('a page holds what was asked for, 0 included, and else what is usual', () => {
  expect(pageSize(undefined)).toBe(20)
  expect(pageSize(null, { fallback: 5 })).toBe(5)
  expect(pageSize(0)).toBe(0)
  expect(pageSize(100)).toBe(100)
})

test('less than nothing is refused, and more than the limit with the limit', () => {
  expect(() => pageSize(-1, { name: 'last' })).toThrow(
    expect.objectContaining({ code: 'BAD_USER_INPUT', message: 'last: a whole number from 0' }),
  )
  expect(() => pageSize(101)).toThrow(expect.objectContaining({ code: 'LIST_TOO_LONG', details: { limit: 100 } }))
})
