import { expect, test } from 'vitest'
import { dataDirectoryError } from '../../../app/embedded/data-directory.ts'

test('a start that fails on a full disk says so, whatever the server was doing when it ran out', () => {
  const failure = new Error('checkpoint request failed')
  expect(dataDirectoryError('/data', failure, () => true)).toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'The data directory /data cannot be used: its disk is full (checkpoint request failed)',
  })
  expect(dataDirectoryError('/data', failure, () => false)).toBe(failure)
})
