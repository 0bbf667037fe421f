#!/usr/bin/env node
import { plainMessage } from './plain-message.ts'

type Command = (args: readonly string[], signal: AbortSignal) => Promise<number>

/**
 * `ledgerway COMMAND …`. Exit codes: 0 done, 1 failed, 64 usage; `verify` has its own (docs/ledger.md). Each is loaded when
 * it is called: checking a bundle needs no database driver.
 */
const commands: Record<string, () => Promise<Command>> = {
  import: async () => (await import('./cli/import.ts')).importCommand,
  export: async () => (await import('./cli/export.ts')).exportCommand,
  keys: async () => (await import('./cli/keys.ts')).keysCommand,
  shards: async () => (await import('./cli/shards.ts')).shardsCommand,
  feed: async () => (await import('./cli/feed.ts')).feedCommand,
  plan: async () => (await import('./cli/plan.ts')).planCommand,
  verify: async () => {
    const { runVerify } = await import('../ledger/verify/command.ts')
    const { createFileProgress } = await import('./cli/file-progress.ts')
    return async (args) => {
      using progress = createFileProgress('verify', process.stderr)
      return await runVerify(args, {
        out(text) {
          // The bar first, or the report would stand in its line.
          progress.stop()
          process.stdout.write(text)
        },
        err: (text) => process.stderr.write(text),
        progress: progress.update,
      })
    }
  },
}

const usage = `usage: ledgerway COMMAND

  import FILE [--strict]    companies and events from NDJSON or CSV; again changes nothing
  import FILE --network     ratings (rater,ratee,rating,at) as companies and relationships
  export COMPANY [--out FILE] [--gzip] [--private]
                            a ledger as a bundle that anyone can verify
  keys create|list|revoke   API keys
  feed consumers | forget NAME
                            who follows the change feed, and how far they are behind
  plan QUERY                how a query is spread over the subgraphs
  verify FILE… --vkey VKEY --origin ORIGIN [--since OLD_CHECKPOINT] [--json]
                            checks exported ledgers offline
  shards list | add | move | moves | pause | resume | cancel | rebalance | promote
                            placement of companies (docs/scaling.md)
`

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (command === undefined) {
  process.stderr.write(usage)
  process.exitCode = name === 'help' || name === '--help' ? 0 : 64
} else {
  try {
    process.exitCode = await (await command())(args, stop.signal)
  } catch (error) {
    process.stderr.write(`ledgerway: ${stop.signal.aborted ? 'stopped' : plainMessage(error)}\n`)
    process.exitCode = isMisuse(error) ? 64 : 1
  }
}

/** An unknown option or a missing argument, in the words of `parseArgs`. */
function isMisuse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}
