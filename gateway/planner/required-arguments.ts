/**
 * `@requires` with arguments. Apollo's planner keeps what a field requires under the field's own name, so
 * `@requires(fields: "price(currency: \"EUR\")")` collides with the client's `price(currency: "USD")` and with another
 * field's requirement. Here every required field with arguments becomes a field of its own in the supergraph that the
 * planner sees (`price__r0`, without arguments), which nothing can collide with. In the finished plan it is turned back:
 * subgraphs are asked `price__r0: price(currency: "EUR")`, and are told of it as `price`. Where one fetch would have to
 * tell two values by one name, it is made two. Clients never see these fields: their schema is the one before.
 */
import type { FetchNode, QueryPlan, QueryPlanFieldNode, QueryPlanSelectionNode } from '@apollo/query-planner'
import {
  Kind,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
  type ArgumentNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type FieldNode,
  type InterfaceTypeDefinitionNode,
  type ObjectTypeDefinitionNode,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
} from 'graphql'
import { mapFetches } from './map-fetches.ts'

/** A selection of representations; `from` names the data's key where it is another than the representation's. */
export type RequiredField = QueryPlanFieldNode & { readonly from?: string }

interface StandIn {
  readonly field: string
  readonly arguments: readonly ArgumentNode[]
}

export interface RequiredArguments {
  /** The supergraph for the planner. */
  readonly document: DocumentNode
  /** Turns a plan for it into one for the subgraphs as they are. */
  restore(plan: QueryPlan): QueryPlan
}

type CompositeDefinition = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode

export function separateRequiredArguments(supergraph: DocumentNode): RequiredArguments {
  const types = new Map<string, CompositeDefinition>()
  for (const definition of supergraph.definitions) {
    if (definition.kind === Kind.OBJECT_TYPE_DEFINITION || definition.kind === Kind.INTERFACE_TYPE_DEFINITION) {
      types.set(definition.name.value, definition)
    }
  }
  const standIns = new Map<string, StandIn>()
  const byQuestion = new Map<string, string>()
  /** Type name -> the fields added to it. */
  const added = new Map<string, Map<string, FieldDefinitionNode>>()
  /** `Type.field` -> the stand-ins that it requires. */
  const requiredBy = new Map<string, Set<string>>()

  function standInFor(type: string, field: FieldNode): string {
    const question = `${field.name.value}(${(field.arguments ?? []).map(print).sort().join()})`
    let name = byQuestion.get(question)
    if (name === undefined) {
      name = `${field.name.value}__r${byQuestion.size}`
      byQuestion.set(question, name)
      standIns.set(name, { field: field.name.value, arguments: field.arguments ?? [] })
    }
    for (const owner of [type, ...implementationsOf(type)]) {
      const original = types.get(owner)?.fields?.find((candidate) => candidate.name.value === field.name.value)
      if (original === undefined) continue
      const fields = added.get(owner) ?? new Map<string, FieldDefinitionNode>()
      added.set(owner, fields.set(name, { ...original, name: { kind: Kind.NAME, value: name }, arguments: [] }))
    }
    return name
  }

  function implementationsOf(type: string): string[] {
    return [...types.values()]
      .filter(({ interfaces = [] }) => interfaces.some(({ name }) => name.value === type))
      .map(({ name }) => name.value)
  }

  /** The selections with stand-ins for all fields that have arguments. */
  function separate(type: string, set: SelectionSetNode, used: Set<string>): SelectionSetNode {
    return {
      ...set,
      selections: set.selections.map((selection): SelectionNode => {
        if (selection.kind === Kind.INLINE_FRAGMENT) {
          const condition = selection.typeCondition?.name.value ?? type
          return { ...selection, selectionSet: separate(condition, selection.selectionSet, used) }
        }
        if (selection.kind === Kind.FRAGMENT_SPREAD) return selection
        const definition = types.get(type)?.fields?.find(({ name }) => name.value === selection.name.value)
        const nested =
          selection.selectionSet === undefined || definition === undefined
            ? selection
            : { ...selection, selectionSet: separate(namedType(definition.type), selection.selectionSet, used) }
        if ((selection.arguments ?? []).length === 0) return nested
        const name = standInFor(type, selection)
        used.add(name)
        return { ...nested, name: { kind: Kind.NAME, value: name }, arguments: [] }
      }),
    }
  }

  const rewritten = visit(supergraph, {
    FieldDefinition(field, _key, _parent, _path, ancestors) {
      const owner = ancestors.findLast((node): node is CompositeDefinition => 'kind' in node && 'fields' in node)
      if (owner === undefined) return undefined
      const directives = (field.directives ?? []).map((directive) => {
        if (directive.name.value !== 'join__field') return directive
        return {
          ...directive,
          arguments: (directive.arguments ?? []).map((argument) => {
            if (argument.name.value !== 'requires' || argument.value.kind !== Kind.STRING) return argument
            const used = new Set<string>()
            const set = separate(owner.name.value, selectionSetOf(argument.value.value), used)
            if (used.size === 0) return argument
            requiredBy.set(`${owner.name.value}.${field.name.value}`, used)
            return { ...argument, value: { ...argument.value, value: print(set).slice(1, -1).trim(), block: false } }
          }),
        }
      })
      return { ...field, directives }
    },
  })
  if (standIns.size === 0) return { document: supergraph, restore: (plan) => plan }
  const withStandIns = (definition: CompositeDefinition): CompositeDefinition => ({
    ...definition,
    fields: [...(definition.fields ?? []), ...(added.get(definition.name.value)?.values() ?? [])],
  })
  return {
    document: visit(rewritten, { ObjectTypeDefinition: withStandIns, InterfaceTypeDefinition: withStandIns }),
    restore: (plan) => mapFetches(plan, (fetch) => restoreFetch(fetch, { standIns, requiredBy })),
  }
}

interface Restoring {
  readonly standIns: ReadonlyMap<string, StandIn>
  readonly requiredBy: ReadonlyMap<string, ReadonlySet<string>>
}

/** The fetch as its subgraph knows it; several where two of its requirements go by one name. */
function restoreFetch(node: FetchNode, { standIns, requiredBy }: Restoring): FetchNode[] {
  const document = parse(node.operation, { noLocation: true })
  const parts = node.requires === undefined ? [document] : splitConflicts(document, standIns, requiredBy)
  return parts.map((part) => {
    const needed = parts.length === 1 ? undefined : requirementsOf(part, requiredBy)
    const operation = visit(part, {
      Field(field) {
        const standIn = standIns.get(field.name.value)
        if (standIn === undefined) return undefined
        return {
          ...field,
          alias: field.alias ?? field.name,
          name: { kind: Kind.NAME as const, value: standIn.field },
          arguments: standIn.arguments,
        }
      },
    })
    const used = new Set<string>()
    visit(operation, {
      VariableDefinition: () => false,
      Variable: ({ name }) => void used.add(name.value),
    })
    return {
      ...node,
      operation: stripIgnoredCharacters(print(withoutUnused(operation, used))),
      ...(node.variableUsages && { variableUsages: node.variableUsages.filter((name) => used.has(name)) }),
      ...(node.requires && { requires: restoreSelections(node.requires, standIns, needed) }),
    }
  })
}

/** Stand-ins that the fetch does not need (`needed` given) are left out of its representations. */
function restoreSelections(
  selections: readonly QueryPlanSelectionNode[],
  standIns: ReadonlyMap<string, StandIn>,
  needed: ReadonlySet<string> | undefined,
): QueryPlanSelectionNode[] {
  return selections.flatMap((selection): QueryPlanSelectionNode[] => {
    const nested =
      selection.selections === undefined ? undefined : restoreSelections(selection.selections, standIns, needed)
    // What was selected only for stand-ins that are left out is left out with them.
    if (nested?.length === 0) return []
    if (selection.kind === 'InlineFragment') return [{ ...selection, selections: nested ?? [] }]
    const field = nested === undefined ? selection : { ...selection, selections: nested }
    const standIn = standIns.get(selection.name)
    if (standIn === undefined) return [field]
    if (needed !== undefined && !needed.has(selection.name)) return []
    const restored: RequiredField = { ...field, name: standIn.field, from: selection.alias ?? selection.name }
    return [restored]
  })
}

/** The fields of the entities, parted so that no part requires two stand-ins of one name. */
function splitConflicts(
  document: DocumentNode,
  standIns: ReadonlyMap<string, StandIn>,
  requiredBy: ReadonlyMap<string, ReadonlySet<string>>,
): DocumentNode[] {
  const parts: Map<string, string>[] = []
  /** Part of each field that requires stand-ins; all others go into the first. */
  const partOf = new Map<FieldNode, number>()
  forEachEntityField(document, (type, field) => {
    const required = requiredBy.get(`${type}.${field.name.value}`)
    if (required === undefined) return
    const named = [...required].map((standIn) => [standIns.get(standIn)?.field ?? standIn, standIn] as const)
    let index = parts.findIndex((part) => named.every(([name, standIn]) => (part.get(name) ?? standIn) === standIn))
    if (index < 0) index = parts.push(new Map()) - 1
    for (const [name, standIn] of named) parts[index]?.set(name, standIn)
    partOf.set(field, index)
  })
  if (parts.length < 2) return [document]
  return parts.map((_, index) => keepEntityFields(document, (field) => (partOf.get(field) ?? 0) === index))
}

function requirementsOf(
  document: DocumentNode,
  requiredBy: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> {
  const needed = new Set<string>()
  forEachEntityField(document, (type, field) => {
    for (const standIn of requiredBy.get(`${type}.${field.name.value}`) ?? []) needed.add(standIn)
  })
  return needed
}

/** The fields right below `_entities { ... on Type { here } }`. */
function forEachEntityField(document: DocumentNode, each: (type: string, field: FieldNode) => void): void {
  for (const entities of operationOf(document).selectionSet.selections) {
    if (entities.kind !== Kind.FIELD) continue
    for (const fragment of entities.selectionSet?.selections ?? []) {
      if (fragment.kind !== Kind.INLINE_FRAGMENT) continue
      for (const field of fragment.selectionSet.selections) {
        if (field.kind === Kind.FIELD) each(fragment.typeCondition?.name.value ?? '', field)
      }
    }
  }
}

function keepEntityFields(document: DocumentNode, keep: (field: FieldNode) => boolean): DocumentNode {
  const keepIn = (selections: readonly SelectionNode[]): SelectionNode[] =>
    selections.filter((selection) => selection.kind !== Kind.FIELD || keep(selection))
  const operation = operationOf(document)
  const selections = operation.selectionSet.selections.map((entities): SelectionNode => {
    if (entities.kind !== Kind.FIELD || entities.selectionSet === undefined) return entities
    const fragments = entities.selectionSet.selections.flatMap((fragment): SelectionNode[] => {
      if (fragment.kind !== Kind.INLINE_FRAGMENT) return [fragment]
      const kept = keepIn(fragment.selectionSet.selections)
      return kept.length === 0 ? [] : [{ ...fragment, selectionSet: { kind: Kind.SELECTION_SET, selections: kept } }]
    })
    return { ...entities, selectionSet: { kind: Kind.SELECTION_SET, selections: fragments } }
  })
  return {
    ...document,
    definitions: [{ ...operation, selectionSet: { kind: Kind.SELECTION_SET, selections } }],
  }
}

function withoutUnused(document: DocumentNode, used: ReadonlySet<string>): DocumentNode {
  return visit(document, {
    VariableDefinition: ({ variable }) => (used.has(variable.name.value) ? undefined : null),
  })
}

function operationOf(document: DocumentNode): OperationDefinitionNode {
  const operation = document.definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION)
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('A fetch has an operation.')
  return operation
}

function selectionSetOf(fields: string): SelectionSetNode {
  return operationOf(parse(`{ ${fields} }`, { noLocation: true })).selectionSet
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type)
}
