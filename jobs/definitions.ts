import { z } from 'zod'
import { AppError } from '../core/errors.ts'
import type { QueueClass } from './queues.ts'

/**
 * What there is to be done. `arguments` hold references, never payloads: erasing a record then needs no look into queues.
 */
export interface JobDefinition {
  readonly queue: QueueClass
  /** Tries in all; the last failure makes it a dead letter. */
  readonly attempts: number
  /** Milliseconds before try `attempt` + 1; the queue adds up to a fifth of it by chance. */
  readonly retryAfterMs: (attempt: number) => number
  readonly arguments: z.ZodType<Record<string, unknown>>
  /**
   * Times that a process may end while it is at it; one more makes it a dead letter, since it may be what ends them.
   * Without a limit where the work is kept elsewhere and goes on all the same: the job then has to tell of it.
   */
  readonly deaths: number
  /** Whether clients may submit it. */
  readonly public: boolean
  /** False: it concerns the deployment, carries no company, and only administrators see it. */
  readonly ofCompany?: false
}

const minute = 60_000
const defaultDeaths = 3
const unlimited = Number.POSITIVE_INFINITY

/** Standard Webhooks' recommended schedule: nine more tries over about three days. */
const deliveryPausesMs = [
  5_000,
  5 * minute,
  30 * minute,
  120 * minute,
  300 * minute,
  600 * minute,
  840 * minute,
  1_200 * minute,
  1_440 * minute,
]

export const jobDefinitions = {
  verifyLedger: {
    queue: 'normal',
    attempts: 3,
    deaths: defaultDeaths,
    retryAfterMs: (attempt) => 1_000 * 4 ** attempt,
    // Positions, both included; absent: all that there is.
    arguments: z
      .strictObject({ from: z.number().int().min(0).optional(), to: z.number().int().min(0).optional() })
      .refine(({ from = 0, to }) => to === undefined || to >= from, 'to: must not be before from'),
    public: true,
  },
  exportLedger: {
    queue: 'normal',
    attempts: 3,
    deaths: defaultDeaths,
    retryAfterMs: (attempt) => 1_000 * 4 ** attempt,
    // Whether private parts are in it, for those who may read them.
    arguments: z.strictObject({ private: z.boolean().default(false) }),
    public: true,
  },
  deliverWebhook: {
    queue: 'high',
    attempts: deliveryPausesMs.length + 1,
    deaths: defaultDeaths,
    retryAfterMs: (attempt) => deliveryPausesMs[attempt - 1] ?? 1_440 * minute,
    arguments: z.strictObject({ webhookId: z.string().max(64), position: z.number().int().min(0) }),
    public: false,
  },
  // Moves and rebalances are rows of the catalog; these jobs work at them and tell how far they are.
  moveCompany: {
    queue: 'low',
    attempts: 5,
    deaths: unlimited,
    retryAfterMs: () => 5_000,
    arguments: z.strictObject({ move: z.number().int().min(1) }),
    public: false,
  },
  rebalanceShards: {
    queue: 'low',
    attempts: 5,
    deaths: unlimited,
    retryAfterMs: () => 5_000,
    arguments: z.strictObject({ rebalance: z.number().int().min(1) }),
    public: false,
    ofCompany: false,
  },
  promoteReplica: {
    queue: 'critical',
    attempts: 3,
    deaths: defaultDeaths,
    retryAfterMs: () => 1_000,
    arguments: z.strictObject({ shard: z.string(), server: z.string().max(300), acceptLoss: z.boolean() }),
    public: false,
    ofCompany: false,
  },
} as const satisfies Record<string, JobDefinition>

export type JobName = keyof typeof jobDefinitions

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(jobDefinitions, name)
}

const submittable = Object.entries(jobDefinitions)
  .filter(([, definition]) => definition.public)
  .map(([name]) => name)

/** For names that come from clients: the server's own jobs are not theirs to submit. */
export function isSubmittable(name: string): boolean {
  return submittable.includes(name)
}

export function unknownJob(name: string): AppError {
  return new AppError('BAD_USER_INPUT', `There is no job of this name; choose from ${submittable.join(', ')}.`, {
    details: { name: name.slice(0, 64) },
  })
}

/** @throws AppError BAD_USER_INPUT */
export function parseArguments(name: JobName, value: unknown): Record<string, unknown> {
  const parsed = jobDefinitions[name].arguments.safeParse(value ?? {})
  if (parsed.success) return parsed.data
  throw new AppError('BAD_USER_INPUT', `The arguments do not fit the job "${name}".`, {
    details: { problems: parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`) },
  })
}
