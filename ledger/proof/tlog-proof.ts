import { hashLeaf, verifyInclusion } from '../merkle.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import type { Verifier } from './keys.ts'

/**
 * C2SP `tlog-proof@v1`: one record's proof as a text that verifies offline. `extra` is the record's entry, which whoever
 * verifies hashes; the format as such does not authenticate it.
 */
export interface TlogProof {
  readonly index: number
  readonly entry: Uint8Array
  /** From the leaf's sibling upwards. */
  readonly proof: readonly Uint8Array[]
  /** The signed note. */
  readonly checkpoint: string
}

export type VerifiedTlogProof =
  | { kind: 'verified'; index: number; entry: string; leaf: Uint8Array; checkpoint: Checkpoint }
  | { kind: 'untrusted' }
  | { kind: 'invalid'; why: string }

const firstLine = 'c2sp.org/tlog-proof@v1'

export function formatTlogProof({ index, entry, proof, checkpoint }: TlogProof): string {
  const lines = [firstLine, `extra ${encodeBase64(entry)}`, `index ${index}`, ...proof.map(encodeBase64)]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Undefined for everything that is not exactly such a proof with an entry. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const split = text.indexOf('\n\n')
  const [first, extra = '', index = '', ...hashes] = text.slice(0, Math.max(split, 0)).split('\n')
  const entry = extra.startsWith('extra ') ? decodeBase64(extra.slice(6)) : undefined
  if (first !== firstLine || entry === undefined || !/^index (?:0|[1-9][0-9]{0,15})$/.test(index)) return undefined
  const proof = hashes.map(decodeBase64)
  if (!proof.every((hash) => hash?.length === 32)) return undefined
  return { index: Number(index.slice(6)), entry, proof: proof as Buffer[], checkpoint: text.slice(split + 2) }
}

/** The checkpoint's signature, the inclusion of the entry in its tree, and that the entry says the same place. */
export function verifyTlogProof(text: string, verifiers: readonly Verifier[]): VerifiedTlogProof {
  const parsed = parseTlogProof(text)
  if (parsed === undefined) return { kind: 'invalid', why: 'it is not a tlog-proof@v1 with an entry' }
  const opened = openCheckpoint(parsed.checkpoint, verifiers)
  if (opened.kind === 'invalid') return { kind: 'invalid', why: `checkpoint: ${opened.why}` }
  if (opened.kind === 'untrusted') return opened
  const { checkpoint } = opened
  const { index, proof } = parsed
  const leaf = hashLeaf(parsed.entry)
  if (!verifyInclusion({ index, size: checkpoint.size, leaf, proof, root: checkpoint.root })) {
    return { kind: 'invalid', why: `the entry is not record ${index} of the checkpoint's tree` }
  }
  const entry = Buffer.from(parsed.entry).toString('utf8')
  const [format, origin, position] = entry.split('\n')
  if (format !== 'ledgerway-entry/v1' || origin !== checkpoint.origin || position !== String(index)) {
    return { kind: 'invalid', why: 'the entry names another ledger or position' }
  }
  return { kind: 'verified', index, entry, leaf, checkpoint }
}
