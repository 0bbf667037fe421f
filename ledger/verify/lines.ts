import { isUtf8 } from 'node:buffer'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { pipeline, type Readable } from 'node:stream'

/** No line is longer than this; without a limit one line could fill the memory. */
const maxLineBytes = 256 * 1024 * 1024
const newline = 0x0a

/** What is wrong with a file as a file: its compression, its encoding, its lines. */
export class UnreadableLines extends Error {}

/** The whole lines of one chunk: each from where the last ended to before its newline. */
export interface LineBlock {
  readonly bytes: Buffer
  /** Pairs of start and end. */
  readonly bounds: readonly number[]
}

/**
 * Reads a file's lines block by block, gunzipping where its first bytes say so. The last line may lack its newline.
 * @throws UnreadableLines; errors of the file system as they are
 */
export async function* readLines(path: string): AsyncGenerator<LineBlock> {
  await using file = await open(path, 'r')
  const magic = Buffer.alloc(2)
  await file.read(magic, 0, 2, 0)
  const raw = file.createReadStream({ start: 0, highWaterMark: 256 * 1024, autoClose: false })
  const gunzip = magic[0] === 0x1f && magic[1] === 0x8b ? createGunzip({ chunkSize: 256 * 1024 }) : undefined
  // Errors of the file reach the reader through the gunzip stream, which `pipeline` destroys with them.
  const source: Readable = gunzip === undefined ? raw : pipeline(raw, gunzip, () => undefined)
  // What came after the last newline; put together once its line is whole.
  let rest: Buffer[] = []
  let restBytes = 0
  let first = true
  try {
    for await (const part of source as AsyncIterable<Buffer>) {
      const end = part.lastIndexOf(newline) + 1
      if (end > 0) {
        yield* blocksOf(Buffer.concat([...rest, part.subarray(0, end)]), first)
        first = false
        rest = []
        restBytes = 0
      }
      rest.push(part.subarray(end))
      restBytes += part.length - end
      if (restBytes > maxLineBytes) throw new UnreadableLines(`a line is longer than ${maxLineBytes} bytes`)
    }
  } catch (error) {
    if (isZlibError(error)) throw new UnreadableLines(`its compression is damaged or cut off (${error.code})`)
    throw error
  }
  // Several members one after the other are one file; gunzip passes over zeros after the last, a verifier does not.
  if (gunzip !== undefined && gunzip.bytesWritten !== raw.bytesRead) {
    throw new UnreadableLines('something follows its compressed data')
  }
  if (restBytes > 0) yield* blocksOf(Buffer.concat(rest), first)
}

/** One block; where its bytes are not UTF-8 the lines before the first that is not, and then the error. */
function* blocksOf(bytes: Buffer, first: boolean): Generator<LineBlock> {
  if (first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new UnreadableLines('it begins with a byte order mark')
  }
  const intact = isUtf8(bytes)
  const bounds: number[] = []
  let start = 0
  while (start < bytes.length) {
    const found = bytes.indexOf(newline, start)
    const end = found < 0 ? bytes.length : found
    if (!intact && !isUtf8(bytes.subarray(start, end))) break
    bounds.push(start, end)
    start = end + 1
  }
  yield { bytes, bounds }
  if (!intact) throw new UnreadableLines('it is not valid UTF-8')
}

function isZlibError(error: unknown): error is NodeJS.ErrnoException {
  const code = (error as NodeJS.ErrnoException).code
  return code?.startsWith('Z_') === true
}
