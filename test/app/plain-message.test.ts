import { expect, test } from 'vitest'
import { plainMessage } from '../../app/plain-message.ts'
import { AppError } from '../../core/errors.ts'

test('what went wrong is told, and not what went wrong in clearing up after it', () => {
  const why = new AppError('CONFIG_INVALID', 'PORT: must be a whole number')
  expect(plainMessage(new SuppressedError(new Error('not started'), why))).toBe('PORT: must be a whole number')
})

test('a mistake of ours is shown with its stack, a refusal of the system in its own words', () => {
  expect(plainMessage(new TypeError('x is not a function'))).toMatch(/^TypeError: x is not a function\n +at /)
  expect(plainMessage(Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' }))).toBe('listen EADDRINUSE')
})

test('of a server that cannot be used, the operator is told what it said', () => {
  const refused = Object.assign(new Error('password authentication failed for user "ledgerway"'), { code: '28P01' })
  const error = new AppError('CATALOG_UNAVAILABLE', 'The catalog cannot be reached.', { cause: refused })
  expect(plainMessage(error)).toBe('The catalog cannot be reached: password authentication failed for user "ledgerway"')
  expect(plainMessage(new AppError('CATALOG_UNAVAILABLE', 'The catalog cannot be reached.'))).toBe(
    'The catalog cannot be reached.',
  )
})
