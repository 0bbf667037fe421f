import type { Redis } from 'ioredis'
import type { Logger } from '../core/log.ts'
import { admitted, type RateLimiter } from './rate-limits.ts'

/**
 * `decide` of rate-limits.ts for all scopes at once: first all are asked, then all are charged. KEYS are the scopes, ARGV
 * for each of them the milliseconds of one unit, the burst and the cost. By Redis' clock, so that processes agree. Values
 * are the moments in microseconds, which a double holds exactly.
 */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local next = {}
for i, key in ipairs(KEYS) do
  local unit, burst, cost = ARGV[i * 3 - 2] * 1000, tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local spent = tonumber(redis.call('GET', key) or now)
  if spent < now then spent = now end
  next[i] = spent + cost * unit
  local wait = next[i] - burst * unit - now
  if wait > 1 then return {i, string.format('%.0f', math.ceil(wait / 1000))} end
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', next[i]), 'PX', math.ceil((next[i] - now) / 1000) + 1)
end
return {0}`

/**
 * In Redis, for all processes together; while it cannot be asked, `fallback` decides for this one.
 * @param redis MUST fail fast while disconnected (`enableOfflineQueue: false`)
 */
export function createRedisRateLimiter(deps: {
  redis: Redis
  prefix: string
  fallback: RateLimiter
  logger: Logger
  /** A Redis that takes longer to answer is not asked this time. */
  answerMs?: number
}): RateLimiter {
  const { redis, prefix, fallback, logger, answerMs = 100 } = deps
  return {
    async take(charges) {
      if (charges.length === 0) return admitted
      if (redis.status !== 'ready') return fallback.take(charges)
      const keys = charges.map(({ scope }) => `${prefix}rate:${scope}`)
      const args = charges.flatMap(({ rate, cost }) => [1000 / rate.perSecond, rate.burst, cost])
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`no answer within ${answerMs} ms`)), answerMs)
      try {
        const asked = redis.eval(takeScript, keys.length, ...keys, ...args)
        const [refused = 0, waitMs = '0'] = (await Promise.race([asked, late.promise])) as [number?, string?]
        const scope = charges[refused - 1]?.scope
        return scope === undefined ? admitted : { admitted: false, scope, retryAfterMs: Number(waitMs) }
      } catch (error) {
        logger.debug({ error }, 'rates could not be asked for; this process decides alone')
        return fallback.take(charges)
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
