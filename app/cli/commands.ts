import type { Command } from './command.ts'

/** Each is loaded when it is called: checking a bundle needs no database driver. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  import: async () => (await import('./import.ts')).importCommand,
  export: async () => (await import('./export.ts')).exportCommand,
  keys: async () => (await import('./keys.ts')).keysCommand,
  feed: async () => (await import('./feed.ts')).feedCommand,
  plan: async () => (await import('./plan.ts')).planCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  shards: async () => (await import('./shards.ts')).shardsCommand,
}

export const overview = `usage: ledgerway COMMAND … (ledgerway COMMAND --help says more)

  import    companies and events from NDJSON or CSV; again changes nothing
  export    a ledger as a bundle that anyone can verify
  verify    checks exported ledgers offline
  keys      API keys: made, listed, revoked
  feed      who follows the change feed, and how far they are behind
  plan      how a query is spread over the subgraphs
  shards    placement of companies: shards, moves, replicas (docs/scaling.md)
`
