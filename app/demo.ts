import { access, rm, stat, writeFile } from 'node:fs/promises'
import type { Logger } from '../core/log.ts'
import { listCompanies } from '../network/list-companies.ts'
import type { Store } from '../store/store.ts'
import { createProgress } from './import/progress.ts'
import { runImport, type ImportTarget } from './import/run-import.ts'

const files = ['sp500-companies.csv', 'sp500-changes.ndjson'].map(
  (name) => new URL(`../demo/data/${name}`, import.meta.url).pathname,
)

/**
 * Loads the demo's companies and their history where there is no company yet. A load that was cut short left its marker
 * file and is done again at the next start; every line of it is idempotent.
 */
export async function loadDemo(deps: {
  store: Store
  target: ImportTarget
  logger: Logger
  out: NodeJS.WriteStream
  signal: AbortSignal
  markerFile: string
}): Promise<void> {
  const { store, target, logger, out, signal, markerFile } = deps
  if (!(await isThere(markerFile)) && (await hasCompanies(store))) return
  await writeFile(markerFile, '')
  const startedMs = Date.now()
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  const progress = createProgress(
    'demo',
    sizes.reduce((a, b) => a + b, 0),
    out,
  )
  let companies = 0
  let records = 0
  let before = 0
  for (const [index, file] of files.entries()) {
    const report = await runImport({
      file,
      target,
      signal,
      onProgress: (bytesRead) => progress.update(before + bytesRead),
      onBadLine: (line, error) => logger.error({ line, code: error.code }, 'A line of the demo data was not taken.'),
    })
    before += sizes[index] ?? 0
    companies += report.companies
    records += report.records
  }
  progress.stop()
  await rm(markerFile, { force: true })
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1)
  out.write(`demo data loaded: ${companies} companies, ${records} records in ${seconds} s\n`)
}

async function hasCompanies(store: Store): Promise<boolean> {
  const { edges } = await listCompanies(store, { first: 1 })
  return edges.length > 0
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
