import type { AnswerCache } from '../cache/answer-cache.ts'
import { mergePositions, noPosition, parseLsn, type PositionToken } from '../core/position.ts'
import type { Change } from '../events/change.ts'
import type { ChangeStream } from '../events/change-stream.ts'
import { anyTag, companies, companyTag } from './entity-tags.ts'

/** What a change of one company's ledger makes invalid. */
function tagsOfChange({ companyId, kinds }: Pick<Change, 'companyId' | 'kinds'>): string[] {
  const profile = kinds.some((kind) => kind.startsWith('company.'))
  return [anyTag, companyTag(companyId), ...(profile ? [companies] : [])]
}

/**
 * Tells the cache of every change of every shard, and how far loads must see from then on. Where changes may have been
 * missed it is emptied; while a shard's changes cannot be had, nothing that is kept can be trusted.
 */
export interface CacheInvalidation extends AsyncDisposable {
  start(): Promise<void>
  trusted(): boolean
}

export function createCacheInvalidation(deps: {
  cache: AnswerCache
  changes: Pick<ChangeStream, 'subscribe' | 'health'>
  /** Of the placement this process knows. */
  epoch: () => number
}): CacheInvalidation {
  const { cache, changes, epoch } = deps
  let subscription: Disposable | undefined
  let emptying: Promise<void> | undefined
  /** Changes of one turn of the event loop are told together. */
  let pending: { tags: Set<string>; position: PositionToken } | undefined

  function flush(): void {
    const told = pending
    pending = undefined
    if (told !== undefined) void cache.invalidate([...told.tags], told.position)
  }

  return {
    async start() {
      subscription = changes.subscribe({
        change(change) {
          if (pending === undefined) {
            pending = { tags: new Set(), position: noPosition }
            queueMicrotask(flush)
          }
          for (const tag of tagsOfChange(change)) pending.tags.add(tag)
          if (change.lsn !== undefined) {
            const position = { epoch: epoch(), shards: new Map([[change.shard, parseLsn(change.lsn)]]) }
            pending.position = mergePositions(pending.position, position)
          }
        },
        reset() {
          emptying = Promise.resolve(emptying)
            .then(() => cache.clear())
            .finally(() => {
              emptying = undefined
            })
        },
      })
      // What lies in a shared cache was kept while nobody listened here.
      await cache.clear()
    },
    trusted: () => emptying === undefined && pending === undefined && changes.health().unreachable.length === 0,
    async [Symbol.asyncDispose]() {
      subscription?.[Symbol.dispose]()
      await emptying
    },
  }
}
