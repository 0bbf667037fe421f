/** One fetch of a plan: what is there already tells what to ask for, the answer is merged below it. */
import type { GraphQLError } from 'graphql'
import type { RequestContext } from '../../core/request.ts'
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
  await fetchGroup(fetch, entitiesOf(fetch, representations, state), variablesOf(fetch, state), state)
}

/** Where nobody has been yet equal objects are found and made one; where somebody has, they are known. */
function entitiesOf(fetch: CompiledFetch, representations: Representations, state: FetchState): EntityGroup {
  let group: EntityGroup | undefined
  const objects = state.places.at(fetch, () => {
    const first = (group = new EntityGroup(representations))
    const found = new Set<JsonObject>()
    forEachPlace(state.data, fetch.path, {
      add(entity, holder, key) {
        if (found.has(entity)) return
        const equal = first.add(entity, fetch.unites)
        if (equal === undefined) found.add(entity)
        else (holder as Record<string | number, unknown>)[key] = equal
      },
    })
    return [...found]
  })
  if (group !== undefined) return group
  const known = new EntityGroup(representations)
  for (const entity of objects) known.add(entity, false)
  return known
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
  for (const [index, entity] of entities.entries()) mergeInto(entity, index === 0 ? answer.data : copyJson(answer.data))
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
  state.places.merged(fetch)
  for (let index = 0; index < first.length; index++) mergeEntity(fetch, first[index], received[index], state)
  const { others, otherIndices } = group
  for (let index = 0; index < others.length; index++) {
    mergeEntity(fetch, others[index], received[otherIndices[index] ?? -1], state)
  }
}

function mergeEntity(fetch: CompiledFetch, entity: JsonObject | undefined, received: unknown, state: FetchState): void {
  if (entity === undefined || !isObject(received)) return
  if (fetch.outputRewrites.length > 0) {
    received.__typename ??= entity.__typename
    applyRewrites(state.schema, fetch.outputRewrites, received)
  }
  mergeInto(entity, received)
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
