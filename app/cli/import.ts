import { stat } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { AppError } from '../../core/errors.ts'
import { importNetworkFile } from '../import/network.ts'
import { createProgress } from '../import/progress.ts'
import { runImport } from '../import/run-import.ts'
import { withData } from './with-data.ts'

/** Imports into the running product of the data directory, or starts its servers for as long as the import takes. */
export async function importCommand(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { strict: { type: 'boolean', default: false }, network: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) {
    process.stderr.write('usage: ledgerway import FILE [--strict] [--network]\n')
    return 64
  }
  const size = await sizeOf(file)
  if (values.network) {
    return withData(signal, async (data) => {
      const startedMs = performance.now()
      const report = await importNetworkFile({ file, data, out: process.stderr, signal })
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      process.stdout.write(
        `${report.lines} lines: ${report.companiesCreated} companies and ${report.created} relationships imported, ${report.bad} bad, in ${seconds} s\n`,
      )
      return report.bad > 0 && values.strict ? 1 : 0
    })
  }
  return withData(signal, async ({ importTarget: target }) => {
    const out = process.stderr
    const progress = createProgress('import', size, out)
    const startedMs = performance.now()
    const report = await runImport({
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
    const { lines, companies, records, unchanged, bad } = report
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(
      `${lines} lines: ${companies} companies and ${records} records imported, ${unchanged} unchanged, ${bad} bad, in ${seconds} s\n`,
    )
    return bad > 0 && values.strict ? 1 : 0
  })
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (cause) {
    throw new AppError('BAD_USER_INPUT', `${file} cannot be read.`, { cause })
  }
}
