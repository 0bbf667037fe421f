/** One fetch of a plan: what is there already tells what to ask for, the answer is merged below it. */
import type { GraphQLError } from 'graphql'
import type { RequestContext } from '../../core/request.ts'
import { createTurns } from '../../core/turns.ts'
import type { Dispatch, SubgraphAnswer } from './dispatch.ts'
import { placesAt, subgraphError, type Path } from './errors.ts'
import { isObject, own, type JsonObject } from './json.ts'
import { copyJson, mergeInto } from './merge.ts'
import { EntityGroup } from './entity-group.ts'
import { findPlacesWithParents, forEachPlace, type FoundPlaces } from './places.ts'
import type { CompiledFetch } from './plan.ts'
import type { Representations } from './representations.ts'
import { applyRewrites } from './rewrites.ts'
import type { GraphQLSchema } from 'graphql'

/** What the fetches of one execution share. */
export interface FetchState {
  readonly schema: GraphQLSchema
  /** Interfaces that are objects to some subgraph; absent where there are none. */
  readonly interfaceObjects: ReadonlySet<string> | undefined
  readonly variables: Readonly<Record<string, unknown>>
  readonly context: RequestContext
  readonly dispatch: Dispatch
  readonly data: JsonObject
  readonly places: FoundPlaces
  readonly errors: GraphQLError[]
}

export async function runFetch(fetch: CompiledFetch, state: FetchState): Promise<void> {
  const { representations } = fetch
  if (representations === undefined) return runRootFetch(fetch, state)
  if (fetch.contextArguments !== undefined) return runContextFetch(fetch, representations, state)
  const { group, rest } = entitiesOf(fetch, representations, state)
  if (rest.length > 0) await inTurns(rest.length, (index) => void group.add(rest[index] ?? {}, false), state)
  await fetchGroup(fetch, group, variablesOf(fetch, state), state)
}

/** Entities that are looked at, or merged into, in one go; what is more is done with everybody's turn in between. */
const oneGo = 5_000

async function inTurns(count: number, work: (index: number) => void, { context }: FetchState): Promise<void> {
  const turns = createTurns(context.signal)
  for (let index = 0; index < count; index++) {
    work(index)
    if (index % 256 === 0 && turns.isDue()) await turns.next()
  }
}

/**
 * Where nobody has been yet equal objects are found and made one; where somebody has, they are known. What is too many
 * for one go is left over, and is not made one: in between, others may have come to look at it.
 */
function entitiesOf(
  fetch: CompiledFetch,
  representations: Representations,
  state: FetchState,
): { group: EntityGroup; rest: readonly JsonObject[] } {
  const group = new EntityGroup(representations)
  let isKnown = true
  const objects = state.places.at(fetch, () => {
    isKnown = false
    const found = new Set<JsonObject>()
    forEachPlace(state.data, fetch.path, {
      add(entity, holder, key) {
        if (found.has(entity)) return
        const equal = found.size < oneGo ? group.add(entity, fetch.unites) : undefined
        if (equal === undefined) found.add(entity)
        else (holder as Record<string | number, unknown>)[key] = equal
      },
    })
    return [...found]
  })
  const isMore = objects.length > oneGo
  if (isKnown) for (const entity of isMore ? objects.slice(0, oneGo) : objects) group.add(entity, false)
  return { group, rest: isMore ? objects.slice(oneGo) : [] }
}

async function runRootFetch(fetch: CompiledFetch, state: FetchState): Promise<void> {
  const entities: JsonObject[] = []
  forEachPlace(state.data, fetch.path, { add: (entity) => void entities.push(entity) })
  if (entities.length === 0) return
  const answer = await state.dispatch({
    fetch,
    variables: variablesOf(fetch, state),
    texts: undefined,
    objects: undefined,
  })
  for (const error of answer.errors) {
    const path = error.path && [...fetch.path, ...error.path]
    state.errors.push(subgraphError(error, fetch.subgraph, path))
  }
  if (!isObject(answer.data)) return
  applyRewrites(state.schema, fetch.outputRewrites, answer.data)
  state.places.merged(fetch)
  for (const [index, entity] of entities.entries())
    mergeInto(entity, index === 0 ? answer.data : copyJson(answer.data), state.interfaceObjects)
}

/** Entities whose context arguments differ are asked for apart: the arguments are variables of the operation. */
async function runContextFetch(
  fetch: CompiledFetch,
  representations: Representations,
  state: FetchState,
): Promise<void> {
  const groups = new Map<string, { variables: JsonObject; group: EntityGroup }>()
  for (const { entity, parents } of findPlacesWithParents(state.data, fetch.path)) {
    const extra = fetch.contextArguments?.variables(parents, entity) ?? {}
    const key = JSON.stringify(extra)
    const known = groups.get(key)
    const { group } = known ?? { group: new EntityGroup(representations) }
    group.add(entity, false)
    if (known === undefined) groups.set(key, { variables: { ...variablesOf(fetch, state), ...extra }, group })
  }
  await Promise.all([...groups.values()].map(({ variables, group }) => fetchGroup(fetch, group, variables, state)))
}

async function fetchGroup(
  fetch: CompiledFetch,
  group: EntityGroup,
  variables: JsonObject,
  state: FetchState,
): Promise<void> {
  const { texts, first, representations } = group
  if (texts.length === 0) return
  const answer = await state.dispatch({
    fetch,
    variables,
    texts,
    objects: () => first.map((entity) => representations.object(entity) ?? {}),
  })
  pushErrors(fetch, group, answer, state)
  if (!isObject(answer.data)) return
  const received = own(answer.data, '_entities')
  if (!Array.isArray(received)) throw new Error('Expected "data._entities" in response to be an array')
  if (received.length !== texts.length) {
    throw new Error(`Expected "data._entities" to contain ${texts.length} elements`)
  }
  const { others, otherIndices } = group
  const merge = (index: number): void => {
    if (index < first.length) return mergeEntity(fetch, first[index], received[index], state)
    const other = index - first.length
    mergeEntity(fetch, others[other], received[otherIndices[other] ?? -1], state)
  }
  const count = first.length + others.length
  if (count <= oneGo) for (let index = 0; index < count; index++) merge(index)
  else await inTurns(count, merge, state)
  state.places.merged(fetch)
}

function mergeEntity(fetch: CompiledFetch, entity: JsonObject | undefined, received: unknown, state: FetchState): void {
  if (entity === undefined || !isObject(received)) return
  if (fetch.outputRewrites.length > 0) {
    received.__typename ??= entity.__typename
    applyRewrites(state.schema, fetch.outputRewrites, received)
  }
  mergeInto(entity, received, state.interfaceObjects)
}

/** An error of one entity is an error at every place where that entity stands. */
function pushErrors(fetch: CompiledFetch, group: EntityGroup, answer: SubgraphAnswer, state: FetchState): void {
  if (answer.errors.length === 0) return
  const places = new Map<number, Path[]>()
  for (const { path, value } of placesAt(fetch.path, state.data)) {
    const index = isObject(value) ? group.indexOf(value) : undefined
    if (index === undefined) continue
    const paths = places.get(index)
    if (paths === undefined) places.set(index, [path])
    else paths.push(path)
  }
  for (const error of answer.errors) {
    const index = error.path?.[1]
    const rest = error.path?.slice(2) ?? []
    const found = typeof index === 'number' ? places.get(index) : undefined
    if (found === undefined) {
      state.errors.push(subgraphError(error, fetch.subgraph, commonPath(fetch)))
      continue
    }
    for (const path of found) state.errors.push(subgraphError(error, fetch.subgraph, [...path, ...rest]))
  }
}

/** The nearest place above everything that the fetch brings: where an error of the whole fetch belongs. */
export function commonPath({ path }: CompiledFetch): Path | undefined {
  const list = path.indexOf('@')
  const common = list < 0 ? path : path.slice(0, list)
  return common.length === 0 ? undefined : common
}

/** The client's variables as they came: the subgraph coerces them, and its operation holds the defaults. */
function variablesOf(fetch: CompiledFetch, state: FetchState): JsonObject {
  const variables: JsonObject = {}
  for (const name of fetch.variableUsages) {
    const value = own(state.variables, name)
    if (value !== undefined) variables[name] = value
  }
  return variables
}
