import type { Redis } from 'ioredis'
import { type FairOrder, maxTag } from './fair-order.ts'

/** KEYS: clock, last tags. ARGV: '1' where idle, the highest tag, then company ids. */
const tagsScript = `
if ARGV[1] == '1' then redis.call('del', KEYS[1], KEYS[2]) end
local clock = tonumber(redis.call('get', KEYS[1]) or '0')
local tags = {}
for i = 3, #ARGV do
  local last = tonumber(redis.call('zscore', KEYS[2], ARGV[i]) or '0')
  local tag = math.min(math.max(clock, last) + 1, tonumber(ARGV[2]))
  redis.call('zadd', KEYS[2], tag, ARGV[i])
  tags[#tags + 1] = tag
end
return tags`

/** Tags that the clock has passed say nothing any more, so they go. */
const startedScript = `
if tonumber(ARGV[1]) > tonumber(redis.call('get', KEYS[1]) or '0') then
  redis.call('set', KEYS[1], ARGV[1])
  redis.call('zremrangebyscore', KEYS[2], '-inf', ARGV[1])
end
return 1`

export function createRedisFairOrder(redis: Redis, prefix: string): FairOrder {
  // One hash slot, for Redis Cluster.
  const keys = (queue: string): [string, string] => [`{${prefix}:${queue}}:clock`, `{${prefix}:${queue}}:tags`]
  return {
    async tags(queue, companyIds, idle) {
      const args = [idle ? '1' : '0', String(maxTag), ...companyIds]
      return (await redis.eval(tagsScript, 2, ...keys(queue), ...args)) as number[]
    },
    async started(queue, tag) {
      await redis.eval(startedScript, 2, ...keys(queue), String(tag))
    },
  }
}
