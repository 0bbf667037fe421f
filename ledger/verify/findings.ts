/** The exit codes of `verify`. Where several apply, the first of 64, 4, 1, 2, 3. */
export const exitCodes = { valid: 0, invalid: 1, truncated: 2, gap: 3, untrusted: 4, usage: 64 } as const

export type FindingKind = 'untrusted' | 'invalid' | 'truncated' | 'gap'

const precedence: readonly FindingKind[] = ['untrusted', 'invalid', 'truncated', 'gap']

export interface Finding {
  readonly kind: FindingKind
  readonly what: string
  /** 1 is the bundle's first line. */
  readonly line?: number
  readonly position?: number
}

/** The one that decides the exit code; of equal ones the first. */
export function gravest<T extends Finding>(findings: readonly T[]): T | undefined {
  for (const kind of precedence) {
    const found = findings.find((finding) => finding.kind === kind)
    if (found !== undefined) return found
  }
  return undefined
}
