import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'

/** Postgres refuses a notification of 8,000 bytes or more. */
const maxBytes = 7_900
const headerPattern = /^([0-9a-f]{16}) ([0-9]{1,4}) ([0-9]{1,4})\n/

/**
 * A message as notifications that fit: `<id> <part> <parts>\n<text>`. The id is random, since Postgres drops a
 * notification that equals an earlier one of the same transaction.
 */
export function splitMessage(message: string): string[] {
  const id = randomBytes(8).toString('hex')
  const parts: string[] = []
  const bytes = Buffer.from(message, 'utf8')
  let start = 0
  do {
    let end = Math.min(start + maxBytes - 32, bytes.length)
    // Never inside a character: continuation bytes are 10xxxxxx.
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
    parts.push(bytes.toString('utf8', start, end))
    start = end
  } while (start < bytes.length)
  return parts.map((part, index) => `${id} ${index} ${parts.length}\n${part}`)
}

/** Puts parts together again, in any order; gives the message with its last part. Unfinished ones are forgotten, oldest first. */
export function createJoiner(): (payload: string) => string | undefined {
  const open = new LRUCache<string, Map<number, string>>({ max: 256, ttl: 30_000 })
  return (payload) => {
    const [header = '', id = '', index, count] = headerPattern.exec(payload) ?? []
    if (header === '') return undefined
    const text = payload.slice(header.length)
    if (count === '1') return text
    const parts = open.get(id) ?? new Map<number, string>()
    parts.set(Number(index), text)
    if (parts.size < Number(count)) {
      open.set(id, parts)
      return undefined
    }
    open.delete(id)
    return [...parts]
      .sort(([a], [b]) => a - b)
      .map(([, part]) => part)
      .join('')
  }
}
