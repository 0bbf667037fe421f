/**
 * `@requires` under conditions. Asked for `name rating @skip(if: $brief)` of one subgraph, where `rating` requires
 * something, Apollo's planner makes one fetch of both, for entities with what the rating requires. That is fetched under
 * the same condition: where it does not hold, no entity has it, nothing is asked, and the name is lost with the rating.
 * Here such a fetch becomes two: what requires something under a condition is asked by itself.
 */
import type { FetchNode, QueryPlan, QueryPlanSelectionNode } from '@apollo/query-planner'
import {
  Kind,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
  type DocumentNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'
import { directivesNamed, subgraphNames, textArgument } from './joins.ts'
import { mapFetches } from './map-fetches.ts'

/** Turns a plan into one in which nothing depends on another's condition. */
export function separateConditionalRequirements(supergraph: DocumentNode): (plan: QueryPlan) => QueryPlan {
  const facts = readRequirements(supergraph)
  if (facts.requirements.size === 0) return (plan) => plan
  return (plan) => mapFetches(plan, (fetch) => separated(fetch, facts))
}

interface Facts {
  /** `subgraph Type.field` -> the names of what it requires. */
  readonly requirements: ReadonlyMap<string, ReadonlySet<string>>
  /** What entities are known by: never left out. */
  readonly keyNames: ReadonlySet<string>
}

function readRequirements(supergraph: DocumentNode): Facts {
  const names = subgraphNames(supergraph)
  const requirements = new Map<string, Set<string>>()
  const keyNames = new Set<string>()
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) continue
    for (const join of directivesNamed(definition.directives, 'join__type')) {
      for (const name of topNames(textArgument(join, 'key') ?? '__typename')) keyNames.add(name)
    }
    for (const field of definition.fields ?? []) {
      for (const join of directivesNamed(field.directives, 'join__field')) {
        const requires = textArgument(join, 'requires')
        const subgraph = names.get(textArgument(join, 'graph') ?? '')
        if (requires === undefined || subgraph === undefined) continue
        const key = `${subgraph} ${definition.name.value}.${field.name.value}`
        requirements.set(key, new Set(topNames(requires)))
      }
    }
  }
  return { requirements, keyNames }
}

function separated(fetch: FetchNode, { requirements, keyNames }: Facts): FetchNode[] {
  if (fetch.requires === undefined || !/@(skip|include)\b/.test(fetch.operation)) return [fetch]
  const document = parse(fetch.operation, { noLocation: true })
  /** Conditions, as text -> what is required under them. */
  const parts = new Map<string, Set<string>>()
  const needsOf = (type: string, field: string): ReadonlySet<string> | undefined =>
    requirements.get(`${fetch.serviceName} ${type}.${field}`)
  forEachEntityField(document, (type, field, conditions) => {
    const needed = needsOf(type, field)
    if (needed === undefined || conditions === '') return
    const part = parts.get(conditions) ?? new Set()
    parts.set(conditions, part)
    for (const name of needed) part.add(name)
  })
  if (parts.size === 0) return [fetch]

  const isApart = (type: string, field: string, conditions: string): boolean =>
    conditions !== '' && needsOf(type, field) !== undefined
  const unconditioned = new Set<string>()
  forEachEntityField(document, (type, field, conditions) => {
    if (!isApart(type, field, conditions)) for (const name of needsOf(type, field) ?? []) unconditioned.add(name)
  })
  const all = new Set([...parts.values()].flatMap((names) => [...names])).difference(keyNames)
  const made = [
    withFields(fetch, document, (...field) => !isApart(...field), all.difference(unconditioned)),
    ...Array.from(parts, ([under, names]) =>
      withFields(
        fetch,
        document,
        (type, field, conditions) => conditions === under && isApart(type, field, conditions),
        all.union(unconditioned).difference(names).difference(keyNames),
      ),
    ),
  ]
  return made.flatMap((each) => each ?? [])
}

type KeepField = (type: string, field: string, conditions: string) => boolean

/** The fetch for some of its fields, for entities of which `left` is not told; `undefined` where it would ask nothing. */
function withFields(
  fetch: FetchNode,
  document: DocumentNode,
  keep: KeepField,
  left: ReadonlySet<string>,
): FetchNode | undefined {
  const kept = keepEntityFields(document, keep)
  if (kept === undefined) return undefined
  const used = new Set<string>()
  visit(kept, { VariableDefinition: () => false, Variable: ({ name }) => void used.add(name.value) })
  const operation = visit(kept, {
    VariableDefinition: ({ variable }) => (used.has(variable.name.value) ? undefined : null),
  })
  return {
    ...fetch,
    operation: stripIgnoredCharacters(print(operation)),
    ...(fetch.variableUsages && { variableUsages: fetch.variableUsages.filter((name) => used.has(name)) }),
    requires: (fetch.requires ?? []).map((selection) => withoutNames(selection, left)),
  }
}

/** What is required stands below the type condition of an entity. */
function withoutNames(selection: QueryPlanSelectionNode, left: ReadonlySet<string>): QueryPlanSelectionNode {
  if (selection.kind !== 'InlineFragment') return selection
  return {
    ...selection,
    selections: selection.selections.filter((each) => each.kind !== 'Field' || !left.has(each.name)),
  }
}

/** The fields of the entities, each with its type and the conditions that it is under (as text; `''` without any). */
function forEachEntityField(
  document: DocumentNode,
  each: (type: string, field: string, conditions: string) => void,
): void {
  keepEntityFields(document, (...field) => {
    each(...field)
    return true
  })
}

/** `undefined` where nothing is left. */
function keepEntityFields(document: DocumentNode, keep: KeepField): DocumentNode | undefined {
  let isEmpty = true
  function inside(set: SelectionSetNode, type: string, above: readonly string[]): SelectionSetNode {
    const selections = set.selections.flatMap((selection): SelectionNode[] => {
      const conditions = [...above, ...conditionsOf(selection)]
      if (selection.kind === Kind.FIELD) {
        const kept = keep(type, selection.name.value, conditions.toSorted().join(' '))
        if (kept) isEmpty = false
        return kept ? [selection] : []
      }
      if (selection.kind === Kind.FRAGMENT_SPREAD) return [selection]
      const within = selection.typeCondition?.name.value ?? type
      const selectionSet = inside(selection.selectionSet, within, conditions)
      return selectionSet.selections.length === 0 ? [] : [{ ...selection, selectionSet }]
    })
    return { ...set, selections }
  }
  const kept = visit(document, {
    Field(field) {
      if (field.name.value !== '_entities' || field.selectionSet === undefined) return undefined
      return { ...field, selectionSet: inside(field.selectionSet, '', []) }
    },
  })
  return isEmpty ? undefined : kept
}

function conditionsOf({ directives = [] }: SelectionNode): string[] {
  return directives.filter(({ name }) => name.value === 'skip' || name.value === 'include').map(print)
}

function topNames(fields: string): string[] {
  const [operation] = parse(`{ ${fields} }`, { noLocation: true }).definitions
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('A selection was parsed.')
  return operation.selectionSet.selections.flatMap((selection) =>
    selection.kind === Kind.FIELD ? [selection.name.value] : [],
  )
}
