import { AppError, isAppError } from '../core/errors.ts'
import { type CompanyId } from '../core/ids.ts'
import { uuidv5 } from '../core/uuid.ts'
import { originOf } from '../ledger/entry.ts'
import type { Ledger, NewRecord } from '../ledger/ledger.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import type { ShardTx, Store } from '../store/store.ts'
import { companyCreated } from './companies.ts'
import type { CompanyProfile } from './company.ts'
import { forEachAtOnce } from './at-once.ts'
import { type RelationshipId, type RelationshipParts, relationshipId } from './relationship.ts'
import { insertCompanies } from './write-companies.ts'
import { addFirstActions } from './relationship-edges.ts'
import { actionRecord, receivedRecord } from './relationship-records.ts'
import { checkedRating } from './relationships.ts'
import type { PlacedAction } from './relationship-rules.ts'

/**
 * Imports a network of ratings (`rater,ratee,rating,at` with a header, `at` in Unix seconds): each rater is a buyer, each
 * ratee a seller, each rating an agreed relationship with an edge and a ledger record on both sides.
 *
 * Lines go by in windows, so memory is bounded by the window. In a window every company's part is one transaction: first
 * the buyers', whose records' places and leaves the sellers' records then name. Ids and keys are derived from the lines:
 * importing again, or after a crash, adds what is missing and nothing else.
 */
export interface NetworkImport {
  readonly lines: number
  readonly companiesCreated: number
  /** Relationships that were not there before. */
  readonly created: number
  readonly bad: number
}

export interface NetworkImportOptions {
  /** Called after every window: how far it is safe to `skip` next time. */
  readonly onProgress?: (linesDone: number) => void
  /** Called after every transaction, with about how many lines are written, for a progress bar. */
  readonly onStep?: (lines: number) => void
  readonly onBadLine?: (line: number, message: string) => void
  /** Data lines to leave out, because an earlier run got that far. */
  readonly skip?: number
  readonly windowLines?: number
  /** Heeded between transactions. */
  readonly signal?: AbortSignal
}

interface Trade {
  readonly rater: string
  readonly ratee: string
  readonly id: RelationshipId
  readonly parts: RelationshipParts
  readonly placed: PlacedAction
}

const namespace = '6f0fd5c4-2b8b-5c0c-9c55-1d6c8f2a7e11'
const traderScheme = 'otc-trader'
const tradeKind = 'trade'
const importActor = 'import'
const header = 'rater,ratee,rating,at'
/** Transactions at once: enough to keep every shard busy. */
const maxAtOnce = 16
/** Relationships of one transaction. */
const maxPerChange = 500

export const traderId = (number: string): CompanyId => uuidv5(namespace, `${traderScheme}:${number}`) as CompanyId

export async function importNetwork(
  deps: { store: Store; ledger: Ledger },
  lines: AsyncIterable<string>,
  options: NetworkImportOptions = {},
): Promise<NetworkImport> {
  const { skip = 0, windowLines = 50_000, signal } = options
  const total = { lines: 0, companiesCreated: 0, created: 0, bad: 0 }
  let window: Trade[] = []
  let inWindow = 0

  async function flush(): Promise<void> {
    const { companiesCreated, created } = await writeTrades(deps, await unfinished(deps.store, window), (share) => {
      options.onStep?.(total.lines - inWindow + Math.floor(share * inWindow))
      signal?.throwIfAborted()
    })
    total.companiesCreated += companiesCreated
    total.created += created
    window = []
    inWindow = 0
    options.onProgress?.(total.lines)
  }

  for await (const line of lines) {
    if (line.trim() === '' || line.trim() === header) continue
    total.lines += 1
    if (total.lines <= skip) continue
    signal?.throwIfAborted()
    try {
      window.push(parseTrade(line))
    } catch (error) {
      if (!isAppError(error)) throw error
      total.bad += 1
      options.onBadLine?.(total.lines, error.message)
    }
    inWindow += 1
    if (inWindow >= windowLines) await flush()
  }
  if (inWindow > 0) await flush()
  return total
}

/** @throws AppError BAD_USER_INPUT */
function parseTrade(text: string): Trade {
  const [, rater, ratee, rating, at] = /^(\d{1,9}),(\d{1,9}),(-?\d{1,2}),(\d{1,11})(?:\.\d+)?\s*$/.exec(text) ?? []
  if (rater === undefined || ratee === undefined) {
    throw new AppError('BAD_USER_INPUT', `The line is not "${header}", all whole numbers.`)
  }
  const parts = { buyer: traderId(rater), seller: traderId(ratee), kind: tradeKind }
  const placed: PlacedAction = {
    action: 'establish',
    actor: parts.buyer,
    // The first of its relationship: a relationship that is there already keeps its own story.
    clock: 1,
    at: new Date(Number(at) * 1000).toISOString(),
    terms: null,
    rating: checkedRating(Number(rating)),
  }
  return { rater, ratee, parts, id: relationshipId(parts), placed }
}

/** Those of the trades that are not on both sides yet: an edge's action and its record come in one transaction. */
async function unfinished(store: Store, trades: readonly Trade[]): Promise<Trade[]> {
  const sides = trades.flatMap(({ id, parts }) => [parts.buyer, parts.seller].map((companyId) => ({ companyId, id })))
  const wanted = Map.groupBy(sides, ({ companyId }) => companyId)
  const results = await store.read([...wanted.keys()], async (sql, companyIds) => {
    const here = companyIds.flatMap((companyId) => wanted.get(companyId) ?? [])
    return await sql<{ company_id: CompanyId; relationship_id: RelationshipId }[]>`
      select a.company_id, a.relationship_id
      from unnest(
        ${here.map(({ companyId }) => companyId as string)}::text[], ${here.map(({ id }) => id as string)}::text[]
      ) as k(company_id, relationship_id)
      join relationship_actions a on a.company_id = k.company_id and a.relationship_id = k.relationship_id
        and a.clock = 1 and a.action = 'establish'`
  })
  const there = new Set<string>()
  for (const result of results) {
    if (!result.ok) throw result.error
    for (const { company_id, relationship_id } of result.value) there.add(`${company_id} ${relationship_id}`)
  }
  return trades.filter(({ id, parts }) => !there.has(`${parts.buyer} ${id}`) || !there.has(`${parts.seller} ${id}`))
}

/** The company that a trader is, with the record that its ledger begins with; none where it is there already. */
async function ensureTrader(tx: ShardTx, id: CompanyId, number: string): Promise<NewRecord[]> {
  const profile: CompanyProfile = {
    name: `OTC trader ${number}`,
    identifiers: [{ scheme: traderScheme, value: number }],
    sector: null,
    subIndustry: null,
    seat: null,
    founded: null,
  }
  const made = await insertCompanies(tx, [{ id, profile, at: new Date().toISOString() }])
  return made.map(() => companyCreated(profile, importActor))
}

async function writeTrades(
  { store, ledger }: { store: Store; ledger: Ledger },
  trades: readonly Trade[],
  onStep: (share: number) => void,
): Promise<{ companiesCreated: number; created: number }> {
  const total = { companiesCreated: 0, created: 0 }
  const buyers = chunksBy(trades, ({ parts }) => parts.buyer)
  const sellers = chunksBy(trades, ({ parts }) => parts.seller)
  let done = 0
  const step = (): void => onStep(++done / (buyers.length + sellers.length))
  const records = new Map<RelationshipId, LedgerRecord>()
  await forEachAtOnce(buyers, maxAtOnce, async ([buyer, own]) => {
    const { value, records: receipts } = await ledger.change(buyer, async (tx) => {
      const begun = await ensureTrader(tx, buyer, own[0]?.rater ?? '')
      const { same } = await addFirstActions(tx, buyer, own)
      const told = own.filter(({ id }) => same.has(id))
      // With a key each: what was appended by an earlier run is answered with the first receipt.
      const established = told.map(({ id, placed }) => ({
        ...actionRecord(id, placed, importActor),
        key: `import:${id}`,
      }))
      return { value: { begun: begun.length, told }, records: [...begun, ...established] }
    })
    total.companiesCreated += value.begun
    for (const [i, { id }] of value.told.entries()) {
      const receipt = receipts[value.begun + i]
      if (receipt === undefined) continue
      records.set(id, receipt)
      if (!receipt.duplicate) total.created += 1
    }
    step()
  })
  await forEachAtOnce(sellers, maxAtOnce, async ([seller, theirs]) => {
    const told = theirs.filter(({ id }) => records.has(id))
    const { value: begun } = await ledger.change(seller, async (tx) => {
      const begun = await ensureTrader(tx, seller, theirs[0]?.ratee ?? '')
      const { added } = await addFirstActions(tx, seller, told)
      const received = told.flatMap(({ id, placed, parts }) => {
        const receipt = records.get(id)
        if (receipt === undefined || !added.has(id)) return []
        const { position, leaf } = receipt
        const origin = originOf(store.deployment, parts.buyer)
        return [receivedRecord(id, placed, { origin, position, leaf: leaf.toString('base64') })]
      })
      return { value: begun.length, records: [...begun, ...received] }
    })
    total.companiesCreated += begun
    step()
  })
  return total
}

/** One side's trades, at most so many together, in the order of the lines and each relationship once. */
function chunksBy(trades: readonly Trade[], sideOf: (trade: Trade) => CompanyId): [CompanyId, Trade[]][] {
  const once = new Map<RelationshipId, Trade>()
  for (const trade of trades) if (!once.has(trade.id)) once.set(trade.id, trade)
  return [...Map.groupBy(once.values(), sideOf)].flatMap(([companyId, own]) =>
    Array.from({ length: Math.ceil(own.length / maxPerChange) }, (_, i): [CompanyId, Trade[]] => [
      companyId,
      own.slice(i * maxPerChange, (i + 1) * maxPerChange),
    ]),
  )
}
