import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { parseVkey, type Verifier } from '../proof/keys.ts'
import { exitCodes, gravest, type Finding } from './findings.ts'
import { originPattern } from './format.ts'
import { verifyBundles, type VerifiedSubject, type VerifyInput } from './verify-bundles.ts'

/** Where the report goes; lines end with their newline. */
export interface CommandIo {
  out(text: string): void
  err(text: string): void
  /** Where somebody watches: told how many of a file's records are read. */
  progress?(file: string, done: number, size: number): void
}

export const verifyUsage = `usage: ledgerway verify FILE... --vkey VKEY... --origin ORIGIN... [--since CHECKPOINT]... [--json]

Checks ledger bundles offline: signatures, every record, the whole history, and that what is missing was erased.

  FILE                bundles, plain or gzipped
  --vkey VKEY         a pinned key, <name>+<id>+<base64>, got from where you trust it; repeat for several
  --origin ORIGIN     the ledger expected, <deployment>/<company>; repeat for several bundles
  --since CHECKPOINT  a file with a checkpoint kept from before: the ledger must continue it; repeat for several
  --json              one JSON document instead of lines

exit code: 0 valid, 64 usage, 4 untrusted key, 1 invalid, 2 truncated, 3 unexplained gap (the first that applies)
`

export const verifyOptions = {
  vkey: { type: 'string', multiple: true },
  origin: { type: 'string', multiple: true },
  since: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/** `ledgerway verify`, without the word itself. Answers the exit code; throws only for what is nobody's mistake. */
export async function runVerify(argv: readonly string[], io: CommandIo): Promise<number> {
  const command = await readCommand(argv)
  if ('help' in command) {
    io.out(verifyUsage)
    return exitCodes.valid
  }
  if ('mistake' in command) return usage(io, command.mistake)
  let subjects: VerifiedSubject[]
  try {
    subjects = await verifyBundles({ ...command.input, onProgress: io.progress?.bind(io) })
  } catch (error) {
    if (!isFileError(error)) throw error
    return usage(io, error.message)
  }
  const finding = gravest(subjects.flatMap(({ findings }) => findings))
  const exitCode = finding === undefined ? exitCodes.valid : exitCodes[finding.kind]
  if (command.json) {
    const verdict = finding?.kind ?? 'valid'
    io.out(`${JSON.stringify({ verdict, exitCode, subjects }, null, 2)}\n`)
  } else {
    for (const subject of subjects) io.out(describe(subject))
  }
  return exitCode
}

type Command = { help: true } | { mistake: string } | { input: VerifyInput; json: boolean }

async function readCommand(argv: readonly string[]): Promise<Command> {
  const args = readArguments(argv)
  if (typeof args === 'string') return { mistake: args }
  const { values, positionals: files } = args
  if (values.help === true) return { help: true }
  if (files.length === 0) return { mistake: 'name a bundle to verify' }
  const { vkey = [], origin: origins = [], since = [], json = false } = values
  if (vkey.length === 0) return { mistake: 'pin a key with --vkey: a bundle cannot vouch for its own' }
  if (origins.length === 0) return { mistake: 'name the ledger that you expect with --origin' }
  const verifiers: Verifier[] = []
  for (const text of vkey) {
    const verifier = parseVkey(text)
    if (verifier === undefined) return { mistake: `not a verifier key: ${text}` }
    verifiers.push(verifier)
  }
  const unlikely = origins.find((origin) => !originPattern.test(origin))
  if (unlikely !== undefined) return { mistake: `not an origin: ${unlikely}` }
  const older: { source: string; note: string }[] = []
  for (const source of since) {
    try {
      older.push({ source, note: await readFile(source, 'utf8') })
    } catch (error) {
      if (!isFileError(error)) throw error
      return { mistake: error.message }
    }
  }
  return { input: { files, verifiers, origins, older }, json }
}

function readArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options: verifyOptions })
  } catch (error) {
    if (error instanceof TypeError) return error.message
    throw error
  }
}

function usage(io: CommandIo, mistake: string): number {
  io.err(`${mistake}\n\n${verifyUsage}`)
  return exitCodes.usage
}

function describe({ source, origin, size, records, erasedParts, signedBy, findings }: VerifiedSubject): string {
  const ledger = origin === undefined ? '' : ` (${origin}, size ${size})`
  if (findings.length === 0) {
    const erased = erasedParts ? `, ${erasedParts} erased and accounted for` : ''
    return `valid: ${source}${ledger}: ${records} records${erased}; signed by ${signedBy?.join(' and ')}\n`
  }
  return findings.map((finding) => `${finding.kind}: ${source}${ledger}${place(finding)}: ${finding.what}\n`).join('')
}

function place({ line, position }: Finding): string {
  if (position !== undefined) return `, line ${line}, record ${position}`
  return line === undefined ? '' : `, line ${line}`
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
