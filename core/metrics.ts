/**
 * The metrics port. A part counts what happens through it; what merely *is* (connections, queues, lags) is read when
 * somebody looks. Label values MUST come from a small set known to the operator (shards, subgraphs, queues, error codes):
 * never a company, a key, or anything a client sends, since every new value is a series that is kept for ever.
 */
export interface Metrics {
  /** By convention its name ends in `_total`. */
  counter<L extends string>(definition: MetricDefinition<L>): (labels: Labels<L>, by?: number) => void
  histogram<L extends string>(
    definition: MetricDefinition<L> & { readonly buckets: readonly number[] },
  ): (labels: Labels<L>, value: number) => void
  /** `read` is called at every look; what it throws leaves the metric out of this look, and is counted. */
  observed<L extends string>(
    definition: MetricDefinition<L> & { readonly type: 'gauge' | 'counter' },
    read: () => readonly Sample<L>[] | Promise<readonly Sample<L>[]>,
  ): void
}

export interface MetricDefinition<L extends string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly L[]
}

export type Labels<L extends string> = Readonly<Record<L, string>>
export type Sample<L extends string> = readonly [labels: Labels<L>, value: number]

/** From a millisecond to the longest request. */
export const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const

export const silentMetrics: Metrics = {
  counter: () => () => {},
  histogram: () => () => {},
  observed() {},
}
