import { expect, test } from 'vitest'
import { StreamVersions } from '../../../ledger/verify/stream-versions.ts'

test('versions are followed for more streams than are kept by name, and through every growth of the table', () => {
  const versions = new StreamVersions()
  const streams = 150_000
  let wrong = 0
  const advance = (stream: number, version: number): boolean => versions.advance(`stream/${stream}`, version)
  for (let stream = 0; stream < streams; stream++) {
    if (advance(stream, 2) || !advance(stream, 1) || advance(stream, 1)) wrong++
  }
  for (let stream = 0; stream < streams; stream += 7) {
    if (advance(stream, 1) || advance(stream, 3) || !advance(stream, 2) || !advance(stream, 3)) wrong++
  }
  expect(wrong).toBe(0)
})
