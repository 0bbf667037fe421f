import type { ShardId } from '../core/ids.ts'

/** Where one shard's servers are. URLs carry credentials: never log them. */
export interface ShardConfig {
  readonly name: ShardId
  readonly primaryUrl: string
  readonly replicaUrls: readonly string[]
}
