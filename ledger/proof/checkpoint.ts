import { decodeBase64, encodeBase64 } from './base64.ts'
import type { Signer, Verifier } from './keys.ts'
import { openNote, parseNote, signNote } from './note.ts'

/** C2SP `tlog-checkpoint`, of exactly three text lines: which ledger, how many records, the root of their tree. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

export type OpenedCheckpoint =
  | { kind: 'verified'; checkpoint: Checkpoint; by: readonly Verifier[] }
  | { kind: 'untrusted' }
  | { kind: 'invalid'; why: string }

function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\n`
}

/** The key names MUST equal the origin. More than one signer is for the time in which a key is being replaced. */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly Signer[]): string {
  if (signers.some(({ name }) => name !== checkpoint.origin)) throw new TypeError('the key name is not the origin')
  if (checkpoint.root.length !== 32 || !Number.isSafeInteger(checkpoint.size)) throw new TypeError('not a tree head')
  return signNote(checkpointText(checkpoint), signers)
}

/** Undefined for every text that is not exactly a checkpoint's, extension lines included. */
export function parseCheckpointText(text: string): Checkpoint | undefined {
  const [, origin = '', size = '', root = ''] = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n$/.exec(text) ?? []
  const bytes = decodeBase64(root)
  if (origin === '' || bytes?.length !== 32 || !Number.isSafeInteger(Number(size))) return undefined
  return { origin, size: Number(size), root: bytes }
}

/** What a note says without asking who signed it: for one's own notes, and to compare notes, never to believe them. */
export function readCheckpoint(note: string): Checkpoint | undefined {
  const parsed = parseNote(note)
  return parsed === undefined ? undefined : parseCheckpointText(parsed.text)
}

/** Verifies the note with the given keys, and that those that signed it bear the origin's name. */
export function openCheckpoint(note: string, verifiers: readonly Verifier[]): OpenedCheckpoint {
  const opened = openNote(note, verifiers)
  if (opened.kind === 'invalid') return opened
  if (opened.kind === 'untrusted') return { kind: 'untrusted' }
  const checkpoint = parseCheckpointText(opened.text)
  if (checkpoint === undefined) return { kind: 'invalid', why: 'its text is not a checkpoint of three lines' }
  if (opened.by.some(({ name }) => name !== checkpoint.origin)) {
    return { kind: 'invalid', why: `it is signed under another name than its origin ${checkpoint.origin}` }
  }
  return { kind: 'verified', checkpoint, by: opened.by }
}
