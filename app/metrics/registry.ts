import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { Metrics } from '../../core/metrics.ts'

export interface MetricsRegistry extends Metrics {
  /** In Prometheus' text format; one look at a time, whoever asks. */
  text(): Promise<string>
  readonly contentType: string
}

/** A part that does not answer in this time is left out of the look. */
const readMs = 2_000
/** One that did not the last time gets no more than this until it has answered, so that a server that is gone does not slow every look. */
const readAgainMs = 200

/** One process's metrics, with Node's own (event loop, memory, garbage collection) under the names that dashboards know. */
export function createMetricsRegistry(): MetricsRegistry {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 })
  const failed = new Counter({
    name: 'ledgerway_metrics_failed_total',
    help: 'Metrics that could not be read when somebody looked, by metric.',
    labelNames: ['metric'],
    registers,
  })
  let looking: Promise<string> | undefined

  return {
    contentType: registry.contentType,
    counter({ name, help, labels }) {
      const counter = new Counter<string>({ name, help, labelNames: labels, registers })
      return (values, by = 1) => counter.inc(values, by)
    },
    histogram({ name, help, labels, buckets }) {
      const histogram = new Histogram<string>({ name, help, labelNames: labels, buckets: [...buckets], registers })
      return (values, value) => histogram.observe(values, value)
    },
    observed({ name, help, labels, type }, read) {
      const configuration = { name, help, labelNames: labels, registers, collect }
      const metric =
        type === 'gauge' ? new Gauge<string>({ ...configuration }) : new Counter<string>({ ...configuration })
      let reading: ReturnType<typeof readOnce> | undefined
      let late = false
      async function readOnce(): Promise<Awaited<ReturnType<typeof read>>> {
        const samples = await read()
        late = false
        return samples
      }
      async function collect(): Promise<void> {
        metric.reset()
        try {
          // What is still being read since the last look is not asked again.
          reading ??= readOnce().finally(() => (reading = undefined))
          const samples = await within(late ? readAgainMs : readMs, reading)
          // The counts are their owners': each look begins with none.
          for (const [values, value] of samples) metric.inc(values, value)
        } catch (error) {
          late = error instanceof TooLate
          failed.inc({ metric: name })
        }
      }
    },
    text() {
      looking ??= registry.metrics().finally(() => (looking = undefined))
      return looking
    },
  }
}

class TooLate extends Error {}

async function within<T>(ms: number, reading: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new TooLate(`no answer within ${ms} ms`)), ms)
  try {
    return await Promise.race([reading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
