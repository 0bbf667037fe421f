import type { QueueClass } from './queues.ts'

/**
 * Start tags of virtual-time fair queueing, used as priorities: a company's next job gets the tag behind its last one, but
 * not before the jobs that run now. So a company's thousandth job waits behind everyone's first, and a company that was
 * idle gains nothing by it.
 *
 * Tags begin anew whenever the queue was empty. One that is never empty comes to `maxTag` after two million rounds and is
 * then served in order of arrival until it is empty once.
 */
export interface FairOrder {
  /** One tag for each id, in order. `idle`: nothing waits in the queue now. */
  tags(queue: QueueClass, companyIds: readonly string[], idle: boolean): Promise<readonly number[]>
  /** A job with this tag has begun. */
  started(queue: QueueClass, tag: number): Promise<void>
}

/** BullMQ's highest priority. */
export const maxTag = 2_097_152
