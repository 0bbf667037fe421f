/** Reading the `join__` directives that say in a supergraph which subgraph has what. */
import { Kind, type ConstDirectiveNode, type ConstValueNode, type DocumentNode } from 'graphql'

export function directivesNamed(
  directives: readonly ConstDirectiveNode[] | undefined,
  name: string,
): ConstDirectiveNode[] {
  return (directives ?? []).filter((directive) => directive.name.value === name)
}

export function argumentOf(directive: ConstDirectiveNode | undefined, name: string): ConstValueNode | undefined {
  return directive?.arguments?.find((argument) => argument.name.value === name)?.value
}

/** The value of a string or an enum. */
export function textArgument(directive: ConstDirectiveNode | undefined, name: string): string | undefined {
  const value = argumentOf(directive, name)
  return value?.kind === Kind.STRING || value?.kind === Kind.ENUM ? value.value : undefined
}

/** `undefined` where it is not given. */
export function booleanArgument(directive: ConstDirectiveNode, name: string): boolean | undefined {
  const value = argumentOf(directive, name)
  return value?.kind === Kind.BOOLEAN ? value.value : undefined
}

/** Graph (a value of `join__Graph`) -> the subgraph's name. */
export function subgraphNames(supergraph: DocumentNode): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.ENUM_TYPE_DEFINITION || definition.name.value !== 'join__Graph') continue
    for (const value of definition.values ?? []) {
      const name = textArgument(directivesNamed(value.directives, 'join__graph')[0], 'name')
      if (name !== undefined) names.set(value.name.value, name)
    }
  }
  return names
}
