import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseVkey } from '../../ledger/proof/keys.ts'
import { verifyTlogProof } from '../../ledger/proof/tlog-proof.ts'
import { runVerify } from '../../ledger/verify/command.ts'
import { exampleFiles } from './example.ts'

const folder = new URL('../../docs/examples/', import.meta.url).pathname
const read = (name: string): string => readFileSync(folder + name, 'utf8')

test('the example of the documents is what the format says, byte for byte', () => {
  const files = exampleFiles()
  expect(Object.fromEntries(Object.keys(files).map((name) => [name, read(name)]))).toEqual(files)
})

test('the example verifies: its bundle, since its older checkpoint, and its record', async () => {
  const vkey = read('vkey').trim()
  let out = ''
  const argv = [
    `${folder}bundle.ndjson`,
    '--vkey',
    vkey,
    '--origin',
    'demo/acme',
    '--since',
    `${folder}older.checkpoint`,
  ]
  const code = await runVerify(argv, { out: (text) => (out += text), err: (text) => (out += text) })
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('5 records, 1 erased') })
  const verifier = parseVkey(vkey)!
  expect(verifyTlogProof(read('record-1.tlog-proof'), [verifier])).toMatchObject({ kind: 'verified', index: 1 })
})
