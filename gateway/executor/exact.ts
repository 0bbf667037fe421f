/**
 * The exact way from merged data to an answer, for data that is not as the schema says: Apollo's own `computeResponse`,
 * with nulls that bubble up and the errors that explain them. Slower, and rarely needed.
 */
import { computeResponse } from '@apollo/gateway/dist/resultShaping.js'
import type { Operation } from '@apollo/federation-internals'
import {
  executeSync,
  GraphQLError,
  Kind,
  visit,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql'
import { AnswerData, type Answer } from './answer.ts'
import type { JsonObject } from './json.ts'
import type { Variables } from './variables.ts'

/**
 * What is missing where something must be is an error. A value that the supergraph does not show (an inaccessible enum
 * value or type) is null without one, where null is allowed; `extensions.valueCompletion` tells of it, as Apollo's do.
 */
export function exactAnswer(
  schema: GraphQLSchema,
  operation: Operation,
  definition: OperationDefinitionNode,
  data: JsonObject,
  variables: Variables,
): Answer {
  try {
    const { data: shaped, errors: found } = computeResponse({
      operation,
      variables: { ...variables },
      input: data,
      introspectionHandling: (field) =>
        introspect(schema, definition, field.expandFragments().toSelectionNode(), [], variables),
    })
    const value: JsonObject | null = shaped ?? null
    const { hidden = [], missing = [] } = Object.groupBy(found, ({ path = [] }) =>
      isNullAt(value, path) ? 'hidden' : 'missing',
    )
    return {
      data: value === null ? null : new AnswerData(value),
      ...(missing.length === 0 ? {} : { errors: missing }),
      ...(hidden.length === 0 ? {} : { extensions: { valueCompletion: hidden } }),
    }
  } catch (error) {
    // A subgraph's answer that no schema allows, such as a single value for a list.
    if (error instanceof GraphQLError) return { errors: [error] }
    return { errors: [new GraphQLError('A subgraph answered with data that its schema does not allow.')] }
  }
}

/** Whether the answer has its null at this very place, and not further up. */
function isNullAt(data: unknown, path: readonly (string | number)[]): boolean {
  let value = data
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return false
    value = (value as Record<string | number, unknown>)[key]
  }
  return value === null
}

/** One introspection field of the root, answered from the schema. */
export function introspect(
  schema: GraphQLSchema,
  definition: OperationDefinitionNode,
  field: FieldNode,
  fragments: readonly FragmentDefinitionNode[],
  variables: Variables,
): unknown {
  const used = variablesIn(field)
  const { data, errors } = executeSync({
    schema,
    document: {
      kind: Kind.DOCUMENT,
      definitions: [
        {
          ...definition,
          directives: [],
          variableDefinitions: (definition.variableDefinitions ?? []).filter(({ variable }) =>
            used.has(variable.name.value),
          ),
          selectionSet: { kind: Kind.SELECTION_SET, selections: [field] },
        },
        ...fragments,
      ],
    },
    rootValue: {},
    variableValues: { ...variables },
  })
  const [error] = errors ?? []
  if (error !== undefined) throw error
  return data?.[field.alias?.value ?? field.name.value] ?? null
}

export function variablesIn(node: FieldNode | FragmentDefinitionNode): ReadonlySet<string> {
  const names = new Set<string>()
  visit(node, { Variable: ({ name }) => void names.add(name.value) })
  return names
}
