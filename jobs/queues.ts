/** The four queues, by class. Each has slots of its own in every worker process, so that none starves another. */
export const queueClasses = ['critical', 'high', 'normal', 'low'] as const

export type QueueClass = (typeof queueClasses)[number]

/** Jobs that a worker process runs at once, a class. */
export const defaultSlots: Readonly<Record<QueueClass, number>> = { critical: 4, high: 8, normal: 4, low: 2 }

/** Bounds of one queue. */
export interface QueueLimits {
  /** Jobs waiting or delayed; beyond it `submit` answers OVERLOADED. */
  readonly waiting: number
  readonly completedKept: number
  readonly completedKeptSeconds: number
  /** Dead letters. */
  readonly failedKept: number
  readonly failedKeptSeconds: number
}

export const defaultLimits: QueueLimits = {
  waiting: 100_000,
  completedKept: 5_000,
  completedKeptSeconds: 7 * 86_400,
  failedKept: 20_000,
  failedKeptSeconds: 30 * 86_400,
}
