import { errorCodes, isAppError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'

/** What is appended, how far concurrent appends travel together, and what is refused. */
export function createLedgerMetrics(metrics: Metrics) {
  const records = metrics.counter({
    name: 'ledgerway_ledger_records_total',
    help: 'Records appended, by `append` (a caller’s) and `change` (with a change of ours); repetitions included.',
    labels: ['way'],
  })
  const refusals = metrics.counter({
    name: 'ledgerway_ledger_refused_total',
    help: 'Appends of callers that failed, by code; OVERLOADED: too many waited for one ledger.',
    labels: ['code'],
  })
  const group = metrics.histogram({
    name: 'ledgerway_ledger_group_appends',
    help: 'Appends to one ledger that went as one statement.',
    labels: [],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  })
  return {
    appended: (way: 'append' | 'change', count: number): void => records({ way }, count),
    refused: (error: unknown): void =>
      refusals({ code: isAppError(error) && Object.hasOwn(errorCodes, error.code) ? error.code : 'OTHER' }),
    grouped: (appends: number): void => group({}, appends),
  }
}
