/**
 * A query plan, compiled: what can be worked out once per operation is worked out here, so that running the plan is
 * only walking data, sending text and merging answers. The shape of the plan is kept as the planner made it.
 */
import type { FetchNode, PlanNode } from '@apollo/query-planner'
import { Kind, parse, type DocumentNode, type OperationDefinitionNode, type OperationTypeNode } from 'graphql'
import type { PlannableSupergraph } from '../planner/supergraph.ts'
import { selectsOnlyPublic } from '../public-fields.ts'
import { compileContextArguments, type ContextArguments } from './context-arguments.ts'
import { compileRepresentations, type Representations } from './representations.ts'

export type CompiledNode =
  | { readonly kind: 'sequence' | 'parallel'; readonly nodes: readonly CompiledNode[] }
  | {
      readonly kind: 'condition'
      readonly variable: string
      readonly whenTrue: CompiledNode | undefined
      readonly whenFalse: CompiledNode | undefined
    }
  | CompiledFetch

export interface CompiledFetch {
  readonly kind: 'fetch'
  /** Its place in the plan, counted from 0: names it within its operation. */
  readonly index: number
  readonly subgraph: string
  readonly operationKind: `${OperationTypeNode}`
  readonly operationName: string | undefined
  readonly query: string
  readonly document: () => DocumentNode
  /** From the root of the data to what the answer is merged into; `@` stands for the items of a list. */
  readonly path: readonly string[]
  readonly variableUsages: readonly string[]
  /** Present for entity fetches. */
  readonly representations: Representations | undefined
  readonly contextArguments: ContextArguments | undefined
  /** Whether all it selects is public. */
  readonly isPublic: boolean
  readonly outputRewrites: NonNullable<FetchNode['outputRewrites']>
  /** The request's body up to its variables: `{"query":…,"operationName":…,"variables":{`. */
  readonly bodyHead: string
}

export interface CompiledPlan {
  readonly root: CompiledNode | undefined
  readonly fetches: readonly CompiledFetch[]
}

type PlanSchema = Pick<PlannableSupergraph, 'fullSchema' | 'publicMarks'>

export function compilePlan(node: PlanNode | undefined, supergraph: PlanSchema): CompiledPlan {
  const fetches: CompiledFetch[] = []

  function compile(node: PlanNode, path: readonly string[]): CompiledNode {
    switch (node.kind) {
      case 'Sequence':
        return { kind: 'sequence', nodes: node.nodes.map((child) => compile(child, path)) }
      case 'Parallel':
        return { kind: 'parallel', nodes: node.nodes.map((child) => compile(child, path)) }
      case 'Flatten':
        return compile(node.node, [...path, ...node.path.map(String)])
      case 'Condition':
        return {
          kind: 'condition',
          variable: node.condition,
          whenTrue: node.ifClause && compile(node.ifClause, path),
          whenFalse: node.elseClause && compile(node.elseClause, path),
        }
      case 'Fetch': {
        const fetch = compileFetch(node, path, fetches.length, supergraph)
        fetches.push(fetch)
        return fetch
      }
      case 'Defer':
        // The planner is built without `@defer`, since nothing behind Apollo Server's gateway interface could send it.
        throw new Error('A plan with deferred parts cannot be executed.')
      default:
        return node satisfies never
    }
  }

  const root = node && compile(node, [])
  return { root, fetches }
}

export function compileFetch(
  node: FetchNode,
  path: readonly string[],
  index: number,
  { fullSchema: schema, publicMarks }: PlanSchema,
): CompiledFetch {
  let parsed: DocumentNode | undefined
  const document = (): DocumentNode =>
    (parsed ??= node.operationDocumentNode ?? parse(node.operation, { noLocation: true }))
  const operationName = node.operationName === undefined ? '' : `,"operationName":${JSON.stringify(node.operationName)}`
  return {
    kind: 'fetch',
    index,
    subgraph: node.serviceName,
    operationKind: node.operationKind,
    operationName: node.operationName,
    query: node.operation,
    document,
    path,
    variableUsages: (node.variableUsages ?? []).filter((name) => name !== 'representations'),
    representations: node.requires && compileRepresentations(schema, node.requires, node.inputRewrites),
    contextArguments: compileContextArguments(schema, node.contextRewrites ?? []),
    isPublic: selectsOnlyPublic(schema, publicMarks, document(), operationOf(document())),
    outputRewrites: node.outputRewrites ?? [],
    bodyHead: `{"query":${JSON.stringify(node.operation)}${operationName},"variables":{`,
  }
}

/** The one operation of a fetch's document. */
export function operationOf(document: DocumentNode): OperationDefinitionNode {
  const [definition] = document.definitions
  if (definition?.kind !== Kind.OPERATION_DEFINITION) throw new Error('A fetch starts with its operation.')
  return definition
}
