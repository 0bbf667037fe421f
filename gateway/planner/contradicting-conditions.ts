/**
 * Conditions that contradict each other: `things @skip(if: $a) { name @include(if: $a) }` asks for things without any
 * of their fields. Apollo's planner takes away what can never be included, and then the emptied field with it, so the
 * client gets null where `{}` is right. Here such a selection gets a `__typename` to stand on.
 */
import {
  Kind,
  visit,
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type SelectionSetNode,
} from 'graphql'

/** What variables must be for a place to be reached at all. */
type Conditions = ReadonlyMap<string, boolean>

export function anchorEmptiedFields(document: DocumentNode): DocumentNode {
  const skipped = new Set<string>()
  const included = new Set<string>()
  visit(document, {
    Directive({ name, arguments: [given] = [] }) {
      if (given?.value.kind !== Kind.VARIABLE) return
      if (name.value === 'skip') skipped.add(given.value.name.value)
      if (name.value === 'include') included.add(given.value.name.value)
    },
  })
  if (skipped.isDisjointFrom(included)) return document
  const fragments = new Map(
    document.definitions
      .filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((definition) => [definition.name.value, definition.selectionSet]),
  )
  const emptied = new Set<SelectionSetNode>()

  /** Whether nothing in the set can be included here. */
  function isEmpty(set: SelectionSetNode, reached: Conditions): boolean {
    let empty = true
    for (const selection of set.selections) {
      const conditions = withConditions(reached, selection.directives)
      if (conditions === undefined) continue
      if (selection.kind === Kind.FIELD) {
        empty = false
        if (selection.selectionSet !== undefined && isEmpty(selection.selectionSet, conditions))
          emptied.add(selection.selectionSet)
        continue
      }
      const inner =
        selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value)
      if (inner !== undefined && !isEmpty(inner, conditions)) empty = false
    }
    return empty
  }

  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) isEmpty(definition.selectionSet, new Map())
  }
  if (emptied.size === 0) return document
  return visit(document, {
    SelectionSet: {
      enter: (set) => (emptied.has(set) ? { ...set, selections: [typename, ...set.selections] } : undefined),
    },
  })
}

const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } }

/** `undefined` when they contradict what must hold already. */
function withConditions(reached: Conditions, directives: readonly DirectiveNode[] = []): Conditions | undefined {
  const conditions = new Map(reached)
  for (const { name, arguments: given = [] } of directives) {
    if (name.value !== 'skip' && name.value !== 'include') continue
    const value = given[0]?.value
    if (value?.kind !== Kind.VARIABLE) continue
    const wanted = name.value === 'include'
    if (conditions.get(value.name.value) === !wanted) return undefined
    conditions.set(value.name.value, wanted)
  }
  return conditions
}
