import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { createSecretWrapper } from '../../webhooks/wrapping.ts'

const [old, current] = [randomBytes(32), randomBytes(32)]

test('a wrapped secret comes out whole, is different each time, and does not hold the secret', () => {
  const wrapper = createSecretWrapper([current])
  const [one, two] = [wrapper.wrap('whsec_x', 'acme 1'), wrapper.wrap('whsec_x', 'acme 1')]
  expect(wrapper.unwrap(one, 'acme 1')).toBe('whsec_x')
  expect(one.equals(two)).toBe(false)
  expect(one.includes('whsec_x')).toBe(false)
})

test('a wrapped secret is of no use in another row, under another key, cut short or with any byte changed', () => {
  const wrapper = createSecretWrapper([current])
  const wrapped = wrapper.wrap('whsec_x', 'acme 1')
  expect(() => wrapper.unwrap(wrapped, 'acme 2')).toThrow('wrapping keys')
  expect(() => createSecretWrapper([old]).unwrap(wrapped, 'acme 1')).toThrow('wrapping keys')
  for (let index = 0; index < wrapped.length; index += 1) {
    const broken = Buffer.from(wrapped)
    broken.writeUInt8(broken.readUInt8(index) ^ 1, index)
    expect(() => wrapper.unwrap(broken, 'acme 1')).toThrow('wrapping keys')
    expect(() => wrapper.unwrap(wrapped.subarray(0, index), 'acme 1')).toThrow('wrapping keys')
  }
})

test('secrets wrapped before the key was changed still come out', () => {
  const wrapped = createSecretWrapper([old]).wrap('whsec_x', 'acme 1')
  expect(createSecretWrapper([current, old]).unwrap(wrapped, 'acme 1')).toBe('whsec_x')
})

test('a wrapping key of another length is refused at the start', () => {
  for (const keys of [[], [randomBytes(16)], [current, randomBytes(31)]]) {
    let thrown: unknown
    try {
      createSecretWrapper(keys)
    } catch (error) {
      thrown = error
    }
    expect(isAppError(thrown, 'CONFIG_INVALID')).toBe(true)
  }
})
