import { type Clock, systemClock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { parseCompanyId, type ShardId } from '../../core/ids.ts'
import type { ShardSql, Store } from '../../store/store.ts'
import { decrypt } from '../private/seal.ts'
import { chunkBytes, type ExportPlace, readChunk, readExport, sweepExports } from './stored-export.ts'

export interface FinishedExport {
  /** `<companyId>:<name>`: it routes itself, as every id does. */
  readonly id: string
  /** Records. */
  readonly size: number
  /** Of the gzipped file, as is the hash. */
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
  readonly private: boolean
  readonly expiresAt: string
}

/** A finished export, to be sent. */
export interface ExportFile extends FinishedExport {
  /**
   * A chunk at a time, of the whole file or of its bytes from `start` up to before `end`. Ends with NOT_FOUND when the export is
   * deleted meanwhile, as an erasure does.
   */
  read(signal: AbortSignal, range?: { readonly start: number; readonly end: number }): AsyncGenerator<Buffer>
}

/** For processes that send exports: they need the wrapping key, and none that signs. */
export interface ExportReader {
  /** Null where there is none, or none any more. The caller checks rights. @throws AppError INVALID_ID */
  open(id: string): Promise<ExportFile | null>
  /** Deletes what is too old on a shard; answers how many exports. */
  sweep(shard: ShardId): Promise<number>
}

export function createExportReader(deps: { store: Store; wrappingKey: Buffer; clock?: Clock }): ExportReader {
  const { store, wrappingKey, clock = systemClock } = deps

  /** On the primary: replicas have no unlogged tables. What is not found is looked for again where the company has moved to. */
  async function whereItIs<T>(
    { companyId }: ExportPlace,
    read: (sql: ShardSql) => Promise<T | undefined>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const shard = store.shardOf(companyId)
    const scope = signal === undefined ? {} : { signal }
    const found = await store.onPrimary(shard, read, scope)
    if (found !== undefined) return found
    // Without the catalog the directory has to do.
    await store.refresh().catch(() => {})
    const now = store.shardOf(companyId)
    return now === shard ? undefined : store.onPrimary(now, read, scope)
  }

  return {
    async open(id) {
      const place = parseExportId(id)
      const stored = await whereItIs(place, (sql) => readExport(sql, place, new Date(clock.now())))
      if (stored === undefined) return null
      return {
        ...finishedExport(place, stored),
        async *read(signal, { start, end } = { start: 0, end: stored.bytes }) {
          const key = decrypt(wrappingKey, stored.wrappedKey)
          for (let number = Math.floor(start / chunkBytes); number * chunkBytes < end; number++) {
            const sealed = await whereItIs(place, (sql) => readChunk(sql, place, number), signal)
            if (sealed === undefined) throw new AppError('NOT_FOUND', 'The export is there no longer.')
            const first = number * chunkBytes
            yield decrypt(key, sealed).subarray(Math.max(0, start - first), Math.min(chunkBytes, end - first))
          }
        },
      }
    },

    sweep: (shard) => store.onPrimary(shard, (sql) => sweepExports(sql, new Date(clock.now()))),
  }
}

export function finishedExport(
  { companyId, id }: ExportPlace,
  {
    private: withPrivate,
    size,
    bytes,
    sha256,
    expiresAt,
  }: { private: boolean; size: number; bytes: number; sha256: Buffer; expiresAt: Date },
): FinishedExport {
  return {
    id: `${companyId}:${id}`,
    size,
    bytes,
    sha256: sha256.toString('hex'),
    private: withPrivate,
    expiresAt: expiresAt.toISOString(),
  }
}

/** @throws AppError INVALID_ID */
function parseExportId(id: string): ExportPlace {
  const [, companyId = '', name = ''] = /^([^:]+):([A-Za-z0-9._-]{1,250})$/.exec(id) ?? []
  if (name === '') throw new AppError('INVALID_ID', 'An export id is the one that its job answers with.')
  return { companyId: parseCompanyId(companyId), id: name }
}
