import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { ShardTx, Store } from '../../store/store.ts'
import type { CheckpointSigner } from '../checkpoints/signer.ts'
import { exportLedger } from '../export.ts'
import { encrypt } from '../private/seal.ts'
import type { Keyring } from '../proof/keyring.ts'
import { type FinishedExport, finishedExport } from './read-exports.ts'
import { abandonExport, addChunk, beginExport, chunkBytes, completeExport, type ExportPlace } from './stored-export.ts'

export interface ExportLimits {
  /** Of one file. */
  readonly maxBytes: number
  /** On one shard, before another one is begun. */
  readonly shardBytes: number
  /** Of one company; a new one takes the oldest one's place. */
  readonly perCompany: number
  readonly keepMs: number
}

const defaultExportLimits: ExportLimits = {
  maxBytes: 4 * 1024 ** 3,
  shardBytes: 16 * 1024 ** 3,
  perCompany: 3,
  keepMs: 24 * 3_600_000,
}

export interface ExportWriter {
  /**
   * Writes a gzipped bundle to where every process can read it. MUST be given the same name when it is done again: what an
   * earlier try left is replaced. The caller checks rights, to private parts too.
   * @throws AppError NOT_FOUND | PAYLOAD_TOO_LARGE | OVERLOADED (an erasure came in between, or there is no room)
   */
  write(
    companyId: CompanyId,
    name: string,
    options: { private: boolean; signal: AbortSignal; onProgress?: (done: number, total: number) => void },
  ): Promise<FinishedExport>
}

/** A try that has written nothing for so long is dead. */
const idleMs = 3_600_000

/** Exports that lie encrypted in chunks on the company's shard; `docs/decisions/0043-where-exports-lie.md`. */
export function createExportWriter(deps: {
  store: Store
  signer: CheckpointSigner
  keyring: Keyring
  wrappingKey: Buffer
  limits?: Partial<ExportLimits>
  clock?: Clock
}): ExportWriter {
  const { store, signer, keyring, wrappingKey, clock = systemClock } = deps
  const limits = { ...defaultExportLimits, ...deps.limits }
  const from = (ms: number): Date => new Date(clock.now() + ms)

  /** Where the company is, and not while a move has it behind its fence: what was written then would stay behind. */
  async function inTransaction<T>(companyId: CompanyId, fn: (tx: ShardTx) => Promise<T>): Promise<T> {
    const { value } = await store.transact(companyId, async (tx) => {
      await store.claim(tx, companyId)
      return fn(tx)
    })
    return value
  }

  async function writeChunks(
    place: ExportPlace,
    run: string,
    key: Buffer,
    source: AsyncIterable<Buffer>,
  ): Promise<{ bytes: number; sha256: Buffer }> {
    const hash = createHash('sha256')
    let bytes = 0
    let number = 0
    for await (const chunk of inChunks(source)) {
      hash.update(chunk)
      bytes += chunk.length
      if (bytes > limits.maxBytes) {
        throw new AppError(
          'PAYLOAD_TOO_LARGE',
          'The export is larger than this server keeps; use `ledgerway export`.',
          {
            details: { maximum: limits.maxBytes },
          },
        )
      }
      const sealed = encrypt(key, chunk)
      const added = await inTransaction(place.companyId, (tx) =>
        addChunk(tx, place, { run, number, plainBytes: chunk.length, sealed, expiresAt: from(idleMs) }),
      )
      if (!added) throw overtaken()
      number++
    }
    return { bytes, sha256: hash.digest() }
  }

  return {
    async write(companyId, name, options) {
      const place = { companyId, id: name }
      const run = randomUUID()
      const key = randomBytes(32)
      const { stream, size } = await exportLedger({ store, signer, keyring, wrappingKey }, companyId, {
        private: options.private,
        gzip: true,
        scope: { signal: options.signal },
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      })
      try {
        await inTransaction(companyId, (tx) =>
          beginExport(tx, place, {
            run,
            private: options.private,
            wrappedKey: encrypt(wrappingKey, key),
            expiresAt: from(idleMs),
            keep: limits.perCompany,
            shardBytes: limits.shardBytes,
          }),
        )
        const { bytes, sha256 } = await writeChunks(place, run, key, stream)
        const expiresAt = from(limits.keepMs)
        const done = await inTransaction(companyId, (tx) => completeExport(tx, place, { run, size, sha256, expiresAt }))
        if (!done) throw overtaken()
        return finishedExport(place, { private: options.private, size, bytes, sha256, expiresAt })
      } catch (error) {
        stream.destroy()
        // Where even this fails, the sweeper finds it.
        await inTransaction(companyId, (tx) => abandonExport(tx, place, run)).catch(() => {})
        throw error
      }
    },
  }
}

async function* inChunks(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let length = 0
  for await (const part of source) {
    parts.push(part)
    length += part.length
    while (length >= chunkBytes) {
      const joined = Buffer.concat(parts)
      yield joined.subarray(0, chunkBytes)
      parts = [joined.subarray(chunkBytes)]
      length -= chunkBytes
    }
  }
  if (length > 0) yield Buffer.concat(parts)
}

function overtaken(): AppError {
  return new AppError('OVERLOADED', 'The export was deleted while it was written: an erasure, or another try.')
}
