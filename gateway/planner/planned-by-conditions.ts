/**
 * Operations that Apollo's planner cannot plan with their conditions (`@skip` and `@include` on variables) are planned
 * once for each value of a condition, without it: the plan begins with the choice. It is known of interface objects that
 * require something under a condition.
 */
import type { PlanNode, QueryPlan } from '@apollo/query-planner'
import {
  Kind,
  visit,
  type BooleanValueNode,
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type SelectionNode,
  type VariableNode,
} from 'graphql'

/** Each doubles the plans. */
const variablesMax = 5

/** @throws what `plan` throws, where there is no condition that could be the reason */
export function planByConditions(
  document: DocumentNode,
  plan: (document: DocumentNode) => QueryPlan,
  variablesLeft = variablesMax,
): QueryPlan {
  try {
    return plan(document)
  } catch (error) {
    const condition = firstCondition(document)
    if (condition === undefined) throw error
    if (condition.kind === Kind.BOOLEAN) return planByConditions(withConstants(document), plan, variablesLeft)
    if (variablesLeft === 0) throw error
    const variable = condition.name.value
    const planned = (value: boolean): PlanNode | undefined => {
      const { node } = planByConditions(withVariable(document, variable, value), plan, variablesLeft - 1)
      // What a subscription starts with depends on no condition.
      if (node?.kind === 'Subscription') throw error
      return node
    }
    const ifClause = planned(true)
    const elseClause = planned(false)
    return {
      kind: 'QueryPlan',
      node: {
        kind: 'Condition',
        condition: variable,
        ...(ifClause && { ifClause }),
        ...(elseClause && { elseClause }),
      },
    }
  }
}

type Condition = BooleanValueNode | VariableNode

/** Constants first: they cost no plan. */
function firstCondition(document: DocumentNode): Condition | undefined {
  const found: Condition[] = []
  visit(document, { Directive: (directive) => void found.push(...conditionOf(directive)) })
  return found.find(({ kind }) => kind === Kind.BOOLEAN) ?? found[0]
}

function withConstants(document: DocumentNode): DocumentNode {
  return settled(document, (condition) => (condition.kind === Kind.BOOLEAN ? condition.value : undefined))
}

function withVariable(document: DocumentNode, variable: string, value: boolean): DocumentNode {
  return settled(document, (condition) =>
    condition.kind === Kind.VARIABLE && condition.name.value === variable ? value : undefined,
  )
}

/** The operation without the conditions of which the value is known, and without what they leave out. */
function settled(document: DocumentNode, valueOf: (condition: Condition) => boolean | undefined): DocumentNode {
  const settle = <T extends SelectionNode>(selection: T): T | null | undefined => {
    const { directives = [] } = selection
    const known = new Map(
      directives.flatMap((directive) => {
        const value = conditionOf(directive).map(valueOf)[0]
        return value === undefined ? [] : [[directive, value] as const]
      }),
    )
    if (known.size === 0) return undefined
    for (const [{ name }, value] of known) if ((name.value === 'skip') === value) return null
    return { ...selection, directives: directives.filter((directive) => !known.has(directive)) }
  }
  return visit(document, {
    Field: { enter: settle },
    InlineFragment: { enter: settle },
    FragmentSpread: { enter: settle },
    // A field of which nothing is left is still there.
    SelectionSet: {
      leave: (set) => (set.selections.length === 0 ? { ...set, selections: [typename] } : undefined),
    },
  })
}

const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } }

function conditionOf({ name, arguments: given = [] }: DirectiveNode): Condition[] {
  if (name.value !== 'skip' && name.value !== 'include') return []
  const value = given[0]?.value
  return value?.kind === Kind.VARIABLE || value?.kind === Kind.BOOLEAN ? [value] : []
}
