import { createHash, randomBytes } from 'node:crypto'

/**
 * A secret of 256 random bits behind a readable prefix (secret scanners look for it).
 *
 * Such secrets are stored as plain SHA-256. Slow, salted hashes (argon2, bcrypt) exist for passwords, which people choose
 * and an attacker can list; nobody can list 2^256 keys, so slowness would only cost every request milliseconds. The same
 * makes looking up by hash safe: how long it takes says something about the hash, never about the key.
 */
export function newSecret(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`
}

export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest()
}
