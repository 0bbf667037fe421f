/**
 * Interface objects: a subgraph that knows an interface only as an object type (`@interfaceObject`) calls everything by
 * the interface's name. Where a client selects `__typename` beside such a subgraph's fields, Apollo's planner asks it
 * there too, and its answer (`Medium`) would take the place of the type found before (`Film`), after which fragments on
 * that type match nothing. An entity that such a subgraph is asked about has its type already: here it is not asked.
 */
import type { FetchNode, QueryPlan } from '@apollo/query-planner'
import {
  Kind,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
  type DocumentNode,
  type InlineFragmentNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'
import { booleanArgument, directivesNamed, subgraphNames, textArgument } from './joins.ts'
import { mapFetches } from './map-fetches.ts'

/** Subgraph -> the interfaces that are objects to it. */
type InterfaceObjects = ReadonlyMap<string, ReadonlySet<string>>

export function readInterfaceObjects(supergraph: DocumentNode): InterfaceObjects {
  const names = subgraphNames(supergraph)
  const objects = new Map<string, Set<string>>()
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) continue
    for (const join of directivesNamed(definition.directives, 'join__type')) {
      const subgraph = names.get(textArgument(join, 'graph') ?? '')
      if (subgraph === undefined || booleanArgument(join, 'isInterfaceObject') !== true) continue
      objects.set(subgraph, (objects.get(subgraph) ?? new Set()).add(definition.name.value))
    }
  }
  return objects
}

/** Turns a plan into one that keeps the types that entities have. */
export function keepEntityTypes(objects: InterfaceObjects): (plan: QueryPlan) => QueryPlan {
  if (objects.size === 0) return (plan) => plan
  return (plan) =>
    mapFetches(plan, (fetch) => {
      const types = objects.get(fetch.serviceName)
      return [types === undefined || fetch.requires === undefined ? fetch : withoutTypenames(fetch, types)]
    })
}

function withoutTypenames(fetch: FetchNode, types: ReadonlySet<string>): FetchNode {
  let changed = false
  const isOnObject = (selection: SelectionNode): selection is InlineFragmentNode =>
    selection.kind === Kind.INLINE_FRAGMENT && types.has(selection.typeCondition?.name.value ?? '')
  function strip(set: SelectionSetNode): SelectionSetNode {
    const selections = set.selections.flatMap((selection): SelectionNode[] => {
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const inner = strip(selection.selectionSet)
        return inner.selections.length === 0 ? [] : [{ ...selection, selectionSet: inner }]
      }
      if (selection.kind !== Kind.FIELD || selection.name.value !== '__typename') return [selection]
      changed = true
      return []
    })
    return { ...set, selections }
  }
  const operation = visit(parse(fetch.operation, { noLocation: true }), {
    Field(field) {
      if (field.name.value !== '_entities' || field.selectionSet === undefined) return undefined
      const selections = field.selectionSet.selections.map((selection) => {
        if (!isOnObject(selection)) return selection
        const stripped = strip(selection.selectionSet)
        // What was asked for nothing else is asked under a name that nothing reads.
        return { ...selection, selectionSet: stripped.selections.length === 0 ? unread : stripped }
      })
      return { ...field, selectionSet: { ...field.selectionSet, selections } }
    },
  })
  if (!changed) return fetch
  // What was stripped may have been all that a condition stood on.
  const used = new Set<string>()
  visit(operation, { VariableDefinition: () => false, Variable: ({ name }) => void used.add(name.value) })
  const declared = visit(operation, {
    VariableDefinition: ({ variable }) => (used.has(variable.name.value) ? undefined : null),
  })
  return {
    ...fetch,
    operation: stripIgnoredCharacters(print(declared)),
    ...(fetch.variableUsages && { variableUsages: fetch.variableUsages.filter((name) => used.has(name)) }),
  }
}

const unread: SelectionSetNode = {
  kind: Kind.SELECTION_SET,
  selections: [
    {
      kind: Kind.FIELD,
      alias: { kind: Kind.NAME, value: '__unread' },
      name: { kind: Kind.NAME, value: '__typename' },
    },
  ],
}
