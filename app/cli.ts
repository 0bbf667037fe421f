#!/usr/bin/env node
import { commands, overview } from './cli/commands.ts'
import { plainMessage } from './plain-message.ts'

const usageExitCode = 64

/** `ledgerway COMMAND …`. Exit codes: 0 done, 1 failed, 64 usage; `verify` has its own (docs/ledger.md). */
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const [name = '', ...args] = process.argv.slice(2)
const load = Object.hasOwn(commands, name) ? commands[name] : undefined
if (load === undefined) {
  const asked = name === 'help' || name === '--help' || name === '-h'
  const stream = asked ? process.stdout : process.stderr
  stream.write(overview)
  process.exitCode = asked ? 0 : usageExitCode
} else {
  try {
    process.exitCode = await run(load)
  } catch (error) {
    process.stderr.write(`ledgerway: ${stop.signal.aborted ? 'stopped' : plainMessage(error)}\n`)
    process.exitCode = isMisuse(error) ? usageExitCode : 1
  }
}

async function run(load: NonNullable<(typeof commands)[string]>): Promise<number> {
  const command = await load()
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(command.usage)
    return 0
  }
  const exitCode = await command.run(args, stop.signal)
  if (exitCode !== 'misused') return exitCode
  process.stderr.write(command.usage)
  return usageExitCode
}

/** An unknown option or a missing argument, in the words of `parseArgs`. */
function isMisuse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}
