/**
 * A query plan, compiled: what can be worked out once per operation is worked out here, so that running the plan is
 * only walking data, sending text and merging answers. The shape of the plan is kept as the planner made it.
 */
import type { FetchNode, PlanNode } from '@apollo/query-planner'
import {
  Kind,
  parse,
  type DocumentNode,
  type OperationDefinitionNode,
  type OperationTypeNode,
  type SelectionSetNode,
} from 'graphql'
import { createRepeatParser, type ParseRepeats } from '../../core/json/parse-repeats.ts'
import type { PlannableSupergraph } from '../planner/supergraph.ts'
import { selectsOnlyPublic } from '../public-fields.ts'
import { compileContextArguments, type ContextArguments } from './context-arguments.ts'
import { withEqualAlike } from './equal-alike.ts'
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
  /** The query without its operation's name: what asks the same is the same text. */
  readonly question: string
  readonly document: () => DocumentNode
  /** From the root of the data to what the answer is merged into; `@` stands for the items of a list. */
  readonly path: readonly string[]
  /** The path as one text. */
  readonly pathKey: string
  /** The fields that it brings and that hold objects. */
  readonly brings: ReadonlySet<string>
  /** Whether equal objects at its path may become one: not where anything later tells them apart by their parents. */
  readonly unites: boolean
  /** Whether nothing waits for its answer and a later fetch may go to its subgraph, so that it may wait for that one. */
  readonly canWait: boolean
  readonly variableUsages: readonly string[]
  /** Present for entity fetches. */
  readonly representations: Representations | undefined
  readonly contextArguments: ContextArguments | undefined
  /** Whether all it selects is public. */
  readonly isPublic: boolean
  readonly outputRewrites: NonNullable<FetchNode['outputRewrites']>
  /** Reads answers in which equal objects may be one; absent where something could later tell them apart. */
  readonly parse: ParseRepeats | undefined
  /** The request's body up to its variables: `{"query":…,"operationName":…,"variables":{`. */
  readonly bodyHead: string
}

export interface CompiledPlan {
  readonly root: CompiledNode | undefined
  readonly fetches: readonly CompiledFetch[]
}

type PlanSchema = Pick<PlannableSupergraph, 'fullSchema' | 'publicMarks'>

export function compilePlan(node: PlanNode | undefined, supergraph: PlanSchema): CompiledPlan {
  const fetches: { -readonly [Key in keyof CompiledFetch]: CompiledFetch[Key] }[] = []
  /** Of each fetch, those that are over before it starts. */
  const earlier: ReadonlySet<CompiledFetch>[] = []

  function compile(node: PlanNode, path: readonly string[], over: ReadonlySet<CompiledFetch>): CompiledNode {
    switch (node.kind) {
      case 'Sequence': {
        const start = fetches.length
        const nodes = node.nodes.map((child) => compile(child, path, new Set([...over, ...fetches.slice(start)])))
        return { kind: 'sequence', nodes }
      }
      case 'Parallel':
        return { kind: 'parallel', nodes: node.nodes.map((child) => compile(child, path, over)) }
      case 'Flatten':
        return compile(node.node, [...path, ...node.path.map(String)], over)
      case 'Condition':
        return {
          kind: 'condition',
          variable: node.condition,
          whenTrue: node.ifClause && compile(node.ifClause, path, over),
          whenFalse: node.elseClause && compile(node.elseClause, path, over),
        }
      case 'Fetch': {
        const fetch = compileFetch(node, path, fetches.length, supergraph)
        fetches.push(fetch)
        earlier.push(over)
        return fetch
      }
      case 'Defer':
        // The planner is built without `@defer`, since nothing behind Apollo Server's gateway interface could send it.
        throw new Error('A plan with deferred parts cannot be executed.')
      default:
        return node satisfies never
    }
  }

  const root = node && compile(node, [], new Set())
  const byParents = fetches.some(({ contextArguments }) => contextArguments !== undefined)
  for (const fetch of fetches) {
    const over = earlier[fetch.index] ?? new Set()
    fetch.unites = !byParents && fetches.every((other) => !bringsTo(other, fetch.path) || over.has(other))
    fetch.canWait =
      !earlier.some((before) => before.has(fetch)) &&
      fetches.some(({ subgraph, index }) => subgraph === fetch.subgraph && !(earlier[index] ?? over).isSubsetOf(over))
  }
  const repeating = byParents
    ? []
    : withEqualAlike(fetches, (fetch, other) => earlier[fetch.index]?.has(other) === true)
  for (const fetch of fetches) if (repeating.includes(fetch)) fetch.parse = createRepeatParser()
  return { root, fetches }
}

/** Whether what a fetch brings may hold objects at a path further down. */
export function bringsTo({ path, brings }: CompiledFetch, below: readonly string[]): boolean {
  const next = below[path.length]
  return next !== undefined && brings.has(next) && path.every((step, index) => step === below[index])
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
    question: node.operation.replace(/^(\w+) \w+/, '$1'),
    document,
    path,
    pathKey: path.join('.'),
    brings: fieldsWithObjects(operationOf(document()).selectionSet, node.requires === undefined ? 0 : 1),
    unites: false,
    canWait: false,
    variableUsages: (node.variableUsages ?? []).filter((name) => name !== 'representations'),
    representations: node.requires && compileRepresentations(schema, node.requires, node.inputRewrites),
    contextArguments: compileContextArguments(schema, node.contextRewrites ?? []),
    isPublic: selectsOnlyPublic(schema, publicMarks, document(), operationOf(document())),
    outputRewrites: node.outputRewrites ?? [],
    parse: undefined,
    bodyHead: `{"query":${JSON.stringify(node.operation)}${operationName},"variables":{`,
  }
}

/** @param levels of fields around what each entity gets: `_entities`, or none */
function fieldsWithObjects(set: SelectionSetNode, levels: number, found = new Set<string>()): ReadonlySet<string> {
  for (const selection of set.selections) {
    if (selection.kind === Kind.FRAGMENT_SPREAD) throw new Error('A fetch spreads no fragments.')
    if (selection.selectionSet === undefined) continue
    if (selection.kind === Kind.INLINE_FRAGMENT) fieldsWithObjects(selection.selectionSet, levels, found)
    else if (levels > 0) fieldsWithObjects(selection.selectionSet, levels - 1, found)
    else found.add(selection.alias?.value ?? selection.name.value)
  }
  return found
}

/** The one operation of a fetch's document. */
export function operationOf(document: DocumentNode): OperationDefinitionNode {
  const [definition] = document.definitions
  if (definition?.kind !== Kind.OPERATION_DEFINITION) throw new Error('A fetch starts with its operation.')
  return definition
}
