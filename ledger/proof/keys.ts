import { createPrivateKey, createPublicKey, randomBytes, sign, verify, type KeyObject } from 'node:crypto'
import { sha256 } from '../../core/sha256.ts'
import { decodeBase64 } from './base64.ts'

/**
 * Ed25519 keys in the encodings of C2SP `signed-note`:
 * a verifier key (vkey) is `<name>+<key id>+<base64(0x01 || 32-byte public key)>`,
 * a signer key (skey) `PRIVATE+KEY+<name>+<key id>+<base64(0x01 || 32-byte seed)>`, with
 * `key id = SHA-256(name || 0x0a || 0x01 || public key)[:4]`, in hex.
 *
 * A checkpoint's key name is its ledger's origin. So one seed, held by a deployment, has a vkey for every ledger.
 */
export interface Verifier {
  readonly name: string
  /** Big-endian, as in a signature line. An identifier, not a fingerprint: vkeys are compared as whole texts. */
  readonly keyId: number
  readonly vkey: string
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  verify(text: string, signature: Uint8Array): boolean
}

export interface Signer {
  readonly name: string
  readonly keyId: number
  readonly vkey: string
  /** Ed25519 over the text's UTF-8 bytes. */
  sign(text: string): Buffer
}

const ed25519 = 0x01
const seedBytes = 32

// DER around the raw key (RFC 8410), as node:crypto reads no raw ones.
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

export function newSeed(): Buffer {
  return randomBytes(seedBytes)
}

/** A key name holds no space, no plus and no control character. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}]+$/u.test(name)
}

/** @throws TypeError for a seed that has not 32 bytes or a name that is none */
export function createSigner(name: string, seed: Uint8Array): Signer {
  if (seed.length !== seedBytes) throw new TypeError('an Ed25519 seed has 32 bytes')
  if (!isKeyName(name)) throw new TypeError('a key name holds no space and no plus')
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = publicBytes(createPublicKey(privateKey))
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    vkey: formatVkey(name, publicKey),
    sign: (text) => sign(null, Buffer.from(text, 'utf8'), privateKey),
  }
}

export function formatSkey(name: string, seed: Uint8Array): string {
  return `PRIVATE+KEY+${name}+${hex(createSigner(name, seed).keyId)}+${typed(seed)}`
}

/** Undefined for everything that is not exactly a signer key, also where its key id is another key's. */
export function parseSkey(text: string): { name: string; seed: Buffer } | undefined {
  const [, name = '', keyId = '', data = ''] = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? []
  const seed = parseTyped(data)
  if (seed === undefined || !isKeyName(name)) return undefined
  return hex(createSigner(name, seed).keyId) === keyId ? { name, seed } : undefined
}

/** Undefined for everything that is not exactly a verifier key, also where its key id is another key's. */
export function parseVkey(text: string): Verifier | undefined {
  const [, name = '', data = ''] = /^([^+]+)\+[0-9a-f]{8}\+(.+)$/.exec(text) ?? []
  const publicKey = parseTyped(data)
  if (publicKey === undefined || !isKeyName(name) || formatVkey(name, publicKey) !== text) return undefined
  const key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' })
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    vkey: text,
    publicKey,
    verify: (text, signature) => verify(null, Buffer.from(text, 'utf8'), key, signature),
  }
}

export function formatVkey(name: string, publicKey: Uint8Array): string {
  return `${name}+${hex(keyIdOf(name, publicKey))}+${typed(publicKey)}`
}

function keyIdOf(name: string, publicKey: Uint8Array): number {
  const input = Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), Buffer.of(ed25519), publicKey])
  return sha256(input).readUInt32BE(0)
}

const hex = (keyId: number): string => keyId.toString(16).padStart(8, '0')

const typed = (data: Uint8Array): string => Buffer.concat([Buffer.of(ed25519), data]).toString('base64')

function parseTyped(text: string): Buffer | undefined {
  const bytes = decodeBase64(text)
  return bytes?.length === 1 + seedBytes && bytes[0] === ed25519 ? bytes.subarray(1) : undefined
}

function publicBytes(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
}
