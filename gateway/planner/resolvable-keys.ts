/**
 * Keys that a subgraph declares but does not resolve (`resolvable: false`). After a `@requires`, Apollo's planner goes
 * back to a subgraph by the first key it declares, resolvable or not. A type that has a key which its subgraph resolves
 * loses the others here; nothing else is planned by them, since going *to* a subgraph takes a resolvable key anyway.
 */
import { visit, type ConstDirectiveNode, type DocumentNode, type ObjectTypeDefinitionNode } from 'graphql'
import { argumentOf, booleanArgument, textArgument } from './joins.ts'

export function dropUnresolvableKeys(supergraph: DocumentNode): DocumentNode {
  const drop = (definition: ObjectTypeDefinitionNode): ObjectTypeDefinitionNode => {
    const directives = definition.directives ?? []
    const resolvableIn = new Set(
      directives
        .filter((directive) => isKey(directive) && !isUnresolvable(directive))
        .map((directive) => textArgument(directive, 'graph')),
    )
    const kept = directives.filter(
      (directive) =>
        !isKey(directive) || !isUnresolvable(directive) || !resolvableIn.has(textArgument(directive, 'graph')),
    )
    return kept.length === directives.length ? definition : { ...definition, directives: kept }
  }
  return visit(supergraph, { ObjectTypeDefinition: drop })
}

function isKey(directive: ConstDirectiveNode): boolean {
  return directive.name.value === 'join__type' && argumentOf(directive, 'key') !== undefined
}

const isUnresolvable = (directive: ConstDirectiveNode): boolean => booleanArgument(directive, 'resolvable') === false
