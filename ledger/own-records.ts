/**
 * What Ledgerway itself writes into ledgers. Readers act on these records (subscriptions, the other side of an agreement,
 * auditors), so nobody may append one that only looks like it, administrators no more than others.
 */
export const ownSource = 'ledgerway'

const ownPrefixes = ['ledger.', 'relationship.']
const ownKinds = new Set([
  'chain.verified',
  'company.created',
  'company.updated',
  'job.finished',
  'schema.registered',
  'snapshot.taken',
  'user.added',
  'user.removed',
  'user.updated',
  'webhook.created',
  'webhook.deleted',
  'webhook.disabled',
  'webhook.enabled',
  'webhook.rotated',
])

export function isOwnKind(kind: string): boolean {
  return ownKinds.has(kind) || ownPrefixes.some((prefix) => kind.startsWith(prefix))
}
