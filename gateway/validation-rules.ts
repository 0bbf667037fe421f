import {
  type ASTVisitor,
  type DirectiveNode,
  getEnterLeaveForKind,
  getNamedType,
  GraphQLError,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  SingleFieldSubscriptionsRule,
  specifiedRules,
  type ValidationContext,
  type ValidationRule,
} from 'graphql'

/**
 * GraphQL's own rules. The one that counts a subscription's fields evaluates `@skip` and `@include` before any variable has
 * a value, and throws where they depend on one. The specification (September 2025, "Single Root Field") allows neither
 * directive there, since a subscription without its field would be none.
 */
const ownOfSpecification: readonly ValidationRule[] = specifiedRules.map((rule) =>
  rule === SingleFieldSubscriptionsRule ? oneFieldWhateverTheVariables : rule,
)

export const validationRules: readonly ValidationRule[] = [...ownOfSpecification, noEnumValuesInJson]

/**
 * JSON has no enum values, and the planner writes them as strings: `{a: FOO}` would be taken for `{a: "FOO"}`. Other scalars
 * may have them (`none`), and their subgraphs judge.
 */
export function noEnumValuesInJson(context: ValidationContext): ASTVisitor {
  /** Counts the objects and lists around the place that are JSON: inside of them nothing has a type. */
  let depth = 0
  const isJson = (): boolean => depth > 0 || getNamedType(context.getInputType())?.name === 'JSON'
  const around = {
    enter() {
      if (isJson()) depth += 1
    },
    leave() {
      if (depth > 0) depth -= 1
    },
  }
  return {
    ObjectValue: around,
    ListValue: around,
    EnumValue(node) {
      if (!isJson()) return
      const message = `JSON has no enum values: write "${node.value}" as a string.`
      context.reportError(new GraphQLError(message, { nodes: node }))
    },
  }
}

function oneFieldWhateverTheVariables(context: ValidationContext): ASTVisitor {
  const counted = SingleFieldSubscriptionsRule(context)
  const count = getEnterLeaveForKind(counted, Kind.OPERATION_DEFINITION).enter
  return {
    OperationDefinition(node, ...place) {
      if (node.operation !== OperationTypeNode.SUBSCRIPTION) return undefined
      const depending = directivesOnVariables(context, node.selectionSet, new Set())
      for (const directive of depending) {
        const message = `The top level field of a subscription cannot depend on a variable by "@${directive.name.value}".`
        context.reportError(new GraphQLError(message, { nodes: directive }))
      }
      return depending.length > 0 ? undefined : count?.call(counted, node, ...place)
    },
  }
}

function directivesOnVariables(
  context: ValidationContext,
  { selections }: SelectionSetNode,
  visited: Set<string>,
): DirectiveNode[] {
  return selections.flatMap((selection) => {
    const own = (selection.directives ?? []).filter(
      ({ name, arguments: given = [] }) =>
        (name.value === 'skip' || name.value === 'include') && given.some(({ value }) => value.kind === Kind.VARIABLE),
    )
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      return [...own, ...directivesOnVariables(context, selection.selectionSet, visited)]
    }
    if (selection.kind !== Kind.FRAGMENT_SPREAD || visited.has(selection.name.value)) return own
    visited.add(selection.name.value)
    const fragment = context.getFragment(selection.name.value)
    return fragment == null ? own : [...own, ...directivesOnVariables(context, fragment.selectionSet, visited)]
  })
}
