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
import { createSigner, formatSkey, formatVkey, newSeed, parseSkey, parseVkey, type Signer } from './keys.ts'
import { parseNote } from './note.ts'

/**
 * The checkpoint keys of a deployment. The first one signs; those after it are being replaced and sign beside it, so that
 * who has pinned the old vkey still verifies until the new one is pinned everywhere and the old line is taken out. Notes
 * that only an old key has signed stay valid under its vkey, which takes the old line's place: it signs no more, and is
 * still shown and believed.
 */
export interface Keyring {
  /** The keys under the ledger's name. */
  signers(origin: string): readonly Signer[]
  /** The first key's. */
  vkey(origin: string): string
  /** Of all keys under the ledger's name: the first one, those that sign beside it, those that have signed once. */
  vkeys(origin: string): readonly LedgerVkey[]
  /** Whether the first key is among those that signed one of this deployment's own notes. Looks, and verifies nothing. */
  isCurrent(origin: string, note: string): boolean
}

export interface LedgerVkey {
  readonly vkey: string
  readonly state: 'current' | 'signing' | 'retired'
}

/**
 * From `PRIVATE+KEY+…` texts, and vkeys of retired keys, one a line or separated by commas. The names in them are for people:
 * a ledger's key bears its origin.
 * @throws AppError CONFIG_INVALID; its message never holds the text
 */
export function parseKeyring(text: string): Keyring {
  const seeds: Uint8Array[] = []
  const retired: Uint8Array[] = []
  for (const [index, line] of text
    .split(/[\s,]+/)
    .filter((one) => one !== '')
    .entries()) {
    const seed = parseSkey(line)?.seed
    const publicKey = parseVkey(line)?.publicKey
    if (seed !== undefined) seeds.push(seed)
    else if (publicKey !== undefined) retired.push(publicKey)
    else throw new AppError('CONFIG_INVALID', `CHECKPOINT_KEY: line ${index + 1} is neither a signer key nor a vkey.`)
  }
  if (seeds.length === 0) throw new AppError('CONFIG_INVALID', 'There is no checkpoint key that signs.')
  return keyringOf(seeds, retired)
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

function keyringOf(seeds: readonly Uint8Array[], retired: readonly Uint8Array[]): Keyring {
  const [first = new Uint8Array()] = seeds
  return {
    signers: (origin) => seeds.map((seed) => createSigner(origin, seed)),
    vkey: (origin) => createSigner(origin, first).vkey,
    vkeys: (origin) => [
      ...seeds.map((seed, index) => ({
        vkey: createSigner(origin, seed).vkey,
        state: index === 0 ? ('current' as const) : ('signing' as const),
      })),
      ...retired.map((publicKey) => ({ vkey: formatVkey(origin, publicKey), state: 'retired' as const })),
    ],
    isCurrent(origin, note) {
      const { keyId } = createSigner(origin, first)
      return parseNote(note)?.signatures.some((one) => one.name === origin && one.keyId === keyId) === true
    },
  }
}
