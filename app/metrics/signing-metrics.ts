import type { Metrics } from '../../core/metrics.ts'
import type { CheckpointSigner } from '../../ledger/checkpoints/signer.ts'

/** The one alarm of the ledger itself. */
export function addSigningMetrics(metrics: Metrics, signer: Pick<CheckpointSigner, 'refused'>): void {
  metrics.observed(
    {
      type: 'gauge',
      name: 'ledgerway_checkpoints_refused',
      help: 'Ledgers that this process refuses to sign, since they are not what was signed before; the log names them.',
      labels: [],
    },
    () => [[{}, signer.refused().length]],
  )
}
