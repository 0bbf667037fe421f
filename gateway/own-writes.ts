import { LRUCache } from 'lru-cache'
import { decodePosition, encodePosition, mergePositions } from '../core/position.ts'
import type { Principal } from '../core/request.ts'
import { principalKey } from './credentials.ts'

/** By then the change feed has told every cache, and replicas have caught up or are out of rotation. */
const keptMs = 10_000
const keptPrincipals = 50_000

/**
 * Remembers shortly where each principal's last writes through this process ended, so that who does not send the position
 * token back still reads its own writes here. Between processes only the token says so.
 */
export interface OwnWrites {
  note(principal: Principal, written: readonly string[]): void
  /** The token that a read of this principal needs, with the one it came with. @throws AppError INVALID_POSITION */
  needed(principal: Principal, token: string | undefined): string | undefined
}

export function createOwnWrites(): OwnWrites {
  const last = new LRUCache<string, string>({ max: keptPrincipals, ttl: keptMs })
  const both = (a: string | undefined, b: string | undefined): string | undefined => {
    if (a === undefined || b === undefined || a === b) return a ?? b
    return encodePosition(mergePositions(decodePosition(a), decodePosition(b)))
  }
  return {
    note(principal, written) {
      if (written.length === 0) return
      const key = principalKey(principal)
      const token = written.reduce<string | undefined>(both, last.get(key))
      if (token !== undefined) last.set(key, token)
    },
    needed: (principal, token) => both(token, last.get(principalKey(principal))),
  }
}
