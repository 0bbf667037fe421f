import { Readable, type Transform } from 'node:stream'
import { createGzip } from 'node:zlib'
import { AppError } from '../core/errors.ts'

/** A ledger as a file that verifies offline: `docs/ledger-format.md`, "Bundle". */
export interface BundleHeader {
  readonly origin: string
  /** The checkpoint's. */
  readonly size: number
  /** Whether the exporter may read private parts. If not, the rows MUST come without them. */
  readonly private: boolean
  /** The signed note. */
  readonly checkpoint: string
  readonly vkey: string
}

/** A part and its salt are both there or both null. */
export interface BundleRow {
  readonly position: number
  /** RFC 8785 text, as are `data` and `private`. */
  readonly header: string
  readonly data: string | null
  readonly salt: Uint8Array | null
  readonly dataCommitment: Uint8Array
  readonly private: string | null
  readonly privateSalt: Uint8Array | null
  /** Null only where the record has no private part. */
  readonly privateCommitment: Uint8Array | null
}

const chunkChars = 64 * 1024

/**
 * Streams a bundle from rows that come in order, one by one or in pages; never holds more than a page of them.
 * @throws AppError LEDGER_CORRUPT (through the stream) when the rows are not exactly the positions 0 to size - 1
 */
export function bundleStream(
  header: BundleHeader,
  rows: AsyncIterable<BundleRow | readonly BundleRow[]>,
  options: { gzip?: boolean } = {},
): Readable {
  const plain = Readable.from(bundleChunks(header, rows), { objectMode: false, highWaterMark: chunkChars })
  if (options.gzip !== true) return plain
  const gzip: Transform = createGzip()
  // `pipe` forwards no errors: without this a failed read would end as a hanging download.
  plain.on('error', (error) => gzip.destroy(error))
  gzip.on('close', () => plain.destroy())
  return plain.pipe(gzip)
}

async function* bundleChunks(
  header: BundleHeader,
  rows: AsyncIterable<BundleRow | readonly BundleRow[]>,
): AsyncGenerator<Buffer> {
  let text = `${headerLine(header)}\n`
  let next = 0
  for await (const page of rows) {
    for (const row of Array.isArray(page) ? (page as readonly BundleRow[]) : [page as BundleRow]) {
      if (row.position !== next || next >= header.size) throw unexpectedRow(next, header.size)
      next++
      text += `${rowLine(row)}\n`
      if (text.length < chunkChars) continue
      yield Buffer.from(text, 'utf8')
      text = ''
    }
  }
  if (next !== header.size) throw unexpectedRow(next, header.size)
  yield Buffer.from(text, 'utf8')
}

function headerLine(header: BundleHeader): string {
  return JSON.stringify({
    format: 'ledgerway-bundle/v1',
    origin: header.origin,
    size: header.size,
    private: header.private,
    checkpoint: header.checkpoint,
    vkey: header.vkey,
  })
}

function rowLine(row: BundleRow): string {
  return JSON.stringify({
    position: row.position,
    header: row.header,
    data: row.data,
    salt: base64(row.salt),
    dataCommitment: base64(row.dataCommitment),
    private: row.private,
    privateSalt: base64(row.privateSalt),
    privateCommitment: base64(row.privateCommitment),
  })
}

function base64(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function unexpectedRow(position: number, size: number): AppError {
  return new AppError('LEDGER_CORRUPT', `The export needs record ${position} of ${size} and did not get it.`)
}
