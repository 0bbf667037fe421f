import { isAppError } from '../core/errors.ts'
import { canonicalPayload } from '../core/json/canonical.ts'
import type { CompanyId } from '../core/ids.ts'
import { parseJsonText } from '../core/json/parse-names.ts'
import type { Store, StoreScope } from '../store/store.ts'
import type { SignerState } from './checkpoints/signer-state.ts'
import { commitment, headerText, leafOf, originOf, textHash, zeroHash, type RecordHeader } from './entry.ts'
import { unpack } from './pack.ts'
import { open } from './private/seal.ts'
import { createSubjectKeys } from './private/subject-keys.ts'
import type { Keyring } from './proof/keyring.ts'
import { storedRows, type StoredRow } from './stored-rows.ts'
import { createTreeCheck } from './verify-stored-tree.ts'

/** The first thing that is not as it has to be. `position` is null where no one record is at fault. */
export interface LedgerBreak {
  readonly position: number | null
  readonly what: string
}

export interface StoredVerification {
  readonly companyId: CompanyId
  /** Records `from` to `until - 1` were looked at. */
  readonly from: number
  readonly until: number
  readonly firstBreak: LedgerBreak | null
}

export interface VerifyStoredDeps {
  readonly store: Store
  /** Without it, checkpoints are compared but their signatures are not verified. */
  readonly keyring?: Keyring | null
  readonly wrappingKey?: Buffer | null
  /** What was signed last, as it is known outside the shard: a ledger that has lost or changed any of it is broken. */
  readonly witnesses?: readonly SignerState[]
}

/**
 * Recomputes everything that is stored of a ledger, in pages, apart from the SQL that wrote it: headers and their copies
 * in columns, commitments, entries, leaves and their chain, versions, times, tiles, checkpoints and their signatures. With
 * `from` above 0, the tree (tiles from there on excepted) and the versions' beginnings are taken as they are. A private
 * part is opened where the wrapping key is given.
 */
export async function verifyStored(
  deps: VerifyStoredDeps,
  companyId: CompanyId,
  options: {
    from?: number
    /** Exclusive; absent: all that there is. */
    until?: number
    onProgress?: (done: number, total: number) => void
    scope?: StoreScope
  } = {},
): Promise<StoredVerification> {
  const { store } = deps
  const { scope } = options
  const origin = originOf(store.deployment, companyId)
  // Before the head, so that what is signed meanwhile is not missed in it.
  const signed = (await Promise.all((deps.witnesses ?? []).map((state) => state.last(origin)))).filter(
    (tree) => tree !== null,
  )
  const head = await store.onPrimary(store.shardOf(companyId), async (sql) => {
    const [row] = await sql<{ size: number; leaf: Buffer; recorded_at: string }[]>`
      select size, leaf, recorded_at from ledger_heads where company_id = ${companyId}`
    return row ?? { size: 0, leaf: zeroHash, recorded_at: '' }
  })
  const from = Math.max(0, Math.min(options.from ?? 0, head.size))
  const until = Math.max(from, Math.min(options.until ?? head.size, head.size))
  const found = (firstBreak: LedgerBreak | null): StoredVerification => ({ companyId, from, until, firstBreak })
  const primary: StoreScope = scope ?? {}

  const lost = signed.find(({ size }) => size > head.size)
  if (lost !== undefined)
    return found({ position: head.size, what: `${lost.size} records were signed, and there are fewer` })

  const check = createRowCheck(origin, deps.wrappingKey ?? null, store, companyId)
  const tree = from === 0 ? await createTreeCheck(deps, companyId, signed) : null
  const missing: MissingPart[] = []
  const erased = new Set<string>()
  let done = from
  try {
    for await (const page of storedRows(store, companyId, { from, until }, primary)) {
      const keys = await check.subjectKeys(page)
      for (const row of page) {
        if (row.position !== done) return found({ position: done, what: 'the record is missing' })
        const what = check.row(row, keys)
        if (what !== null) return found({ position: row.position, what })
        collectErasure(row, missing, erased, keys)
        tree?.append(row.leaf)
        done += 1
      }
      const broken = await tree?.page()
      if (broken != null) return found(broken)
      options.onProgress?.(done - from, until - from)
    }
  } catch (error) {
    if (!isAppError(error, 'LEDGER_CORRUPT')) throw error
    return found({ position: done, what: error.message })
  }
  if (until === head.size) {
    const last = check.last()
    if (until > from && (!last.leaf.equals(head.leaf) || last.recordedAt !== head.recorded_at)) {
      return found({ position: null, what: 'the head is not that of the last record' })
    }
    const more = await store.onPrimary(store.shardOf(companyId), async (sql) => {
      const rows = await sql`
        select 1 from ledger_records where company_id = ${companyId} and position >= ${head.size}
          and position >= (select size from ledger_heads where company_id = ${companyId}) limit 1`
      return rows.length
    })
    if (more > 0) return found({ position: head.size, what: 'there are records behind the head' })
    const broken = await tree?.end()
    if (broken != null) return found(broken)
  }
  const unexplained = (): MissingPart | undefined =>
    missing.find((part) => !part.explainedBy.some((key) => erased.has(key)))
  if (unexplained() !== undefined) {
    // The erasure may be recorded behind the range, or while it was read.
    for (const part of await laterErasures(store, companyId, until)) erased.add(part)
  }
  const gap = unexplained()
  return found(
    gap === undefined ? null : { position: gap.position, what: `the ${gap.part} is missing without an erasure` },
  )
}

interface MissingPart {
  position: number
  part: 'data' | 'private part'
  explainedBy: string[]
}

function collectErasure(row: StoredRow, missing: MissingPart[], erased: Set<string>, keys: OpenKeys | null): void {
  if (row.salt === null) missing.push({ position: row.position, part: 'data', explainedBy: [`all:${row.position}`] })
  // Without its key it is as good as gone, as it is while its subject is being erased.
  const unreadable = keys !== null && row.private_subject !== null && !keys.has(row.private_subject)
  if (row.private_commitment !== null && (row.private === null || unreadable)) {
    missing.push({
      position: row.position,
      part: 'private part',
      explainedBy: [`all:${row.position}`, `private:${row.position}`],
    })
  }
  if (row.kind === 'ledger.erased' && row.data !== null) erased.add(erasureKey(row.data))
}

function erasureKey(data: string): string {
  const { part, position } = JSON.parse(data) as { part?: string; position: number }
  return `${part === 'private' ? 'private' : 'all'}:${position}`
}

async function laterErasures(store: Store, companyId: CompanyId, from: number): Promise<string[]> {
  const rows = await store.onPrimary(
    store.shardOf(companyId),
    (sql) => sql<{ data: string | null }[]>`
      select data from ledger_records
      where company_id = ${companyId} and kind = 'ledger.erased' and position >= ${from} order by position`,
  )
  return rows.flatMap(({ data }) => (data === null ? [] : [erasureKey(data)]))
}

type OpenKeys = ReadonlyMap<string, Buffer>

function createRowCheck(origin: string, wrappingKey: Buffer | null, store: Store, companyId: CompanyId) {
  const subjects = createSubjectKeys(wrappingKey)
  const versions = new Map<string, number>()
  let previousLeaf: Buffer | null = null
  let recordedAt = ''
  let complete = false

  return {
    last: () => ({ leaf: previousLeaf ?? zeroHash, recordedAt }),

    /** Null where private parts cannot be opened. */
    async subjectKeys(page: readonly StoredRow[]): Promise<OpenKeys | null> {
      const wanted = [...new Set(page.flatMap((row) => (row.private_subject === null ? [] : [row.private_subject])))]
      if (wrappingKey === null) return null
      const found = await store.onPrimary(store.shardOf(companyId), (sql) =>
        subjects.find(
          sql,
          wanted.map((subject) => ({ companyId, subject })),
        ),
      )
      return new Map(found.map(({ subject, key }) => [subject, key]))
    },

    /** What is wrong with the row, or null. */
    row(row: StoredRow, keys: OpenKeys | null): string | null {
      if (row.position === 0) complete = true
      const header = parseHeader(row.header)
      if (header === null) return 'the header is not the canonical text of a record header'
      if (
        header.kind !== row.kind ||
        header.source !== row.source ||
        header.stream !== row.stream ||
        header.version !== row.version ||
        header.recordedAt !== row.recorded_at ||
        (header.key ?? null) !== row.key
      ) {
        return 'a column differs from the header'
      }
      const version = versions.get(row.stream) ?? (complete ? 0 : row.version - 1)
      if (row.version !== version + 1) return `the stream's version is ${row.version}, not ${version + 1}`
      versions.set(row.stream, row.version)
      if (row.recorded_at < recordedAt) return 'it was recorded before its predecessor'
      recordedAt = row.recorded_at
      if (row.batch_id > row.position || row.batch_id < 0) return 'its batch begins behind it'

      const text = row.packed === null ? row.data : unpack(row.packed)
      if (row.packed !== null && row.data !== null) return 'the data is stored twice'
      if ((text === null) !== (row.salt === null)) return 'the data is there without its salt, or the salt without data'
      if (text !== null && row.salt !== null) {
        if (row.salt.length !== 32) return 'the salt has not 32 bytes'
        if (!commitment(row.salt, text).equals(row.data_commitment)) return 'the data is not what was committed to'
        if (!isCanonical(text)) return 'the data is not canonical'
      }
      const privately = privateFault(row, keys)
      if (privately !== null) return privately

      if (row.position === 0 && !row.previous_leaf.equals(zeroHash)) return 'the first record has a predecessor'
      if (previousLeaf !== null && !row.previous_leaf.equals(previousLeaf)) return 'it does not follow its predecessor'
      const leaf = leafOf({
        origin,
        position: row.position,
        previousLeaf: row.previous_leaf,
        headerHash: textHash(row.header),
        dataCommitment: row.data_commitment,
        privateCommitment: row.private_commitment ?? zeroHash,
      })
      if (!leaf.equals(row.leaf)) return 'the leaf is not the hash of the entry'
      previousLeaf = row.leaf
      return null
    },
  }
}

function privateFault(row: StoredRow, keys: OpenKeys | null): string | null {
  if (row.private_commitment === null) {
    return row.private === null && row.private_subject === null ? null : 'a private part without a commitment'
  }
  if ((row.private === null) !== (row.private_subject === null)) return 'a private part without its subject'
  if (row.private === null || row.private_subject === null) return null
  const key = keys?.get(row.private_subject)
  if (key === undefined) return null
  const part = open(key, row.private)
  return commitment(part.salt, part.text).equals(row.private_commitment)
    ? null
    : 'the private part is not what was committed to'
}

const headerFields = new Set<keyof RecordHeader>([
  'actor',
  'causation',
  'key',
  'kind',
  'occurredAt',
  'recordedAt',
  'source',
  'stream',
  'version',
])

function parseHeader(text: string): RecordHeader | null {
  try {
    const header = parseJsonText(text) as RecordHeader
    const known = Object.keys(header).every((field) => headerFields.has(field as keyof RecordHeader))
    return known && headerText(header) === text ? header : null
  } catch {
    return null
  }
}

function isCanonical(text: string): boolean {
  try {
    return canonicalPayload(parseJsonText(text), { maxBytes: Number.MAX_SAFE_INTEGER, maxDepth: 64 }) === text
  } catch {
    return false
  }
}
