import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { entryText, leafOf, zeroHash } from '../../ledger/entry.ts'
import { inclusionProof, treeHash } from '../../ledger/merkle.ts'
import { openCheckpoint, parseCheckpointText, readCheckpoint, signCheckpoint } from '../../ledger/proof/checkpoint.ts'
import { loadOrCreateKeyring, parseKeyring } from '../../ledger/proof/keyring.ts'
import { createSigner, formatSkey, newSeed, parseSkey, parseVkey, type Verifier } from '../../ledger/proof/keys.ts'
import { openNote, parseNote, signNote } from '../../ledger/proof/note.ts'
import { formatTlogProof, parseTlogProof, verifyTlogProof } from '../../ledger/proof/tlog-proof.ts'

const folder = mkdtempSync(join(tmpdir(), 'proof-'))
afterAll(() => rmSync(folder, { recursive: true }))

function verifierOf(vkey: string): Verifier {
  const verifier = parseVkey(vkey)
  if (verifier === undefined) throw new Error('not a vkey')
  return verifier
}

describe('keys', () => {
  // From the documentation of golang.org/x/mod/sumdb/note.
  const goSkey = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
  const goVkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
  const goNote =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'

  test('a key and a note of the Go package are read, verified and written the same', () => {
    const verifier = verifierOf(goVkey)
    expect(verifier.name).toBe('PeterNeumann')
    const opened = openNote(goNote, [verifier])
    expect(opened.kind).toBe('verified')
    const { name, seed } = parseSkey(goSkey) ?? { name: '', seed: Buffer.alloc(0) }
    const signer = createSigner(name, seed)
    expect(signer.vkey).toBe(goVkey)
    expect(formatSkey(name, seed)).toBe(goSkey)
    expect(signNote(parseNote(goNote)!.text, [signer])).toBe(goNote)
  })

  test('one character changed anywhere and it is no key', () => {
    for (let at = 0; at < goVkey.length; at++) {
      const other = goVkey[at] === 'A' ? 'B' : 'A'
      expect(parseVkey(goVkey.slice(0, at) + other + goVkey.slice(at + 1))).toBeUndefined()
    }
    for (let at = 0; at < goSkey.length; at++) {
      expect(parseSkey(`${goSkey.slice(0, at)}!${goSkey.slice(at + 1)}`)).toBeUndefined()
    }
    for (const text of ['', goSkey, `${goVkey}\n`, ` ${goVkey}`, goVkey.toUpperCase(), `${goVkey}=`]) {
      expect(parseVkey(text)).toBeUndefined()
    }
  })

  test('names with spaces or a plus, and seeds of another length, are mistakes', () => {
    for (const name of ['', 'a b', 'a+b', 'a\n', 'a\u00a0b'])
      expect(() => createSigner(name, newSeed())).toThrow(TypeError)
    expect(() => createSigner('a', Buffer.alloc(31))).toThrow(TypeError)
  })
})

describe('notes', () => {
  const [alice, bob] = ['alice', 'bob'].map((name) => createSigner(name, newSeed())) as [
    ReturnType<typeof createSigner>,
    ReturnType<typeof createSigner>,
  ]
  const text = 'a text\n\nwith an empty line\n'

  test('are verified by each known key that signed, and by no other', () => {
    const note = signNote(text, [alice, bob])
    const verifiers = [verifierOf(alice.vkey), verifierOf(bob.vkey)]
    expect(openNote(note, verifiers)).toEqual({ kind: 'verified', text, by: verifiers })
    expect(openNote(note, verifiers.slice(1))).toEqual({ kind: 'verified', text, by: verifiers.slice(1) })
    expect(openNote(note, [])).toEqual({ kind: 'untrusted', text })
    expect(openNote(note, [verifierOf(createSigner('alice', newSeed()).vkey)])).toMatchObject({ kind: 'untrusted' })
  })

  test('one failing signature of a known key spoils the note, whatever the others say', () => {
    const note = signNote(text, [alice, bob])
    const forged = signNote('another text\n', [bob]).split('\n\n')[1] ?? ''
    const verifiers = [verifierOf(alice.vkey), verifierOf(bob.vkey)]
    expect(openNote(note + forged, verifiers).kind).toBe('invalid')
    expect(openNote(note.replace('a text', 'b text'), verifiers).kind).toBe('invalid')
    expect(openNote(note + forged, verifiers.slice(0, 1)).kind).toBe('verified')
  })

  test('are read strictly', () => {
    const note = signNote('text\n', [alice])
    expect(parseNote(note)?.text).toBe('text\n')
    const [, line = ''] = note.split('\n\n')
    for (const broken of [
      '',
      '\n',
      'text\n',
      'text\n\n',
      `\n\n${line}`,
      note.trimEnd(),
      `${note}\n`,
      `${note}more\n`,
      `text\n${line}`,
      note.replace('— ', '—'),
      note.replace('— ', '- '),
      note.replace('— alice ', '—  '),
      note.replace('alice ', 'alice  '),
      note.replace('alice', 'al+ce'),
      note.replace('alice', 'al\u2003ce'),
      note.replace('text', 'te\txt'),
      note.replace('text', 'te\rxt'),
      note.replace('text', 'te\ud800xt'),
      note.replace(/ [^ ]+\n$/, ' AAAA\n'),
      note.replace(/ [^ ]+\n$/, ' \n'),
      note + line.repeat(100),
    ]) {
      expect([broken, parseNote(broken)]).toEqual([broken, undefined])
    }
    expect(() => signNote('no newline', [alice])).toThrow(TypeError)
    expect(() => signNote('tab\t\n', [alice])).toThrow(TypeError)
  })
})

describe('checkpoints', () => {
  const signer = createSigner('demo/acme', newSeed())
  const checkpoint = { origin: 'demo/acme', size: 3, root: treeHash([zeroHash, zeroHash, zeroHash]) }

  test('are signed and read back', () => {
    const note = signCheckpoint(checkpoint, [signer])
    const verifiers = [verifierOf(signer.vkey)]
    expect(openCheckpoint(note, verifiers)).toMatchObject({ kind: 'verified', by: verifiers })
    expect(readCheckpoint(note)).toEqual({ ...checkpoint, root: Buffer.from(checkpoint.root) })
    expect(openCheckpoint(note, [])).toEqual({ kind: 'untrusted' })
  })

  test('bear the name of their origin', () => {
    const other = createSigner('demo/other', newSeed())
    expect(() => signCheckpoint(checkpoint, [other])).toThrow(TypeError)
    const note = signNote(parseNote(signCheckpoint(checkpoint, [signer]))!.text, [other])
    expect(openCheckpoint(note, [verifierOf(other.vkey)]).kind).toBe('invalid')
  })

  test('have exactly three lines, in their one spelling', () => {
    const root = 'A'.repeat(43)
    expect(parseCheckpointText(`a/b\n0\n${root}=\n`)).toMatchObject({ origin: 'a/b', size: 0 })
    for (const text of [
      `a/b\n0\n${root}=`,
      `a/b\n0\n${root}=\nmore\n`,
      `a/b\n00\n${root}=\n`,
      `a/b\n+1\n${root}=\n`,
      `a/b\n-1\n${root}=\n`,
      `a/b\n1e3\n${root}=\n`,
      `a/b\n9007199254740992\n${root}=\n`,
      `\n0\n${root}=\n`,
      `a/b\n0\n${root}\n`,
      `a/b\n0\n${root.slice(1)}B=\n`,
      `a/b\n0\nAAAA\n`,
      '',
    ]) {
      expect([text, parseCheckpointText(text)]).toEqual([text, undefined])
    }
  })
})

describe('a rotated key', () => {
  const [old, next] = [newSeed(), newSeed()]
  const skey = (seed: Uint8Array): string => formatSkey('demo', seed)
  const verifier = (seed: Uint8Array): Verifier => verifierOf(createSigner('demo/acme', seed).vkey)
  const sign = (keyring: string): string =>
    signCheckpoint({ origin: 'demo/acme', size: 0, root: treeHash([]) }, parseKeyring(keyring).signers('demo/acme'))

  test('signs beside the new one until it is taken out, so that either vkey verifies in between', () => {
    const [before, between, after] = [skey(old), `${skey(next)}\n${skey(old)}\n`, skey(next)].map(sign) as [
      string,
      string,
      string,
    ]
    const kinds = (note: string): string[] => [old, next].map((seed) => openCheckpoint(note, [verifier(seed)]).kind)
    expect(kinds(before)).toEqual(['verified', 'untrusted'])
    expect(kinds(between)).toEqual(['verified', 'verified'])
    expect(kinds(after)).toEqual(['untrusted', 'verified'])
    expect(parseKeyring(`${skey(next)}\n${skey(old)}`).vkey('demo/acme')).toBe(verifier(next).vkey)
  })

  test('that is damaged or missing is refused without being shown', () => {
    const damaged = skey(old).replace(/.$/, '!')
    expect(() => parseKeyring(damaged)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => parseKeyring(damaged)).not.toThrow(damaged)
    expect(() => parseKeyring('\n')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('the key file', () => {
  test('is made once, for its owner alone, and read from then on', () => {
    const path = join(folder, 'keys', 'checkpoint.key')
    const made = loadOrCreateKeyring(path, 'demo').vkey('demo/acme')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).toMatch(/^PRIVATE\+KEY\+demo\+[^\n]+\n$/)
    expect(loadOrCreateKeyring(path, 'demo').vkey('demo/acme')).toBe(made)
  })

  test('that others can read is refused', () => {
    const path = join(folder, 'open.key')
    writeFileSync(path, formatSkey('demo', newSeed()))
    chmodSync(path, 0o644)
    expect(() => loadOrCreateKeyring(path, 'demo')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('tlog-proof@v1', () => {
  const origin = 'demo/acme'
  const signer = createSigner(origin, newSeed())
  const verifiers = [verifierOf(signer.vkey)]
  const entries: Buffer[] = []
  const leaves: Buffer[] = []
  for (let position = 0; position < 7; position++) {
    const previousLeaf = leaves.at(-1) ?? zeroHash
    const entry = {
      origin,
      position,
      previousLeaf,
      headerHash: zeroHash,
      dataCommitment: zeroHash,
      privateCommitment: zeroHash,
    }
    entries.push(Buffer.from(entryText(entry)))
    leaves.push(leafOf(entry))
  }
  const checkpoint = signCheckpoint({ origin, size: 7, root: treeHash(leaves) }, [signer])
  const proofOf = (index: number): string =>
    formatTlogProof({ index, entry: entries[index]!, proof: inclusionProof(leaves, index), checkpoint })

  test('of every record verifies, and says which entry it is', () => {
    for (const [index, leaf] of leaves.entries()) {
      expect(verifyTlogProof(proofOf(index), verifiers)).toMatchObject({
        kind: 'verified',
        index,
        leaf,
        entry: entries[index]!.toString(),
      })
    }
    expect(verifyTlogProof(proofOf(0), [])).toEqual({ kind: 'untrusted' })
  })

  test('has the lines of the specification', () => {
    const [first, extra, index, ...rest] = proofOf(6).split('\n')
    expect([first, extra, index]).toEqual([
      'c2sp.org/tlog-proof@v1',
      `extra ${entries[6]!.toString('base64')}`,
      'index 6',
    ])
    expect(rest.slice(0, 2).every((hash) => hash.length === 44)).toBe(true)
    expect(rest.slice(2).join('\n')).toBe(`\n${checkpoint}`)
  })

  test('altered in any line it does not verify', () => {
    const text = proofOf(2)
    const lines = text.split('\n')
    for (const at of lines.keys()) {
      expect(verifyTlogProof(lines.toSpliced(at, 1).join('\n'), verifiers).kind).not.toBe('verified')
      expect(verifyTlogProof(lines.toSpliced(at, 0, 'x').join('\n'), verifiers).kind).not.toBe('verified')
    }
    for (const broken of [
      text.replace('index 2', 'index 02'),
      text.replace('index 2', 'index 3'),
      text.replace('extra ', 'extra  '),
      text.replace(/extra .*\n/, ''),
      text.replace('v1', 'v2'),
      proofOf(3).replace(/extra .*\n/, lines[1] ?? ''),
      text.replace(
        lines[3] ?? '',
        (lines[3] ?? '').replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
      ),
      '',
    ]) {
      expect(verifyTlogProof(broken, verifiers).kind).toBe('invalid')
    }
    expect(parseTlogProof('c2sp.org/tlog-proof@v1\nextra AA\nindex 0\n\n')).toBeUndefined()
  })

  test('of an entry that says another place does not verify, though it is in the tree', () => {
    const lie = Buffer.from(entries[0]!.toString().replace('\n0\n', '\n1\n'))
    const leaf = leafOf({
      origin,
      position: 1,
      previousLeaf: zeroHash,
      headerHash: zeroHash,
      dataCommitment: zeroHash,
      privateCommitment: zeroHash,
    })
    const note = signCheckpoint({ origin, size: 1, root: leaf }, [signer])
    expect(
      verifyTlogProof(formatTlogProof({ index: 0, entry: lie, proof: [], checkpoint: note }), verifiers),
    ).toMatchObject({ kind: 'invalid', why: expect.stringContaining('another') })
  })
})
