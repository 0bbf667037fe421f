/**
 * Entity fetches side by side in one operation: `{_0:_entities(representations:$_r0){…} _1:_entities(…){…}}`. Which
 * fetches of a plan can meet is known, so each combination's text is made once.
 */
import { LRUCache } from 'lru-cache'
import {
  Kind,
  print,
  stripIgnoredCharacters,
  type DocumentNode,
  type FieldNode,
  type VariableDefinitionNode,
} from 'graphql'
import { createRepeatParser, type ParseRepeats } from '../../core/json/parse-repeats.ts'
import { operationOf, type CompiledFetch } from './plan.ts'

export interface BatchedOperation {
  readonly query: string
  readonly bodyHead: string
  readonly document: () => DocumentNode
  /** As a fetch's own. */
  readonly parse: ParseRepeats | undefined
}

export interface BatchedOperations {
  /** Whether another fetch could leave together with this one: of the same run of the plan, or also of another. */
  canJoin(fetch: CompiledFetch, severalRuns: boolean): boolean
  operation(fetches: readonly CompiledFetch[]): BatchedOperation
}

const combinationsMax = 256

export function compileBatchedOperations(fetches: readonly CompiledFetch[]): BatchedOperations {
  const joinable = new Set(fetches.filter(isJoinable))
  const subgraphs = Map.groupBy(joinable, ({ subgraph }) => subgraph)
  const inOneRun = new Set([...joinable].filter(({ subgraph }) => (subgraphs.get(subgraph)?.length ?? 0) > 1))
  const combinations = new LRUCache<string, BatchedOperation>({ max: combinationsMax })
  return {
    canJoin: (fetch, severalRuns) => (severalRuns ? joinable : inOneRun).has(fetch),
    operation(fetches) {
      const key = fetches.map(({ index }) => index).join()
      const known = combinations.get(key)
      if (known !== undefined) return known
      const operation = combine(fetches)
      combinations.set(key, operation)
      return operation
    },
  }
}

/** Directives of the operation and arguments from a context belong to one fetch alone. */
function isJoinable(fetch: CompiledFetch): boolean {
  if (fetch.representations === undefined || fetch.contextArguments !== undefined) return false
  const document = fetch.document()
  return document.definitions.length === 1 && (operationOf(document).directives ?? []).length === 0
}

function combine(fetches: readonly CompiledFetch[]): BatchedOperation {
  const variables = new Map<string, VariableDefinitionNode>()
  const fields: FieldNode[] = []
  for (const [index, fetch] of fetches.entries()) {
    const operation = operationOf(fetch.document())
    for (const definition of operation.variableDefinitions ?? []) {
      const name = definition.variable.name.value
      if (name !== 'representations') variables.set(name, definition)
      else variables.set(`_r${index}`, { ...definition, variable: variable(`_r${index}`) })
    }
    for (const selection of operation.selectionSet.selections) {
      if (selection.kind !== Kind.FIELD) throw new Error('An entity fetch selects entities.')
      fields.push({
        ...selection,
        alias: { kind: Kind.NAME, value: `_${index}` },
        arguments: (selection.arguments ?? []).map((argument) => ({ ...argument, value: variable(`_r${index}`) })),
      })
    }
  }
  const document: DocumentNode = {
    kind: Kind.DOCUMENT,
    definitions: [
      {
        kind: Kind.OPERATION_DEFINITION,
        operation: operationOf(fetches[0]?.document() ?? { kind: Kind.DOCUMENT, definitions: [] }).operation,
        variableDefinitions: [...variables.values()],
        selectionSet: { kind: Kind.SELECTION_SET, selections: fields },
      },
    ],
  }
  const query = stripIgnoredCharacters(print(document))
  return {
    query,
    document: () => document,
    bodyHead: `{"query":${JSON.stringify(query)},"variables":{`,
    parse: fetches.every(({ parse }) => parse !== undefined) ? createRepeatParser() : undefined,
  }
}

const variable = (name: string): VariableDefinitionNode['variable'] => ({
  kind: Kind.VARIABLE,
  name: { kind: Kind.NAME, value: name },
})
