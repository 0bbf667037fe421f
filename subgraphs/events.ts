import type { FollowedBatch } from '../events/follow.ts'

/** One event a record, with the position that shows it. Leaving is said by the request's signal, which the follower hears. */
export interface RecordEvent<R> {
  readonly cursor: string
  readonly record: R
  /** Position token: what is read for the event is read at it. */
  readonly position: string
}

export async function* eventsOf<R>(
  batches: AsyncIterable<FollowedBatch<R>>,
): AsyncGenerator<RecordEvent<R>, void, void> {
  for await (const { records, position } of batches) {
    for (const { cursor, record } of records) yield { cursor, record, position }
  }
}

/** The position an event carries, if it is one of ours. */
export function positionOf(event: unknown): string | undefined {
  const position = (event as { position?: unknown } | null | undefined)?.position
  return typeof position === 'string' ? position : undefined
}
