import type { ShardId } from '../core/ids.ts'
import type { Bus } from './bus.ts'
import { dirtyChannel } from './change.ts'

/**
 * Wakes the relays in other processes after a commit: one message at a time per shard, since any number of appends during
 * its way need only one more. A process that runs a relay of its own nudges that instead.
 */
export function createDirtySignal(deps: { bus: Bus }): { notify(shard: ShardId): void } {
  const inFlight = new Map<ShardId, { again: boolean }>()

  function notify(shard: ShardId): void {
    const current = inFlight.get(shard)
    if (current !== undefined) {
      current.again = true
      return
    }
    const state = { again: false }
    inFlight.set(shard, state)
    void deps.bus.publish(dirtyChannel, shard).finally(() => {
      inFlight.delete(shard)
      if (state.again) notify(shard)
    })
  }

  return { notify }
}
