/** One sentence for every statement of a migration that Citus would refuse on a distributed table, or that lets an append wait. */
export function citusViolations(name: string, sql: string): string[] {
  const text = sql.replaceAll(/--[^\n]*/g, '').toLowerCase()
  return forbidden.filter(({ pattern }) => pattern.test(text)).map(({ why }) => `${name}: ${why}`)
}

/** `docs/scaling.md` explains each. */
const forbidden: { pattern: RegExp; why: string }[] = [
  { pattern: /\breferences\s+\w+/, why: 'foreign keys tie companies or shards together' },
  { pattern: /\bforeign\s+key\b/, why: 'foreign keys tie companies or shards together' },
  { pattern: /\bcreate\s+(constraint\s+)?trigger\b/, why: 'triggers do not run on distributed tables' },
  { pattern: /\bexclude\s+using\b/, why: 'exclusion constraints cannot span shards' },
  { pattern: /\binherits\s*\(/, why: 'inheritance is not distributed' },
  { pattern: /\bcreate\s+(or\s+replace\s+)?rule\b/, why: 'rules are not distributed' },
  // Exports are meant to be lost: docs/decisions/0043-where-exports-lie.md.
  { pattern: /\bcreate\s+unlogged\s+table\b(?!\s+ledger_export)/, why: 'unlogged tables lose data at a failover' },
  { pattern: /\bcreate\s+extension\b/, why: 'an extension may be missing on a managed engine' },
  {
    pattern: /\b(small|big)?serial\b/,
    why: 'a sequence per shard gives the same number twice: use identity on shard-owned tables only',
  },
  { pattern: /\bwith\s+recursive\b/, why: 'recursive queries are not distributed' },
]
