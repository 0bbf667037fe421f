import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Logger } from '../../core/log.ts'
import type { ShardId } from '../../core/ids.ts'
import { decodePosition, encodePosition, mergePositions, noPosition, type PositionToken } from '../../core/position.ts'
import {
  type AnswerCache,
  everything,
  type LoadStamp,
  leaseMs,
  maxAnswerCharacters,
  maxKeptMs,
  maxTags,
} from '../answer-cache.ts'

/**
 * In Redis, shared by all processes of a deployment. As in the memory driver time is a counter of invalidations; every
 * step is one script, so that nothing comes between looking and acting. Keys: `count`, `tag:<tag>` (the count at which it
 * was last invalidated; outlives every entry), `entry:<key>` (a hash), `lease:<key>` (who loads it), `entries` (what is kept, by expiry: the bound).
 * Ages are by Redis' clock alone. Redis MUST NOT evict (`noeviction`, as queues need it anyway): a tag that is evicted
 * would let its entries live.
 */
const getScript = `
local entry = redis.call('HMGET', KEYS[1], 'stamp', 'at', 'tags', 'position', 'maxAge', 'text')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = {redis.call('GET', ARGV[1] .. 'count') or '0', string.format('%.0f', now), redis.call('HGETALL', ARGV[1] .. 'seen')}
if entry[1] and now - entry[2] < tonumber(entry[5]) then
  local fresh = true
  for _, tag in ipairs(cjson.decode(entry[3])) do
    local at = redis.call('GET', ARGV[1] .. 'tag:' .. tag)
    if at and tonumber(at) > tonumber(entry[1]) then fresh = false break end
  end
  if fresh then return {'hit', stamp, entry[6], string.format('%.0f', now - entry[2]), entry[4]} end
end
if entry[1] then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', ARGV[1] .. 'entries', KEYS[1])
end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {'miss', stamp, ARGV[2]} end
return {'miss', stamp}`

const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`

const putScript = `
local prefix, stamp, at, tags, position, maxAge, text, maxEntries, lease = unpack(ARGV)
if redis.call('GET', KEYS[2]) == lease then redis.call('DEL', KEYS[2]) end
for _, tag in ipairs(cjson.decode(tags)) do
  local invalidated = redis.call('GET', prefix .. 'tag:' .. tag)
  if invalidated and tonumber(invalidated) > tonumber(stamp) then return 0 end
end
local count = tonumber(redis.call('GET', prefix .. 'count') or '0')
if count < tonumber(stamp) then return 0 end
redis.call('HSET', KEYS[1], 'stamp', stamp, 'at', at, 'tags', tags, 'position', position, 'maxAge', maxAge, 'text', text)
redis.call('PEXPIRE', KEYS[1], maxAge)
redis.call('ZADD', prefix .. 'entries', at + maxAge, KEYS[1])
redis.call('ZREMRANGEBYSCORE', prefix .. 'entries', '-inf', at)
local over = redis.call('ZCARD', prefix .. 'entries') - tonumber(maxEntries)
if over > 0 then
  local popped = redis.call('ZPOPMIN', prefix .. 'entries', over)
  for i = 1, #popped, 2 do redis.call('DEL', popped[i]) end
end
return 1`

const invalidateScript = `
local count = redis.call('INCR', ARGV[1] .. 'count')
local tags = tonumber(ARGV[3])
for i = 4, 3 + tags do redis.call('SET', ARGV[1] .. 'tag:' .. ARGV[i], count, 'PX', ARGV[2]) end
for i = 4 + tags, #ARGV, 2 do
  local known = redis.call('HGET', ARGV[1] .. 'seen', ARGV[i])
  if not known or known < ARGV[i + 1] then redis.call('HSET', ARGV[1] .. 'seen', ARGV[i], ARGV[i + 1]) end
end
return count`

/** Positions as text of one width, so that Redis compares them right; a number of Lua's would lose digits. */
const epochField = ' epoch'
const widthOf = 16

function seenFields(position: PositionToken): string[] {
  const shards = [...position.shards].flatMap(([shard, lsn]) => [shard, lsn.toString(16).padStart(widthOf, '0')])
  return [epochField, String(position.epoch).padStart(widthOf, '0'), ...shards]
}

function readSeen(fields: readonly string[]): PositionToken {
  let epoch = 0
  const shards = new Map<ShardId, bigint>()
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [field = '', value = ''] = fields.slice(at, at + 2)
    if (field === epochField) epoch = Number(value)
    else shards.set(field as ShardId, BigInt(`0x${value}`))
  }
  return { epoch, shards }
}

const tagKeptMs = maxKeptMs + 60_000
/** How often a Redis that failed is asked whether it answers again. */
const probeMs = 500
const warnEveryMs = 60_000

type Answer = [state: string, stamp: [string, string, string[]], text?: string, ageMs?: string, position?: string]

/** @param redis MUST fail fast while disconnected (`enableOfflineQueue: false`) */
export function createRedisAnswerCache(deps: {
  redis: Redis
  prefix: string
  logger: Logger
  maxEntries?: number
  /** A Redis that takes longer to answer is passed by. */
  answerMs?: number
}): AnswerCache {
  const { redis, logger, maxEntries = 50_000, answerMs = 250 } = deps
  const prefix = `${deps.prefix}cache:`
  /** An invalidation that Redis was not told of: until it knows, nothing from it may be used. */
  let untold: PositionToken | undefined
  /** Whether the last command was answered. A Redis under load fails many in a row: they are one line in the log. */
  let answering = true
  let warnedAt = Number.NEGATIVE_INFINITY

  let probe: NodeJS.Timeout | undefined
  let closed = false

  function failed(error: unknown): void {
    answering = false
    probeSoon()
    if (performance.now() - warnedAt < warnEveryMs) return
    warnedAt = performance.now()
    const reason = error instanceof Error ? error.message : String(error)
    logger.warn({ reason }, 'Redis does not answer the cache, which is passed by until it does')
  }

  async function run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const timeout = Promise.withResolvers<never>()
    const timer = setTimeout(() => timeout.reject(new Error(`no answer within ${answerMs} ms`)), answerMs)
    try {
      const answer = await Promise.race([redis.eval(script, keys.length, ...keys, ...args), timeout.promise])
      answering = true
      return answer
    } catch (error) {
      failed(error)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Health, and what Redis has still to be told, must not wait for somebody's query. */
  function probeSoon(): void {
    if (closed || probe !== undefined) return
    probe = setTimeout(() => {
      probe = undefined
      // While the connection is away there is nothing to ask.
      if (redis.status !== 'ready') return probeSoon()
      void (untold === undefined ? run('return 1', [], []) : ready()).catch(() => undefined)
    }, probeMs).unref()
  }

  const keysOf = (key: string): string[] => [`${prefix}entry:${key}`, `${prefix}lease:${key}`]

  async function invalidate(tags: readonly string[], position: PositionToken = noPosition): Promise<void> {
    try {
      await run(invalidateScript, [], [prefix, tagKeptMs, tags.length, ...tags, ...seenFields(position)])
    } catch {
      untold = mergePositions(untold ?? noPosition, position)
    }
  }

  async function ready(): Promise<boolean> {
    const position = untold
    if (position === undefined) return true
    untold = undefined
    await invalidate([everything], position)
    return untold === undefined
  }

  return {
    async get(key) {
      try {
        if (redis.status !== 'ready' || !(await ready())) return { state: 'bypass' }
        const answer = (await run(getScript, keysOf(key), [prefix, randomUUID(), leaseMs])) as Answer
        const [state, [count, atMs, seen], text = '', ageMs = '0', position = ''] = answer
        const stamp: LoadStamp = { count: Number(count), atMs: Number(atMs), position: readSeen(seen) }
        if (state !== 'hit') return { state: 'miss', stamp, ...(text === '' ? {} : { lease: text }) }
        return {
          state: 'hit',
          stamp,
          answer: {
            text,
            ageMs: Number(ageMs),
            ...(position === '' ? {} : { position: decodePosition(position) }),
          },
        }
      } catch {
        return { state: 'bypass' }
      }
    },
    async put(key, answer, stamp, lease = '') {
      if (answer.tags.length > maxTags || answer.text.length > maxAnswerCharacters) return false
      const position = answer.position === undefined ? '' : encodePosition(answer.position)
      const maxAge = Math.min(answer.maxAgeMs, maxKeptMs)
      const tags = JSON.stringify([everything, ...answer.tags])
      try {
        const args = [prefix, stamp.count, stamp.atMs, tags, position, maxAge, answer.text, maxEntries, lease]
        return (await run(putScript, keysOf(key), args)) === 1
      } catch {
        return false
      }
    },
    async release(key, lease) {
      try {
        await run(releaseScript, [`${prefix}lease:${key}`], [lease])
      } catch {
        // It ends by itself.
      }
    },
    invalidate,
    healthy: () => answering && untold === undefined && redis.status === 'ready',
    clear: () => invalidate([everything]),
    async [Symbol.asyncDispose]() {
      closed = true
      clearTimeout(probe)
    },
  }
}
