/** Reading the `join__` directives that say in a supergraph which subgraph has what. */
import { Kind, type ConstDirectiveNode, type ConstValueNode } from 'graphql'

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
