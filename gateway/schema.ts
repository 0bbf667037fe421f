import { createHash } from 'node:crypto'
import type { GraphQLSchema } from 'graphql'
import { type CacheHints, readCacheHints } from './cache-hints.ts'

/** The schema that is served now: what subscriptions are validated against, and what the cache's keys and hints follow. */
export interface CurrentSchema {
  set(api: GraphQLSchema, supergraphSdl: string): void
  /** Undefined until the gateway has loaded. */
  get(): LoadedSchema | undefined
}

export interface LoadedSchema {
  readonly api: GraphQLSchema
  /** Of the supergraph's text. */
  readonly hash: string
  readonly hints: CacheHints
}

export function createCurrentSchema(): CurrentSchema {
  let loaded: LoadedSchema | undefined
  return {
    set(api, supergraphSdl) {
      const hash = createHash('sha256').update(supergraphSdl).digest('base64url')
      loaded = { api, hash, hints: readCacheHints(supergraphSdl) }
    },
    get: () => loaded,
  }
}
