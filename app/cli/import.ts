import { stat } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { AppError } from '../../core/errors.ts'
import type { DataParts } from '../compose.ts'
import { importNetworkFile } from '../import/network.ts'
import { createProgress } from '../import/progress.ts'
import { runImport } from '../import/run-import.ts'
import type { Command } from './command.ts'
import { withData } from './with-data.ts'

const usage = `usage: ledgerway import FILE [--strict] [--network]

Companies and events from NDJSON or CSV. Importing a file again changes nothing.

  --strict     exit code 1 where a line was bad; the others are imported all the same
  --network    a CSV of ratings (rater,ratee,rating,at) as companies and relationships
`

const options = {
  strict: { type: 'boolean', default: false },
  network: { type: 'boolean', default: false },
} as const

/** Imports into the running product of the data directory, or starts its servers for as long as the import takes. */
export const importCommand: Command = { usage, options, run }

async function run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) return 'misused'
  const size = await sizeOf(file)
  const startedMs = performance.now()
  const bad = await withData({ signal, begins: true }, async (data) => {
    const report = values.network
      ? await importNetwork(file, data, signal)
      : await importItems(file, size, data, signal)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(`${report.summary}, ${report.bad} bad, in ${seconds} s\n`)
    return report.bad
  })
  return bad > 0 && values.strict ? 1 : 0
}

interface ImportReport {
  readonly summary: string
  /** Lines that were not imported. */
  readonly bad: number
}

async function importNetwork(file: string, data: DataParts, signal: AbortSignal): Promise<ImportReport> {
  const { lines, companiesCreated, created, bad } = await importNetworkFile({ file, data, out: process.stderr, signal })
  return { summary: `${lines} lines: ${companiesCreated} companies and ${created} relationships imported`, bad }
}

async function importItems(
  file: string,
  size: number,
  { importTarget: target }: DataParts,
  signal: AbortSignal,
): Promise<ImportReport> {
  const out = process.stderr
  const progress = createProgress('import', size, out)
  const { lines, companies, records, unchanged, bad } = await runImport({
    file,
    target,
    signal,
    onProgress: (bytesRead) => progress.update(bytesRead),
    onBadLine: (line, { code, message, details }) => {
      const path = typeof details['path'] === 'string' ? ` at ${details['path']}` : ''
      out.write(`line ${line}: ${code}${path}: ${message}\n`)
    },
  })
  progress.stop()
  return {
    summary: `${lines} lines: ${companies} companies and ${records} records imported, ${unchanged} unchanged`,
    bad,
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (cause) {
    throw new AppError('BAD_USER_INPUT', `${file} cannot be read.`, { cause })
  }
}
