import type { ShardId } from '../core/ids.ts'

/** Where one shard's servers are. URLs carry credentials: never log them. */
export interface ShardConfig {
  readonly name: ShardId
  readonly primaryUrl: string
  readonly replicaUrls: readonly string[]
  /** For geographic placement; without it, what stands before the first `-` of the name (`eu-1` is in `eu`). */
  readonly region?: string
}

export function regionOf({ region, name }: ShardConfig): string {
  return region ?? name.split('-')[0] ?? name
}
