import { randomUUID } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../../core/errors.ts'
import { createSigner, formatSkey, newSeed, parseSkey, type Signer } from './keys.ts'
import { parseNote } from './note.ts'

/**
 * The checkpoint keys of a deployment. The first one signs; those after it are being replaced and sign beside it, so that
 * who has pinned the old vkey still verifies until the new one is pinned everywhere and the old line is taken out. Notes
 * that only an old key has signed stay valid under its vkey.
 */
export interface Keyring {
  /** The keys under the ledger's name. */
  signers(origin: string): readonly Signer[]
  /** The first key's. */
  vkey(origin: string): string
  /** Whether the first key is among those that signed one of this deployment's own notes. Looks, and verifies nothing. */
  isCurrent(origin: string, note: string): boolean
}

/**
 * From `PRIVATE+KEY+…` texts, one a line. The names in them are for people: a ledger's key bears its origin.
 * @throws AppError CONFIG_INVALID; its message never holds the text
 */
export function parseKeyring(text: string): Keyring {
  const seeds = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line, i) => {
      const key = parseSkey(line)
      if (key === undefined) throw new AppError('CONFIG_INVALID', `Checkpoint key ${i + 1} is not a signer key.`)
      return key.seed
    })
  if (seeds.length === 0) throw new AppError('CONFIG_INVALID', 'There is no checkpoint key.')
  return keyringOf(seeds)
}

/** Reads the key file, or makes one with a new key, readable by its owner alone. @throws AppError CONFIG_INVALID */
export function loadOrCreateKeyring(path: string, deployment: string): Keyring {
  if (!existsSync(path)) createKeyFile(path, formatSkey(deployment, newSeed()))
  const file = openSync(path, 'r')
  try {
    if ((fstatSync(file).mode & 0o077) !== 0) {
      throw new AppError(
        'CONFIG_INVALID',
        'The checkpoint key file can be read by others than its owner; set mode 0600.',
      )
    }
    return parseKeyring(readFileSync(file, 'utf8'))
  } finally {
    closeSync(file)
  }
}

/** Linked into place when complete, so that of several processes that start at once one wins and none reads half a key. */
function createKeyFile(path: string, skey: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}.${randomUUID()}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${skey}\n`)
    fsyncSync(file)
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    closeSync(file)
    unlinkSync(draft)
  }
}

function keyringOf(seeds: readonly Uint8Array[]): Keyring {
  const [first = new Uint8Array()] = seeds
  return {
    signers: (origin) => seeds.map((seed) => createSigner(origin, seed)),
    vkey: (origin) => createSigner(origin, first).vkey,
    isCurrent(origin, note) {
      const { keyId } = createSigner(origin, first)
      return parseNote(note)?.signatures.some((one) => one.name === origin && one.keyId === keyId) === true
    },
  }
}
