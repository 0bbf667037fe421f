import type { ExecutionResult, GraphQLError } from 'graphql'

/**
 * How our answers differ from those of `@apollo/gateway`, and why that is right:
 *
 * - `order of fields`: a field selected in several places stands where it was first (GraphQL, section 6.3.2); Apollo's
 *   gateway first merges the fragments of one type, and so moves fields. The values are the same.
 * - `their gateway failed`: two types of a union or interface may have fields of one name, one a list and one not, when
 *   one of them was added for a key or a requirement; Apollo's gateway then fails the whole request.
 * - `missing value is an error`: a null where the schema allows none is an error (GraphQL, section 6.4.4); Apollo's
 *   gateway tells of it in `extensions.valueCompletion` only.
 * - `path through entities`: Apollo's gateway numbers the entities at a path, not the representations it sent, so its
 *   path is wrong as soon as one entity was left out; and an error of a whole fetch gets a path with `@` or `_entities`.
 * - `asked once`: an entity that stands in several places is asked for once. Its error is told at each place, as Apollo
 *   tells it, unless the entity stands in two places of one list that were already made one.
 * - `emptied by conditions`: where conditions exclude every field that is selected in a field, `{}` is right
 *   (`contradicting-conditions.ts`); Apollo's gateway gives null.
 * - `lost by conditions`: Apollo's gateway answers as we do once the conditions are applied to the query beforehand; with
 *   them it loses fields beside one whose requirement is left out (`conditional-requirements.ts`).
 * - `subgraph not reached`: what the client is told is ours, not the words of the connection's error.
 */
export interface Difference {
  readonly explained: readonly string[]
  readonly unexplained: string | undefined
}

/**
 * @param about.unreliable whether a subgraph could sometimes not be reached
 * @param about.contradicts whether conditions of the query may exclude all fields of a selection
 * @param about.unconditional what their gateway answers to the query without conditions that means the same
 */
export async function explainDifference(
  ours: ExecutionResult,
  theirs: ExecutionResult,
  about: {
    unreliable: boolean
    contradicts: boolean
    unconditional: () => Promise<ExecutionResult> | undefined
  },
): Promise<Difference> {
  const first = compare(ours, theirs, about)
  if (first.unexplained === undefined) return first
  const applied = await about.unconditional()
  if (applied === undefined) return first
  const { explained, unexplained } = compare(ours, applied, about)
  return unexplained === undefined ? { explained: ['lost by conditions', ...explained], unexplained } : first
}

function compare(
  ours: ExecutionResult,
  theirs: ExecutionResult,
  { unreliable, contradicts }: { unreliable: boolean; contradicts: boolean },
): Difference {
  const explained: string[] = []
  const fail = (unexplained: string): Difference => ({ explained, unexplained })
  if (
    theirs.errors?.some(({ message }) => /is not a function|Unexpected array|Cannot read prop/.test(message)) === true
  ) {
    return { explained: ['their gateway failed'], unexplained: undefined }
  }
  if (JSON.stringify(ours.data) !== JSON.stringify(theirs.data)) {
    const [mine, other] = [sorted(ours.data), sorted(theirs.data)]
    const onlyOrder = JSON.stringify(mine) === JSON.stringify(other)
    const onlyEmptied = contradicts && JSON.stringify(nullIfEmpty(mine)) === JSON.stringify(nullIfEmpty(other))
    if (!onlyOrder && !onlyEmptied) return fail('the data differs')
    explained.push(onlyOrder ? 'order of fields' : 'emptied by conditions')
  }

  const completion = (theirs.extensions?.valueCompletion ?? []) as readonly { message: string }[]
  const missing = (ours.errors ?? []).filter(isMissing)
  if (missing.length > 0) {
    if (
      !same(
        messages(missing),
        messages(completion).filter((message) => message.startsWith('Cannot return null')),
      )
    ) {
      return fail('missing values are told differently')
    }
    explained.push('missing value is an error')
  }
  const mine = (ours.errors ?? []).filter((error) => !isMissing(error))
  const other = theirs.errors ?? []
  const myMessages = messages(mine).map((message) => (/could not be asked/.test(message) ? 'no connection' : message))
  const otherMessages = messages(other)
  if (!same(myMessages, otherMessages)) {
    if (!same([...new Set(myMessages)], [...new Set(otherMessages)])) return fail('other errors')
    explained.push('asked once')
  }
  if (unreliable && myMessages.includes('no connection')) explained.push('subgraph not reached')
  if (!same(paths(mine), paths(other))) explained.push('path through entities')
  for (const error of ours.errors ?? []) {
    if (!leadsToNull(ours.data, error.path)) return fail(`the path ${JSON.stringify(error.path)} leads to no null`)
  }
  return { explained, unexplained: undefined }
}

/** The same value with the keys of all objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}

/** Objects without fields, and lists of nothing else or nothing, as null. */
function nullIfEmpty(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(nullIfEmpty)
    return items.every((item) => item === null) ? null : items
  }
  const fields = Object.entries(value).map(([key, item]): [string, unknown] => [key, nullIfEmpty(item)])
  return fields.length === 0 ? null : Object.fromEntries(fields)
}

const isMissing = ({ message }: GraphQLError): boolean => message.startsWith('Cannot return null for non-nullable')
const messages = (errors: readonly { message: string }[]): string[] => errors.map(({ message }) => message).sort()
const paths = (errors: readonly { path?: unknown }[]): string[] =>
  errors.map(({ path }) => JSON.stringify(path) ?? '').sort()
const same = (a: readonly string[], b: readonly string[]): boolean =>
  JSON.stringify(a.toSorted()) === JSON.stringify(b.toSorted())

/** An error's path ends where the answer has a null, or beyond one; or it is of a whole fetch and ends above. */
function leadsToNull(data: unknown, path: GraphQLError['path']): boolean {
  if (path === undefined) return true
  let value = data
  for (const key of path) {
    if (value === null || value === undefined) return true
    if (typeof value !== 'object') return false
    if (!Array.isArray(value) && !Object.hasOwn(value, key)) return true
    value = (value as Record<string | number, unknown>)[key]
  }
  return value === null || value === undefined || typeof value === 'object'
}
