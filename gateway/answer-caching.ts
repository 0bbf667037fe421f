import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import {
  type DocumentNode,
  type FormattedExecutionResult,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import {
  type AnswerCache,
  type CacheLookup,
  leaseMs,
  type LoadStamp,
  maxAnswerCharacters,
} from '../cache/answer-cache.ts'
import {
  coversPosition,
  decodePosition,
  encodePosition,
  mergePositions,
  noPosition,
  type PositionToken,
} from '../core/position.ts'
import type { RequestContext } from '../core/request.ts'
import { type CachePolicy, cachePolicy } from './cache-hints.ts'
import { principalKey } from './credentials.ts'
import { SlicedData } from './executor/answer.ts'
import { mutationTags, tagReader } from './entity-tags.ts'
import { KeptText, textAndValue } from './answer-text.ts'
import type { CurrentSchema, LoadedSchema } from './schema.ts'

export interface CacheableOperation {
  readonly context: RequestContext
  readonly source: string
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  readonly variables: Readonly<Record<string, unknown>>
  /** The request's header. */
  readonly cacheControl: string | undefined
}

export type AnswerLookup =
  | { readonly state: 'hit'; readonly data: Record<string, unknown>; readonly cacheControl: string }
  /** `fill` keeps the answer where it may, and gives the header for it. */
  /** The load MUST read at `position`, where there is one, and end in `fill` or `abandon`. */
  | {
      readonly state: 'miss'
      readonly position?: string
      abandon(): void
      fill(result: FormattedExecutionResult): string | undefined
    }
  | { readonly state: 'bypass' }

/** Whole answers to queries, by the rules of `@cacheControl` and of who may see what. */
export interface AnswerCaching {
  lookUp(operation: CacheableOperation): Promise<AnswerLookup>
  /**
   * Forgets what a mutation answers with, before its answer goes out: what it changed beside the ledgers nobody else tells
   * of, and of the rest the change feed tells some milliseconds later.
   */
  mutated(mutation: {
    document: DocumentNode
    operation: OperationDefinitionNode
    data: unknown
    written: readonly string[]
  }): Promise<void>
}

/** Longer than most loads; who waits in vain has lost no more than this. */
const waitForFillMs = 300

const bypass: AnswerLookup = { state: 'bypass' }

/**
 * @param trusted whether invalidations arrive just now
 */
export function createAnswerCaching(deps: {
  cache: AnswerCache
  schema: CurrentSchema
  trusted: () => boolean
}): AnswerCaching {
  const { cache, schema, trusted } = deps
  /** Both follow from document and schema alone. */
  const known = new WeakMap<LoadedSchema, WeakMap<OperationDefinitionNode, CachePolicy>>()

  function policyOf(loaded: LoadedSchema, document: DocumentNode, operation: OperationDefinitionNode): CachePolicy {
    const ofSchema = known.get(loaded) ?? new WeakMap<OperationDefinitionNode, CachePolicy>()
    known.set(loaded, ofSchema)
    const policy = ofSchema.get(operation) ?? cachePolicy(loaded.api, loaded.hints, document, operation)
    ofSchema.set(operation, policy)
    return policy
  }

  /** Loads of this process: the executor joins what is in flight here, which is quicker than waiting for the cache. */
  const loadingHere = new LRUCache<string, true>({ max: 10_000, ttl: leaseMs })

  /** Where another process is loading the same, waits a little for that. */
  async function look(key: string): Promise<CacheLookup> {
    let found = await cache.get(key)
    if (found.state !== 'miss' || loadingHere.has(key)) return found
    const until = performance.now() + waitForFillMs
    for (let pauseMs = 4; found.state === 'miss' && found.lease === undefined; pauseMs = Math.min(pauseMs * 2, 50)) {
      if (performance.now() + pauseMs > until) break
      await setTimeout(pauseMs)
      found = await cache.get(key)
    }
    return found
  }

  return {
    async lookUp({ context, source, document, operation, variables, cacheControl }) {
      const loaded = schema.get()
      if (loaded === undefined || operation.operation !== OperationTypeNode.QUERY) return bypass
      const policy = policyOf(loaded, document, operation)
      if (policy.maxAgeSeconds === 0 || /\bno-(?:cache|store)\b/.test(cacheControl ?? '') || !trusted()) return bypass
      const key = keyOf(loaded, policy, context, source, operation.name?.value, variables)
      const need = context.position === undefined ? undefined : decodePosition(context.position)
      const found = await look(key)
      if (found.state === 'bypass') return bypass
      const lease = found.state === 'miss' ? found.lease : undefined
      if (found.state === 'miss') loadingHere.set(key, true)
      // What was kept from before the state that is asked for is loaded anew, and replaced.
      if (found.state === 'hit' && shows(found.answer.position, need)) {
        const data = new KeptText(found.answer.text) as unknown as Record<string, unknown>
        return { state: 'hit', data, cacheControl: headerOf(policy, found.answer.ageMs) }
      }
      const position = need === undefined ? found.stamp.position : mergePositions(found.stamp.position, need)
      return {
        state: 'miss',
        ...(position.shards.size === 0 ? {} : { position: encodePosition(position) }),
        abandon,
        fill: (result) => fill(result, found.stamp),
      }

      function abandon(): void {
        loadingHere.delete(key)
        if (lease !== undefined) void cache.release(key, lease)
      }

      function fill(result: FormattedExecutionResult, stamp: LoadStamp): string | undefined {
        const whole = result.errors === undefined && result.extensions?.['partial'] === undefined
        if (!whole || result.data == null || loaded === undefined) {
          abandon()
          return undefined
        }
        const data: unknown = result.data
        // The cache would not keep it: it need not be put together.
        if (data instanceof SlicedData && data.length > maxAnswerCharacters) {
          abandon()
          return headerOf(policy, 0)
        }
        const { text, value } = textAndValue(result.data)
        const tags = tagReader(loaded.api, loaded.hints, document, operation)(value)
        const kept = { text, tags, maxAgeMs: policy.maxAgeSeconds * 1000, position }
        loadingHere.delete(key)
        void cache.put(key, kept, stamp, lease)
        return headerOf(policy, 0)
      }
    },

    async mutated({ document, operation, data, written }) {
      const loaded = schema.get()
      if (loaded === undefined || data == null) return
      const held = tagReader(loaded.api, loaded.hints, document, operation)(textAndValue(data).value)
      const tags = new Set([...held, ...mutationTags(loaded.api, loaded.hints, document, operation)])
      const position = written.map(decodePosition).reduce(mergePositions, noPosition)
      if (tags.size > 0) await cache.invalidate([...tags], position)
    },
  }
}

/** Stricter than `coversPosition`: a shard that the kept answer says nothing of may be behind what is asked for. */
function shows(have: PositionToken | undefined, need: PositionToken | undefined): boolean {
  if (need === undefined) return true
  if (have === undefined || !coversPosition(have, need)) return false
  return need.shards.keys().every((shard) => have.shards.has(shard))
}

/**
 * An answer whose every field is public is shared by all who hold the same rights: rights decide whether it is given at
 * all, and are checked where it is made.
 */
function keyOf(
  loaded: LoadedSchema,
  policy: CachePolicy,
  { principal }: RequestContext,
  source: string,
  operationName: string | undefined,
  variables: Readonly<Record<string, unknown>>,
): string {
  const scopes = principal.kind === 'anonymous' ? [] : [...principal.scopes].sort()
  const who = policy.shared ? principal.kind : principalKey(principal)
  return createHash('sha256')
    .update(JSON.stringify([loaded.hash, who, scopes, source, operationName ?? '', sorted(variables)]))
    .digest('base64url')
}

/** Variables in another order are the same variables. */
function sorted(variables: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(variables).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** What caches outside may do: they cannot be told of changes, so `Vary` (set by the server) keeps keys apart. */
function headerOf(policy: CachePolicy, ageMs: number): string {
  const left = Math.max(0, Math.floor(policy.maxAgeSeconds - ageMs / 1000))
  return `${policy.shared ? 'public' : 'private'}, max-age=${left}`
}
