import { decodeBase64 } from './base64.ts'
import { isKeyName, type Signer, type Verifier } from './keys.ts'

/** C2SP `signed-note`: a text, an empty line, and `— <key name> <base64(key id || signature)>` lines. */
export interface Note {
  /** With its final newline: what is signed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export interface NoteSignature {
  readonly name: string
  readonly keyId: number
  readonly signature: Buffer
}

export type OpenedNote =
  | { kind: 'verified'; text: string; by: readonly Verifier[] }
  /** Well-formed, but no known key has signed it: its text MUST NOT be believed. */
  | { kind: 'untrusted'; text: string }
  | { kind: 'invalid'; why: string }

const maxNoteLength = 64 * 1024
const maxSignatures = 100
// Newline is the only ASCII control character that a note may hold; \p{Cc} has others beyond those.
const controlCharacter = /[^\P{Cc}\n\u007f-\u009f]/u

/** @throws TypeError for a text that cannot be a note's */
export function signNote(text: string, signers: readonly Signer[]): string {
  if (!text.endsWith('\n') || controlCharacter.test(text) || !text.isWellFormed()) {
    throw new TypeError('a note is lines of text, each with its newline')
  }
  const lines = signers.map((signer) => {
    const signature = Buffer.alloc(4 + 64)
    signature.writeUInt32BE(signer.keyId)
    signature.set(signer.sign(text), 4)
    return `— ${signer.name} ${signature.toString('base64')}\n`
  })
  return `${text}\n${lines.join('')}`
}

/** Undefined for everything that is not exactly a note. */
export function parseNote(note: string): Note | undefined {
  if (note.length > maxNoteLength || controlCharacter.test(note) || !note.isWellFormed()) return undefined
  const split = note.lastIndexOf('\n\n')
  if (split < 1 || !note.endsWith('\n')) return undefined
  const lines = note.slice(split + 2, -1).split('\n')
  if (lines.length > maxSignatures) return undefined
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const [, name = '', data = ''] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
    const bytes = decodeBase64(data)
    if (!isKeyName(name) || bytes === undefined || bytes.length <= 4) return undefined
    signatures.push({ name, keyId: bytes.readUInt32BE(0), signature: bytes.subarray(4) })
  }
  return { text: note.slice(0, split + 1), signatures }
}

/**
 * Verifies with every known key. Signatures by unknown keys are ignored, also where they share a name or a key id (not
 * both) with a known key. One failing signature of a known key makes the note invalid, however many others hold.
 */
export function openNote(note: string, verifiers: readonly Verifier[]): OpenedNote {
  const parsed = parseNote(note)
  if (parsed === undefined) return { kind: 'invalid', why: 'it is not a signed note' }
  const by = new Set<Verifier>()
  for (const { name, keyId, signature } of parsed.signatures) {
    const known = verifiers.filter((verifier) => verifier.name === name && verifier.keyId === keyId)
    if (known.length === 0) continue
    const holds = known.filter((verifier) => verifier.verify(parsed.text, signature))
    if (holds.length === 0) return { kind: 'invalid', why: `the signature by ${name} does not verify` }
    for (const verifier of holds) by.add(verifier)
  }
  if (by.size === 0) return { kind: 'untrusted', text: parsed.text }
  return { kind: 'verified', text: parsed.text, by: [...by] }
}
