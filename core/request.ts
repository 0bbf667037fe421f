import type { CompanyId } from './ids.ts'

/** Who asks. Rights follow from this alone (`access/rights.ts`); it is made at the edge and travels with the request. */
export type Principal =
  | { kind: 'anonymous' }
  | { kind: 'company'; companyId: CompanyId; keyId: string; scopes: readonly string[] }
  | { kind: 'admin'; keyId: string; scopes: readonly string[] }

export const anonymous: Principal = { kind: 'anonymous' }

/**
 * What one client operation carries through gateway, executors and subgraphs. One object an operation, the same object
 * for every fetch to an in-process subgraph: per-request state (loaders) hangs on it in a WeakMap.
 */
export interface RequestContext {
  readonly requestId: string
  readonly principal: Principal
  /** Position token (opaque text) that the answer must include; absent: any state will do. */
  readonly position?: string
  /** The client's headers by lower-case name, for subgraphs of others that may see some of them. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** `performance.now()` when work for it began: what times that are told about it count from. */
  readonly startedMs: number
  /** Unix milliseconds after which nobody waits for the answer. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
  /** Told of every SQL statement (transaction control not counted) that this operation caused. */
  readonly statements: StatementCounter
  /** Filled by mutations: the tokens of what was written, to be merged into the answer's position. */
  readonly written: string[]
  /** Filled where the client allows an answer without the parts of shards that do not answer; told in `extensions.partial`. */
  readonly missingShards: Set<string>
}

export interface StatementCounter {
  count(subgraph: string, shard: string): void
  /** `{subgraph: {shard: statements}}` */
  totals(): Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Adds what a subgraph in another process reported. */
  add(totals: Readonly<Record<string, Readonly<Record<string, number>>>>): void
}

export function createStatementCounter(): StatementCounter {
  const totals: Record<string, Record<string, number>> = {}
  const bump = (subgraph: string, shard: string, by: number): void => {
    const perShard = (totals[subgraph] ??= {})
    perShard[shard] = (perShard[shard] ?? 0) + by
  }
  return {
    count: (subgraph, shard) => bump(subgraph, shard, 1),
    totals: () => totals,
    add(other) {
      for (const [subgraph, perShard] of Object.entries(other)) {
        for (const [shard, statements] of Object.entries(perShard)) bump(subgraph, shard, statements)
      }
    },
  }
}
