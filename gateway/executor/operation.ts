/**
 * One operation of clients against one supergraph, with everything about it worked out once: its plan, the compiled
 * fetches, the check of its variables and how its answer is written. Running it again costs only what its data costs.
 */
import { operationFromDocument } from '@apollo/federation-internals'
import type { QueryPlan } from '@apollo/query-planner'
import {
  getOperationAST,
  GraphQLError,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
} from 'graphql'
import type { PlannableSupergraph } from '../planner/supergraph.ts'
import { selectsOnlyPublic } from '../public-fields.ts'
import { separateClientNames, type ClientNames } from '../planner/client-names.ts'
import { AnswerData, SlicedData, type Answer } from './answer.ts'
import { restoreAnswer, restoreErrors } from './client-answer.ts'
import { compileBatchedOperations, type BatchedOperations } from './batched-operation.ts'
import { exactAnswer, introspect, variablesIn } from './exact.ts'
import type { Executed } from './execution.ts'
import { compileFetch, compilePlan, type CompiledFetch, type CompiledNode } from './plan.ts'
import { compileProjection, isAnomaly, type Projection } from './projection.ts'
import { inTurns } from './in-turns.ts'
import {
  compileVariableCheck,
  conditionValues,
  conditionVariables,
  type VariableCheck,
  type Variables,
} from './variables.ts'

export interface CompiledOperation {
  readonly document: DocumentNode
  readonly definition: OperationDefinitionNode
  readonly operationName: string | undefined
  readonly queryPlan: QueryPlan
  /** Whether everybody with the same rights gets the same answer. */
  readonly isPublic: boolean
  readonly root: CompiledNode | undefined
  /** The subgraph's subscription that a subscription starts with; `root` is then what is done for each event. */
  readonly primary: CompiledFetch | undefined
  readonly batched: BatchedOperations
  readonly checkVariables: VariableCheck
  conditions(variables: Variables): Readonly<Record<string, unknown>>
  /** Of a large answer a promise; it rejects when the signal aborts. */
  answer(executed: Executed, variables: Variables, signal: AbortSignal): Answer | Promise<Answer>
  /** How often it was run; the most used are compiled for a new supergraph before it serves. */
  uses: number
}

const variantsMax = 64

/** An operation that has no plan yet. */
export interface PreparedOperation {
  readonly document: DocumentNode
  readonly definition: OperationDefinitionNode
  readonly operationName: string | undefined
  /** As it is planned: `names.document`. */
  readonly names: ClientNames
}

/** @throws GraphQLError when the document holds no such operation */
export function prepareOperation(
  supergraph: PlannableSupergraph,
  document: DocumentNode,
  operationName: string | undefined,
): PreparedOperation {
  const definition = getOperationAST(document, operationName)
  if (definition == null) {
    throw new GraphQLError(
      operationName === undefined
        ? 'Must provide operation name if query contains multiple operations.'
        : `Unknown operation named "${operationName}".`,
      { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } },
    )
  }
  const names = separateClientNames(supergraph.forPlanner(document), supergraph.namesOnTheWay)
  return { document, definition, operationName, names }
}

export function compileOperation(
  supergraph: PlannableSupergraph,
  { document, definition, operationName, names }: PreparedOperation,
  queryPlan: QueryPlan,
  itemsMax: number,
): CompiledOperation {
  const subscription = queryPlan.node?.kind === 'Subscription' ? queryPlan.node : undefined
  const node = queryPlan.node?.kind === 'Subscription' ? queryPlan.node.rest : queryPlan.node
  const { root, fetches } = compilePlan(node, supergraph)
  const conditionNames = conditionVariables(document)
  const repeating = new Set(
    fetches.filter(({ unites }) => unites).map(({ path }) => path.filter((step) => step !== '@').join('.')),
  )
  const projections = new Map<string, Projection>()

  function projectionFor(conditions: Readonly<Record<string, unknown>>): Projection {
    const key = conditionNames.map((name) => `${conditions[name]}`).join()
    const known = projections.get(key)
    if (known !== undefined) return known
    const projection = compileProjection({
      schema: supergraph.schema,
      document: names.document,
      operation: getOperationAST(names.document, operationName) ?? definition,
      conditions,
      introspect: introspected,
      clientName: names.restore,
      itemsMax,
      repeating,
    })
    if (projections.size >= variantsMax) projections.clear()
    projections.set(key, projection)
    return projection
  }

  function introspected(field: FieldNode): unknown {
    const fragments = document.definitions.filter(
      (candidate): candidate is FragmentDefinitionNode => candidate.kind === Kind.FRAGMENT_DEFINITION,
    )
    const variable = [field, ...fragments].some((part) => variablesIn(part).size > 0)
    if (variable) return undefined
    return introspect(supergraph.schema, definition, field, fragments, {})
  }

  function withErrors(told: readonly GraphQLError[], data: AnswerData): Answer {
    if (told.length === 0) return { data }
    return { errors: names.changed ? restoreErrors(told, names.restore) : told, data }
  }

  async function largeAnswer(
    projection: Projection,
    executed: Executed,
    variables: Variables,
    signal: AbortSignal,
  ): Promise<Answer> {
    try {
      return withErrors(executed.errors, new SlicedData(await inTurns(projection.slices(executed.data), signal)))
    } catch (error) {
      if (isAnomaly(error)) return exactly(executed, variables)
      throw error
    }
  }

  function exactly({ data, errors: told }: Executed, variables: Variables): Answer {
    const errors = names.changed ? restoreErrors(told, names.restore) : told
    const operation = operationFromDocument(supergraph.plannedSchema, names.document, {
      validate: false,
      ...(operationName === undefined ? {} : { operationName }),
    })
    const found = exactAnswer(supergraph.schema, operation, definition, data, variables)
    const exact = names.changed ? restoreAnswer(found, names.restore) : found
    // What a subgraph said explains its nulls; without that, the nulls are explained by what was found here.
    return errors.length === 0 || exact.data === undefined ? exact : { ...exact, errors }
  }

  return {
    document,
    definition,
    operationName,
    queryPlan,
    isPublic: selectsOnlyPublic(supergraph.schema, supergraph.publicMarks, document, definition),
    root,
    primary: subscription && compileFetch(subscription.primary, [], fetches.length, supergraph),
    batched: compileBatchedOperations(fetches),
    checkVariables: compileVariableCheck(supergraph.schema, definition.variableDefinitions ?? []),
    conditions: (variables) => conditionValues(conditionNames, definition, variables),
    answer(executed, variables, signal) {
      const { data, errors: told } = executed
      const projection = projectionFor(conditionValues(conditionNames, definition, variables))
      const projected = projection.project(data)
      if (projected === 'too large') return largeAnswer(projection, executed, variables, signal)
      if (projected === undefined) return exactly(executed, variables)
      return withErrors(told, new AnswerData(projected))
    },
    uses: 0,
  }
}
