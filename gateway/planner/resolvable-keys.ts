/**
 * Keys that a subgraph declares but does not resolve (`resolvable: false`). After a `@requires`, Apollo's planner goes
 * back to a subgraph by the first key it declares, resolvable or not. A type that has a key which its subgraph resolves
 * loses the others here; nothing else is planned by them, since going *to* a subgraph takes a resolvable key anyway.
 */
import { Kind, visit, type ConstDirectiveNode, type DocumentNode, type ObjectTypeDefinitionNode } from 'graphql'

export function dropUnresolvableKeys(supergraph: DocumentNode): DocumentNode {
  const drop = (definition: ObjectTypeDefinitionNode): ObjectTypeDefinitionNode => {
    const directives = definition.directives ?? []
    const resolvableIn = new Set(
      directives
        .filter((directive) => isKey(directive) && !isUnresolvable(directive))
        .map((directive) => graphOf(directive)),
    )
    const kept = directives.filter(
      (directive) => !isKey(directive) || !isUnresolvable(directive) || !resolvableIn.has(graphOf(directive)),
    )
    return kept.length === directives.length ? definition : { ...definition, directives: kept }
  }
  return visit(supergraph, { ObjectTypeDefinition: drop })
}

const argument = (directive: ConstDirectiveNode, name: string): ConstDirectiveNode['arguments'] =>
  directive.arguments?.filter((candidate) => candidate.name.value === name)

function isKey(directive: ConstDirectiveNode): boolean {
  return directive.name.value === 'join__type' && argument(directive, 'key')?.length === 1
}

function isUnresolvable(directive: ConstDirectiveNode): boolean {
  const [resolvable] = argument(directive, 'resolvable') ?? []
  return resolvable?.value.kind === Kind.BOOLEAN && !resolvable.value.value
}

function graphOf(directive: ConstDirectiveNode): string | undefined {
  const [graph] = argument(directive, 'graph') ?? []
  return graph?.value.kind === Kind.ENUM ? graph.value.value : undefined
}
