import {
  type ASTNode,
  type DirectiveNode,
  type DocumentNode,
  getDirectiveValues,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  Kind,
  visit,
} from 'graphql'

/**
 * The same query for these very variables: what `@skip` and `@include` exclude is gone, and so are the directives, and
 * the fragments and variables that nothing uses any more. Undefined where a field is left without selections.
 */
export function applyConditions(
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>>,
): DocumentNode | undefined {
  let emptied = false
  const excluded = (node: { readonly directives?: readonly DirectiveNode[] }): boolean =>
    getDirectiveValues(GraphQLSkipDirective, node, variables)?.['if'] === true ||
    getDirectiveValues(GraphQLIncludeDirective, node, variables)?.['if'] === false
  const selection = (node: ASTNode & { readonly directives?: readonly DirectiveNode[] }): null | undefined =>
    excluded(node) ? null : undefined
  const applied = visit(document, {
    Field: selection,
    InlineFragment: selection,
    FragmentSpread: selection,
    SelectionSet: {
      leave(node) {
        if (node.selections.length === 0) emptied = true
      },
    },
  })
  const bare = visit(applied, { Directive: ({ name }) => (/^(?:skip|include)$/.test(name.value) ? null : undefined) })
  return emptied ? undefined : withoutUnused(bare)
}

function withoutUnused(document: DocumentNode): DocumentNode {
  const used = new Set<string>()
  visit(document, {
    FragmentSpread: ({ name }) => void used.add(name.value),
    VariableDefinition: () => false,
    Variable: ({ name }) => void used.add(`$${name.value}`),
  })
  const kept = visit(document, {
    FragmentDefinition: ({ name }) => (used.has(name.value) ? undefined : null),
    VariableDefinition: ({ variable }) => (used.has(`$${variable.name.value}`) ? undefined : null),
  })
  const count = (of: DocumentNode): number =>
    of.definitions.reduce(
      (sum, definition) =>
        sum + 1 + (definition.kind === Kind.OPERATION_DEFINITION ? (definition.variableDefinitions?.length ?? 0) : 0),
      0,
    )
  return count(kept) === count(document) ? kept : withoutUnused(kept)
}
