import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { parseCompanyId } from '../../core/ids.ts'
import { exportLedger } from '../../ledger/export.ts'
import { createProgress, type Progress } from '../import/progress.ts'
import { openSigning } from '../signing.ts'
import type { Command } from './command.ts'
import { withData } from './with-data.ts'

const usage = `usage: ledgerway export COMPANY [--out FILE] [--gzip] [--private]

  --out FILE    writes there, readable by its owner only, instead of to standard output
  --gzip        compressed; "ledgerway verify" reads both
  --private     with the records' private parts
`

const options = {
  out: { type: 'string' },
  gzip: { type: 'boolean', default: false },
  private: { type: 'boolean', default: false },
} as const

/** Writes a ledger as a bundle, with a checkpoint signed now, for `ledgerway verify` and anybody else's verifier. */
export const exportCommand: Command = { usage, options, run }

async function run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [company, ...more] = positionals
  if (company === undefined || more.length > 0) return 'misused'
  const companyId = parseCompanyId(company)
  return withData({ signal }, async ({ store, wrappingKey }, { config, logger }) => {
    using signing = openSigning({ config, store, logger })
    let progress: Progress | undefined
    const { stream, size } = await exportLedger({ store, wrappingKey: wrappingKey ?? null, ...signing }, companyId, {
      private: values.private,
      gzip: values.gzip,
      scope: { signal },
      onProgress: (done) => progress?.update(done),
    })
    progress = createProgress('export', size, process.stderr)
    const target = values.out === undefined ? process.stdout : createWriteStream(values.out, { mode: 0o600 })
    await pipeline(stream, target, { signal, end: values.out !== undefined })
    progress.stop()
    process.stderr.write(`${size} records of ${store.deployment}/${companyId}\n`)
    return 0
  })
}
