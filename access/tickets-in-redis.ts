import type { Redis } from 'ioredis'
import type { TicketStore } from './tickets.ts'

/** One Redis hash a ticket, `{principal, resume}`, that expires by itself. Scripts, since reading and claiming are one step. */
const claimScript = `
if redis.call('HEXISTS', KEYS[1], 'resume') == 1 then return false end
local principal = redis.call('HGET', KEYS[1], 'principal')
if not principal then return false end
redis.call('HSET', KEYS[1], 'resume', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return principal`

const resumeScript = `
if redis.call('HGET', KEYS[1], 'resume') ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'principal')`

/** @param redis MUST fail fast while disconnected (`enableOfflineQueue: false` or a command timeout) */
export function createRedisTicketStore(deps: { redis: Redis; prefix: string }): TicketStore {
  const { redis } = deps
  const keyOf = (hash: Buffer): string => `${deps.prefix}ticket:${hash.toString('base64url')}`
  const run = async (script: string, hash: Buffer, resumeHash: Buffer, ms: number): Promise<string | undefined> => {
    const answer = await redis.eval(script, 1, keyOf(hash), resumeHash.toString('base64url'), ms)
    return typeof answer === 'string' ? answer : undefined
  }
  return {
    async put(hash, principal, lifetimeMs) {
      const key = keyOf(hash)
      const results = await redis.multi().hset(key, 'principal', principal).pexpire(key, lifetimeMs).exec()
      const failure = results?.find(([error]) => error !== null)?.[0]
      if (failure != null) throw failure
    },
    claim: (hash, resumeHash, resumableMs) => run(claimScript, hash, resumeHash, resumableMs),
    resume: (hash, resumeHash, resumableMs) => run(resumeScript, hash, resumeHash, resumableMs),
  }
}
