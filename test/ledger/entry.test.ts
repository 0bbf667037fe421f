import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { canonicalJson } from '../../core/json/canonical.ts'
import { commitment, entryText, headerText, leafOf, newSalt, originOf, textHash, zeroHash } from '../../ledger/entry.ts'
import { hashLeaf } from '../../ledger/merkle.ts'

const header = {
  kind: 'order.placed',
  source: 'shop "1"',
  stream: 'order/é😀',
  version: 3,
  recordedAt: '2026-11-21T08:00:00.000Z',
}

test('the header is the RFC 8785 text of exactly the fields that are there', () => {
  expect(headerText(header)).toBe(canonicalJson(header))
  const full = { ...header, occurredAt: '2026-11-20T08:00:00.000Z', actor: 'a\n', key: 'k', causation: 'x:0' }
  expect(headerText(full)).toBe(canonicalJson(full))
  expect(headerText({ ...header, actor: undefined })).toBe(canonicalJson(header))
  expect(() => headerText({ ...header, stream: '\ud800' })).toThrow(
    expect.objectContaining({ code: 'JSON_LONE_SURROGATE' }),
  )
})

test('an entry is seven lines, and its leaf a hash that sha256sum would give', () => {
  const salt = Buffer.alloc(32, 7)
  const entry = {
    origin: originOf('demo', 'acme'),
    position: 12,
    previousLeaf: Buffer.alloc(32, 1),
    headerHash: textHash(headerText(header)),
    dataCommitment: commitment(salt, '{}'),
    privateCommitment: zeroHash,
  }
  const lines = [
    'ledgerway-entry/v1',
    'demo/acme',
    '12',
    'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=',
    createHash('sha256').update(canonicalJson(header)).digest('base64'),
    createHash('sha256').update(salt).update('{}').digest('base64'),
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    '',
  ]
  expect(entryText(entry)).toBe(lines.join('\n'))
  expect(leafOf(entry)).toEqual(hashLeaf(Buffer.from(lines.join('\n'))))
  expect(leafOf(entry).toString('hex')).toBe(createHash('sha256').update('\0').update(lines.join('\n')).digest('hex'))
})

test('hashes and salts of another length, and origins of other letters, are mistakes', () => {
  expect(() => commitment(Buffer.alloc(31), '{}')).toThrow(TypeError)
  expect(() =>
    entryText({
      origin: 'a/b',
      position: 0,
      previousLeaf: zeroHash,
      headerHash: Buffer.alloc(4),
      dataCommitment: zeroHash,
      privateCommitment: zeroHash,
    }),
  ).toThrow(TypeError)
  for (const [deployment, company] of [
    ['Demo', 'a'],
    ['', 'a'],
    ['a', ''],
    ['a/b', 'c'],
    ['a', 'b\n'],
  ] as const) {
    expect(() => originOf(deployment, company)).toThrow(TypeError)
  }
})

test('the same text under two salts has two commitments', () => {
  expect(commitment(newSalt(), '{"name":"Ada"}')).not.toEqual(commitment(newSalt(), '{"name":"Ada"}'))
})
