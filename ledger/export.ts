import type { Readable } from 'node:stream'
import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Store, StoreScope } from '../store/store.ts'
import { bundleStream, type BundleRow } from './bundle.ts'
import type { CheckpointSigner } from './checkpoints/signer.ts'
import { originOf } from './entry.ts'
import { unpack } from './pack.ts'
import { open } from './private/seal.ts'
import { createSubjectKeys } from './private/subject-keys.ts'
import type { Keyring } from './proof/keyring.ts'
import { storedRows, type StoredRow } from './stored-rows.ts'

/**
 * A ledger as a bundle, in bounded memory, with a checkpoint signed now. An erasure that comes while rows are read has no
 * record in that checkpoint's tree: the stream then ends with OVERLOADED, and exporting again succeeds. `private`: private
 * parts are in it, in the clear; the caller checks the right to them.
 * @throws AppError NOT_FOUND (no records) | LEDGER_CORRUPT
 */
export async function exportLedger(
  deps: { store: Store; signer: CheckpointSigner; keyring: Keyring; wrappingKey?: Buffer | null },
  companyId: CompanyId,
  options: {
    private: boolean
    gzip?: boolean
    onProgress?: (done: number, total: number) => void
    scope?: StoreScope
  },
): Promise<{ stream: Readable; size: number }> {
  const { store, signer, keyring, wrappingKey = null } = deps
  if (options.private && wrappingKey === null) {
    throw new AppError('BAD_USER_INPUT', 'This deployment has no key for private parts.')
  }
  const checkpoint = await signer.sign(companyId)
  if (checkpoint === null) {
    throw new AppError('NOT_FOUND', `There are no records of ${companyId}.`, { details: { companyId } })
  }
  const { size } = checkpoint
  const subjectKeys = createSubjectKeys(wrappingKey)

  async function* rows(): AsyncGenerator<BundleRow[]> {
    const explained = await readErasures(store, companyId, size)
    let done = 0
    for await (const page of storedRows(store, companyId, { from: 0, until: size }, options.scope)) {
      const wanted = options.private ? page.filter((row) => row.private_subject !== null) : []
      const subjects = [...new Set(wanted.map((row) => row.private_subject ?? ''))]
      const keys =
        subjects.length === 0
          ? []
          : await store.onPrimary(store.shardOf(companyId), (sql) =>
              subjectKeys.find(
                sql,
                subjects.map((subject) => ({ companyId, subject })),
              ),
            )
      const byName = new Map(keys.map(({ subject, key }) => [subject, key]))
      yield page.map((row) => bundleRow(row, options.private, byName, explained))
      done += page.length
      options.onProgress?.(done, size)
    }
  }

  const header = {
    origin: originOf(store.deployment, companyId),
    size,
    private: options.private,
    checkpoint: checkpoint.note,
    vkey: keyring.vkey(originOf(store.deployment, companyId)),
  }
  return { stream: bundleStream(header, rows(), { gzip: options.gzip ?? false }), size }
}

function bundleRow(
  row: StoredRow,
  withPrivate: boolean,
  keys: ReadonlyMap<string, Buffer>,
  explained: Erasures,
): BundleRow {
  const key = row.private_subject === null ? undefined : keys.get(row.private_subject)
  const part = withPrivate && row.private !== null && key !== undefined ? open(key, row.private) : null
  const privateGone = withPrivate && row.private_commitment !== null && part === null
  if (
    (row.salt === null && !explained.all.has(row.position)) ||
    (privateGone && !explained.all.has(row.position) && !explained.private.has(row.position))
  ) {
    throw new AppError('OVERLOADED', 'A record was erased while the ledger was read: export it again.', {
      details: { position: row.position },
    })
  }
  return {
    position: row.position,
    header: row.header,
    data: row.packed === null ? row.data : unpack(row.packed),
    salt: row.salt,
    dataCommitment: row.data_commitment,
    private: part?.text ?? null,
    privateSalt: part?.salt ?? null,
    privateCommitment: row.private_commitment,
  }
}

/** Positions that `ledger.erased` records name: numbers, so that a million of them cost some tens of megabytes. */
interface Erasures {
  readonly all: ReadonlySet<number>
  readonly private: ReadonlySet<number>
}

async function readErasures(store: Store, companyId: CompanyId, until: number): Promise<Erasures> {
  const erased = { all: new Set<number>(), private: new Set<number>() }
  await store.onPrimary(store.shardOf(companyId), async (sql) => {
    const pages = sql<{ data: string }[]>`
      select data from ledger_records
      where company_id = ${companyId} and kind = 'ledger.erased' and position < ${until} and data is not null`.cursor(
      1000,
    )
    for await (const rows of pages) {
      for (const { data } of rows) {
        const { part, position } = JSON.parse(data) as { part?: string; position: number }
        erased[part === 'private' ? 'private' : 'all'].add(position)
      }
    }
  })
  return erased
}
