import { type DocumentNode, Kind, visit } from 'graphql'

/** By convention of schemas: a stream's field takes the cursor that it goes on from. */
export const afterArgument = 'after'

const known = new WeakMap<DocumentNode, ReadonlySet<string>>()

/**
 * The variables of a subscription without those that say where it begins and nothing else: two subscribers that differ in
 * these alone are given the same once they have come to the same event.
 */
export function withoutStart(
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const starts = known.get(document) ?? startsOf(document)
  known.set(document, starts)
  if (starts.size === 0) return variables
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !starts.has(name)))
}

function startsOf(document: DocumentNode): ReadonlySet<string> {
  const starts = new Set<string>()
  const others = new Set<string>()
  const places = new Set<unknown>()
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue
    for (const field of definition.selectionSet.selections) {
      if (field.kind !== Kind.FIELD) continue
      for (const argument of field.arguments ?? []) {
        if (argument.name.value === afterArgument && argument.value.kind === Kind.VARIABLE) places.add(argument.value)
      }
    }
  }
  visit(document, {
    VariableDefinition: () => false,
    Variable(node) {
      const found = places.has(node) ? starts : others
      found.add(node.name.value)
    },
  })
  return starts.difference(others)
}
