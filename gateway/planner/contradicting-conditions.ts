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
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'

export function anchorEmptiedFields(document: DocumentNode): DocumentNode {
  const variables: string[] = []
  visit(document, { Directive: (directive) => void variables.push(...(variableOf(directive) ?? [])) })
  // Contradicting takes two.
  if (new Set(variables).size === variables.length) return document
  const fragments = new Map(
    document.definitions
      .filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((definition) => [definition.name.value, definition.selectionSet]),
  )
  const doubted = new Set(variables.filter((name, index) => variables.indexOf(name) !== index))

  /** Whether every field in it stands under a condition, and some under one that occurs more than once. */
  function isDoubtful(set: SelectionSetNode): boolean {
    let doubtful = false
    const walk = (selections: readonly SelectionNode[], underDoubt: boolean, conditional: boolean): boolean =>
      selections.every((selection) => {
        const names = (selection.directives ?? []).flatMap((directive) => variableOf(directive) ?? [])
        const doubt = underDoubt || names.some((name) => doubted.has(name))
        const isConditional = conditional || names.length > 0
        if (selection.kind === Kind.FIELD) {
          doubtful ||= doubt
          return isConditional
        }
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value)
        return walk(inner?.selections ?? [], doubt, isConditional)
      })
    return walk(set.selections, false, false) && doubtful
  }

  return visit(document, {
    Field: {
      leave: (field): FieldNode | undefined =>
        field.selectionSet === undefined || !isDoubtful(field.selectionSet)
          ? undefined
          : {
              ...field,
              selectionSet: { ...field.selectionSet, selections: [typename, ...field.selectionSet.selections] },
            },
    },
  })
}

const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } }

/** The variable of `@skip` or `@include`. */
function variableOf({ name, arguments: given = [] }: DirectiveNode): string[] | undefined {
  if (name.value !== 'skip' && name.value !== 'include') return undefined
  return given.flatMap(({ value }) => (value.kind === Kind.VARIABLE ? [value.name.value] : []))
}
