import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Ledger } from '../../ledger/ledger.ts'
import { importNetwork, type NetworkImport } from '../../network/import-network.ts'
import type { Store } from '../../store/store.ts'
import { createProgress } from './progress.ts'

/** Imports a file of ratings as a network, with a progress bar. Repeating it resumes it: what is there stays as it is. */
export async function importNetworkFile(options: {
  file: string
  data: { store: Store; ledger: Ledger }
  out: NodeJS.WriteStream
  signal: AbortSignal
}): Promise<NetworkImport> {
  const { file, data, out, signal } = options
  let lineCount = 0
  for await (const _ of linesOf(file)) lineCount += 1
  const progress = createProgress('import', lineCount, out)
  try {
    return await importNetwork(data, linesOf(file), {
      signal,
      onStep: (lines) => progress.update(lines),
      onBadLine: (line, message) => out.write(`line ${line}: ${message}\n`),
    })
  } finally {
    progress.stop()
  }
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
}
