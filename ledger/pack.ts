import { gunzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { AppError } from '../core/errors.ts'

const gzipMagic = Buffer.from([0x1f, 0x8b])
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/** Compresses a payload for storage. What is hashed is always the text itself. */
export function pack(text: string): Buffer {
  return zstdCompressSync(text)
}

/** The text of what `pack` made, or of gzip, told apart by their first bytes. @throws AppError LEDGER_CORRUPT */
export function unpack(bytes: Buffer): string {
  try {
    if (startsWith(bytes, zstdMagic)) return zstdDecompressSync(bytes).toString('utf8')
    if (startsWith(bytes, gzipMagic)) return gunzipSync(bytes).toString('utf8')
  } catch (error) {
    throw new AppError('LEDGER_CORRUPT', 'A stored payload cannot be decompressed.', { cause: error })
  }
  throw new AppError('LEDGER_CORRUPT', 'A stored payload is compressed in a way that is not known.')
}

const startsWith = (bytes: Buffer, magic: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic)
