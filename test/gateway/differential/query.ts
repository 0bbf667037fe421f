import {
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  isUnionType,
  type GraphQLCompositeType,
  type GraphQLSchema,
} from 'graphql'
import type { Random } from './random.ts'

export interface RandomQuery {
  source: string
  variables: Record<string, unknown>
}

/** A valid query with aliases, arguments, fragments of both kinds, conditions on variables and repeated selections. */
export function randomQuery(random: Random, schema: GraphQLSchema, depth = 4): RandomQuery {
  const variables: Record<string, unknown> = { yes: random.chance(0.5), by: random.below(3) }
  if (random.chance(0.3)) delete variables.by
  const fragments: string[] = []
  let aliases = 0

  function selections(type: GraphQLCompositeType, depth: number): string {
    const parts: string[] = []
    if (random.chance(0.3)) parts.push(random.chance(0.5) ? '__typename' : `t${aliases++}: __typename`)
    const count = 1 + random.below(4)
    for (let index = 0; index < count; index++) parts.push(selection(type, depth))
    return `{ ${parts.join(' ')} }`
  }

  function selection(type: GraphQLCompositeType, depth: number): string {
    const fragment = isUnionType(type) || random.chance(isInterfaceType(type) ? 0.7 : 0.1)
    if (fragment && depth > 0) {
      const condition = isObjectType(type) ? type : random.pick(schema.getPossibleTypes(type))
      const body = selections(condition, depth - 1)
      if (random.chance(0.3)) {
        const name = `F${fragments.length}`
        fragments.push(`fragment ${name} on ${condition.name} ${body}`)
        return `...${name}${directive()}`
      }
      return `... on ${condition.name}${directive()} ${body}`
    }
    if (isUnionType(type)) return '__typename'
    const fields = Object.values(type.getFields()).filter(
      (field) => depth > 0 || !isCompositeType(getNamedType(field.type)),
    )
    if (fields.length === 0) return '__typename'
    const field = random.pick(fields)
    const named = getNamedType(field.type)
    // The same field twice must be the same: whatever has an argument gets an alias of its own.
    const argument = field.args[0]
    const alias = argument !== undefined || random.chance(0.15) ? `a${aliases++}: ` : ''
    const given = argument === undefined || random.chance(0.4) ? '' : argumentText(argument.name)
    return `${alias}${field.name}${given}${directive()}${isCompositeType(named) ? ` ${selections(named, depth - 1)}` : ''}`
  }

  function argumentText(name: string): string {
    if (name === 'id') return `(id: "${random.below(5)}")`
    if (name === 'with') return `(with: { by: ${random.chance(0.5) ? '$by' : random.below(3)} })`
    return random.chance(0.5) ? `(${name}: $by)` : `(${name}: ${random.below(3)})`
  }

  function directive(): string {
    if (!random.chance(0.1)) return ''
    return random.chance(0.5) ? ' @include(if: $yes)' : ' @skip(if: $yes)'
  }

  const query = schema.getQueryType()
  if (query == null) throw new Error('no query type')
  const body = selections(query, depth)
  const text = `${body} ${fragments.join(' ')}`
  const declared = [
    ...(text.includes('$yes') ? ['$yes: Boolean!'] : []),
    ...(text.includes('$by') ? ['$by: Int = 1'] : []),
  ]
  return { source: `query Q${declared.length === 0 ? '' : `(${declared.join(', ')})`} ${text}`, variables }
}
