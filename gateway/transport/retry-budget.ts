/**
 * Retries help against a lost connection and harm against an overloaded subgraph. So they are paid for: every request
 * earns a fraction of a retry, every retry spends a whole one, and what is saved up is bounded.
 */
export interface RetryBudget {
  earn(): void
  /** Whether a retry may be made; it is then paid for. */
  spend(): boolean
}

export function createRetryBudget({ share, most }: { share: number; most: number }): RetryBudget {
  let saved = most
  return {
    earn() {
      saved = Math.min(most, saved + share)
    },
    spend() {
      if (saved < 1) return false
      saved -= 1
      return true
    },
  }
}
