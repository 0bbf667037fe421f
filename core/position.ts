import { AppError } from './errors.ts'
import { parseShardId, type ShardId } from './ids.ts'

/**
 * How far a reader has seen, or must see: per shard a byte position of its write-ahead log (the flush position read after
 * a commit), under the epoch of the placement it was read in. Travels as opaque text (`encodePosition`).
 */
export interface PositionToken {
  readonly epoch: number
  readonly shards: ReadonlyMap<ShardId, bigint>
}

export const noPosition: PositionToken = { epoch: 0, shards: new Map() }

const maxTokenLength = 4096

export function encodePosition(token: PositionToken): string {
  const shards = [...token.shards].map(([shard, lsn]) => `${shard}=${lsn.toString(36)}`).sort()
  return Buffer.from(`1 ${[token.epoch, ...shards].join(' ')}`, 'latin1').toString('base64url')
}

/** @throws AppError INVALID_POSITION */
export function decodePosition(text: string): PositionToken {
  const [version, epoch = '', ...shards] =
    text.length > maxTokenLength ? [] : Buffer.from(text, 'base64url').toString('latin1').split(' ')
  if (version !== '1' || !/^[0-9]{1,15}$/.test(epoch)) throw invalidPosition()
  return {
    epoch: Number(epoch),
    shards: new Map(
      shards.map((entry) => {
        const [, shard = '', lsn = ''] = /^([a-z0-9-]{1,32})=([0-9a-z]{1,13})$/.exec(entry) ?? []
        if (shard === '') throw invalidPosition()
        return [parseShardId(shard), parseBase36(lsn)]
      }),
    ),
  }
}

/** The least token that covers both. */
export function mergePositions(a: PositionToken, b: PositionToken): PositionToken {
  const shards = new Map(a.shards)
  for (const [shard, lsn] of b.shards) {
    const known = shards.get(shard)
    if (known === undefined || known < lsn) shards.set(shard, lsn)
  }
  return { epoch: Math.max(a.epoch, b.epoch), shards }
}

/** Whether what was read at `have` shows everything that `need` names: no older epoch, and as far on every shard in both. */
export function coversPosition(have: PositionToken, need: PositionToken): boolean {
  if (have.epoch < need.epoch) return false
  for (const [shard, lsn] of need.shards) {
    const at = have.shards.get(shard)
    if (at !== undefined && at < lsn) return false
  }
  return true
}

/** Postgres' `pg_lsn` text (`16/B374D848`) as a number. */
export function parseLsn(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

function parseBase36(text: string): bigint {
  let value = 0n
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36))
  return value
}

function invalidPosition(): AppError {
  return new AppError(
    'INVALID_POSITION',
    'The position token is not one this server gave out; leave it out to read any state.',
  )
}
