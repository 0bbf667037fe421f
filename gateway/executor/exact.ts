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

export function exactAnswer(
  schema: GraphQLSchema,
  operation: Operation,
  definition: OperationDefinitionNode,
  data: JsonObject,
  variables: Variables,
): Answer {
  try {
    const { data: shaped, errors } = computeResponse({
      operation,
      variables: { ...variables },
      input: data,
      introspectionHandling: (field) =>
        introspect(schema, definition, field.expandFragments().toSelectionNode(), [], variables),
    })
    return { data: shaped == null ? null : new AnswerData(shaped), ...(errors.length === 0 ? {} : { errors }) }
  } catch (error) {
    // A subgraph's answer that no schema allows, such as a single value for a list.
    if (error instanceof GraphQLError) return { errors: [error] }
    return { errors: [new GraphQLError('A subgraph answered with data that its schema does not allow.')] }
  }
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
