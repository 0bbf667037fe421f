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
