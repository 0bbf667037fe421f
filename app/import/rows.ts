import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { parse as parseCsv } from 'csv-parse'
import { AppError } from '../../core/errors.ts'

/** One line of the file, or why it could not be read. `bytesRead` is how far into the file that is. */
export type Row = { line: number; bytesRead: number } & (
  | { format: 'json'; text: string }
  | { format: 'csv'; fields: Record<string, string> }
  | { format: 'bad'; error: AppError }
)

const maxLineBytes = 1024 * 1024

/** Streams a file line by line; memory holds one line. CSV is told from NDJSON by its name, else by its first byte. */
export async function* readRows(file: string): AsyncGenerator<Row> {
  if (await isCsv(file)) yield* csvRows(file)
  else yield* jsonRows(file)
}

async function isCsv(file: string): Promise<boolean> {
  if (/\.csv$/i.test(file)) return true
  if (/\.(ndjson|jsonl|json)$/i.test(file)) return false
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(64), position: 0 })
  return !buffer.subarray(0, bytesRead).toString('utf8').trimStart().startsWith('{')
}

async function* jsonRows(file: string): AsyncGenerator<Row> {
  let line = 0
  let bytesRead = 0
  let pending: Buffer[] = []
  let pendingBytes = 0
  const take = (): Row | undefined => {
    line += 1
    const tooLong = pendingBytes > maxLineBytes
    const text = tooLong ? '' : Buffer.concat(pending).toString('utf8').replace(/\r$/, '')
    pending = []
    pendingBytes = 0
    if (tooLong) return { line, bytesRead, format: 'bad', error: lineTooLong() }
    return text.trim() === '' ? undefined : { line, bytesRead, format: 'json', text }
  }
  const hold = (part: Buffer): void => {
    pendingBytes += part.length
    if (pendingBytes <= maxLineBytes) pending.push(part)
    else pending = []
  }
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      hold(chunk.subarray(start, end))
      bytesRead += end + 1 - start
      start = end + 1
      const row = take()
      if (row !== undefined) yield row
    }
    hold(chunk.subarray(start))
    bytesRead += chunk.length - start
  }
  if (pendingBytes > 0) {
    const row = take()
    if (row !== undefined) yield row
  }
}

async function* csvRows(file: string): AsyncGenerator<Row> {
  let bytesRead = 0
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytesRead += chunk.length
      callback(null, chunk)
    },
  })
  const skipped: Row[] = []
  const parser = parseCsv({
    bom: true,
    columns: (header: string[]) => header.map((name) => name.trim()),
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: maxLineBytes,
    on_skip: (error) => {
      skipped.push({
        line: Number(error?.['lines'] ?? 0),
        bytesRead,
        format: 'bad',
        error: new AppError('BAD_USER_INPUT', 'Not a readable CSV record: check its quotes.', { cause: error }),
      })
      return undefined
    },
  })
  const source = createReadStream(file)
  source.on('error', (error) => parser.destroy(error))
  source.pipe(counter).pipe(parser)
  for await (const item of parser as AsyncIterable<{ record: Record<string, string>; info: CsvInfo }>) {
    yield* skipped.splice(0)
    const line = item.info.lines
    if (item.info.error === undefined) yield { line, bytesRead, format: 'csv', fields: item.record }
    else {
      const error = new AppError('BAD_USER_INPUT', 'The line has not as many fields as the header.')
      yield { line, bytesRead, format: 'bad', error }
    }
  }
  yield* skipped.splice(0)
}

interface CsvInfo {
  readonly lines: number
  readonly error?: Error
}

function lineTooLong(): AppError {
  return new AppError('PAYLOAD_TOO_LARGE', `The line is longer than ${maxLineBytes} bytes.`)
}
