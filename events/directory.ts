import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'
import type { Bus } from './bus.ts'

/** Says that the placement of companies has changed; the message is empty, the catalog tells what. */
const directoryChannel = 'directory'

export const announceDirectory = (bus: Bus): Promise<void> => bus.publish(directoryChannel, '')

/** Lets this process learn of changes at once; the store's own poll is the safety net. */
export function followDirectory(deps: { bus: Bus; store: Store; logger: Logger }): Promise<AsyncDisposable> {
  const { bus, store, logger } = deps
  return bus.subscribe(directoryChannel, () => {
    store.refresh().catch((error: unknown) => logger.warn({ error }, 'the directory could not be asked'))
  })
}
