import { hash } from 'node:crypto'
import { encodeBase64 } from '../proof/base64.ts'
import type { Checkpoint } from '../proof/checkpoint.ts'
import { Erasures } from './erasures.ts'
import type { Finding } from './findings.ts'
import { FormatError, parseBundleRecord, zeroHash, type BundleHeader } from './format.ts'
import { checkPayload, parseRecordHeader } from './record-header.ts'
import { StreamVersions } from './stream-versions.ts'
import { Tree } from './tree.ts'

/** A root that the tree must have had at a size: of an older checkpoint, or of another bundle of the same ledger. */
export interface KnownRoot {
  readonly size: number
  /** Base64. */
  readonly root: string
  /** Where it is from, for the report. */
  readonly source: string
}

/** Longer payloads get a buffer of their own. */
const scratchBytes = 64 * 1024

/**
 * Checks the records of one bundle against a checkpoint that is already trusted. Takes the lines in order; what it keeps
 * is the tree's right border, a few bits a record and a version a stream. Stops at the first broken record.
 */
export class BundleVerifier {
  readonly #header: BundleHeader
  readonly #checkpoint: Checkpoint
  /** By size, ascending. */
  readonly #known: readonly KnownRoot[]
  readonly #tree = new Tree()
  readonly #versions = new StreamVersions()
  readonly #erasures: Erasures
  readonly #scratch = Buffer.allocUnsafe(scratchBytes)
  #previousLeaf = zeroHash
  #recordedAt = ''
  #nextKnown = 0

  constructor(header: BundleHeader, checkpoint: Checkpoint, known: readonly KnownRoot[]) {
    this.#header = header
    this.#checkpoint = checkpoint
    this.#known = known.toSorted((a, b) => a.size - b.size)
    this.#erasures = new Erasures(header.private)
  }

  get records(): number {
    return this.#tree.size
  }

  get erasedParts(): number {
    return this.#erasures.count
  }

  /** Takes the next record's line; answers what is wrong with it. */
  add(line: string): Finding | undefined {
    const position = this.#tree.size
    const lineNumber = position + 2
    if (position >= this.#checkpoint.size) {
      return { kind: 'invalid', what: `there are more records than the checkpoint's ${position}`, line: lineNumber }
    }
    const differing = this.#differingRoot()
    if (differing !== undefined) return differing
    try {
      this.#addRecord(line, position)
      return undefined
    } catch (error) {
      if (error instanceof FormatError) return { kind: 'invalid', what: error.message, line: lineNumber, position }
      throw error
    }
  }

  /** After the last line: what only the whole shows, gravest first. */
  finish(): Finding[] {
    const { size, root } = this.#checkpoint
    const findings: Finding[] = []
    const records = this.#tree.size
    if (records < size) {
      findings.push({ kind: 'invalid', what: `there are ${records} records, and the checkpoint says ${size}` })
      return findings
    }
    const differing = this.#differingRoot()
    if (differing !== undefined) findings.push(differing)
    if (this.#tree.root() !== encodeBase64(root)) {
      const since = this.#known[this.#nextKnown - 1]
      const from = since === undefined ? '' : `; up to record ${since.size - 1} they are those of ${since.source}`
      findings.push({ kind: 'invalid', what: `the records do not hash to the checkpoint's root${from}` })
    }
    for (const { size: older, source } of this.#known.filter(({ size: older }) => older > size)) {
      findings.push({ kind: 'truncated', what: `there are ${size} records, and ${source} has signed ${older}` })
    }
    const gap = this.#erasures.firstGap()
    if (gap !== undefined) {
      const part = gap.part === 'data' ? 'the data' : 'the private part'
      findings.push({
        kind: 'gap',
        what: `${part} is missing, and no ledger.erased record says why`,
        ...at(gap.position),
      })
    }
    return findings
  }

  #addRecord(line: string, position: number): void {
    const record = parseBundleRecord(line, position)
    if (record.position !== position) {
      throw new FormatError(`its position is ${record.position} where ${position} comes next`)
    }
    const header = parseRecordHeader(record.header)
    if (header.recordedAt < this.#recordedAt) throw new FormatError('it is recorded before the record before it')
    if (!this.#versions.advance(header.stream, header.version)) {
      throw new FormatError(`version ${header.version} does not follow the last one of stream "${header.stream}"`)
    }
    this.#recordedAt = header.recordedAt

    if (record.data !== null && record.salt !== null) {
      checkPayload(record.data, 'data')
      if (this.#commitment(record.salt, record.data) !== record.dataCommitment) {
        throw new FormatError('its data and salt do not match their commitment')
      }
    }
    if (record.private !== null && record.privateSalt !== null) {
      checkPayload(record.private, 'private')
      if (this.#commitment(record.privateSalt, record.private) !== record.privateCommitment) {
        throw new FormatError('its private part and salt do not match their commitment')
      }
    }
    this.#erasures.add(record, header.kind)

    // The zero byte is RFC 6962's prefix of a leaf; what follows is the entry.
    const headerHash = hash('sha256', record.header, 'base64')
    const entry = `\0ledgerway-entry/v1\n${this.#header.origin}\n${position}\n${this.#previousLeaf}\n${headerHash}\n${record.dataCommitment}\n${record.privateCommitment ?? zeroHash}\n`
    this.#previousLeaf = hash('sha256', entry, 'base64')
    this.#tree.append(this.#previousLeaf)
  }

  /** Base64 of SHA-256(salt || text). */
  #commitment(salt: string, text: string): string {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    const most = 32 + text.length * 3
    const input = most <= scratchBytes ? this.#scratch : Buffer.allocUnsafe(most)
    input.write(salt, 0, 'base64')
    const length = 32 + input.write(text, 32, 'utf8')
    return hash('sha256', input.subarray(0, length), 'base64')
  }

  /** Compares the tree with the known roots of its present size. */
  #differingRoot(): Finding | undefined {
    for (;;) {
      const known = this.#known[this.#nextKnown]
      if (known === undefined || known.size !== this.#tree.size) return undefined
      if (this.#tree.root() !== known.root) {
        return {
          kind: 'invalid',
          what: `the first ${known.size} records are not those of ${known.source}: history was rewritten`,
        }
      }
      this.#nextKnown++
    }
  }
}

function at(position: number): { line: number; position: number } {
  return { line: position + 2, position }
}
