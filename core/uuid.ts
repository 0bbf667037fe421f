import { createHash, randomBytes } from 'node:crypto'

/** How far the clock may step back (milliseconds) and ids still go on rising; also what a burst may run ahead of it. */
const steppedBackMs = 1000

let last = { ms: -1, counter: 0 }

/**
 * UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then a counter of 12 bits that starts anywhere in
 * its lower half (section 6.2, method 1), the rest random. What one process makes sorts in the order of making, so lists
 * that are ordered by id are ordered by age.
 */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16)
  const goesOn = nowMs <= last.ms && last.ms - nowMs < steppedBackMs
  if (goesOn && last.counter < 0xfff) last = { ms: last.ms, counter: last.counter + 1 }
  else last = { ms: goesOn ? last.ms + 1 : nowMs, counter: bytes.readUInt16BE(6) & 0x7ff }
  bytes.writeUIntBE(last.ms, 0, 6)
  bytes.writeUInt16BE(last.counter, 6)
  return formatUuid(bytes, 7)
}

/** UUID version 5 (RFC 9562 section 5.5): the same namespace and name give the same id, so imports can be repeated. */
export function uuidv5(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
  return formatUuid(hash.subarray(0, 16), 5)
}

function formatUuid(bytes: Buffer, version: number): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
