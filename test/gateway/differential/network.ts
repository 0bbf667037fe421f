import type { Subgraphs } from '../executor/network.ts'
import { hash, type Random } from './random.ts'

/**
 * A random network of subgraphs: entity types whose fields lie in different subgraphs, references between them, value
 * objects, an interface and a union over entities, and required fields. Its data is a function of type, id and field,
 * so every gateway finds the same; so are its faults.
 */
type FieldKind = 'String' | 'Int' | 'Boolean' | 'Mood' | 'Strings' | 'Value' | 'Ref' | 'Refs' | 'Any' | 'Nodes'

interface Field {
  readonly name: string
  readonly kind: FieldKind
  readonly target: string
  readonly nonNull: boolean
  readonly argument: boolean
  readonly requires: string | undefined
  readonly owners: readonly string[]
}

interface EntityType {
  readonly name: string
  readonly fields: readonly Field[]
}

const idCount = 5

export interface Faults {
  /** One in this many fields throws; 0: none. */
  readonly fields: number
  /** One in this many entities is unknown to a subgraph; 0: none. */
  readonly entities: number
}

export function randomNetwork(random: Random, faults: Faults): Subgraphs {
  const subgraphNames = ['alpha', 'beta', 'gamma', 'delta'].slice(0, 2 + random.below(3))
  const typeNames = ['Apple', 'Boat', 'Cloud', 'Door'].slice(0, 2 + random.below(3))
  const entities: EntityType[] = typeNames.map((name) => ({
    name,
    fields: randomFields(random, subgraphNames, typeNames),
  }))
  const subgraphs: Subgraphs = {}
  for (const subgraph of subgraphNames) {
    const root = random.pick(typeNames)
    const other = random.pick(typeNames)
    subgraphs[subgraph] = {
      sdl: [
        `type Query { ${subgraph}One(id: ID = "1"): ${root} ${subgraph}Many: [${other}] ${subgraph}Nodes: [Node] ${subgraph}Any: [Any!] }`,
        'interface Node { id: ID! }',
        `union Any = ${typeNames.join(' | ')}`,
        'enum Mood { GOOD BAD }',
        'type Value @shareable { note: String size: Int! inner: Value }',
        ...entities.map((entity) => entitySdl(entity, subgraph)),
      ].join('\n'),
      resolvers: {
        Query: {
          [`${subgraph}One`]: (_: unknown, { id }: { id: string }) => ({ __typename: root, id }),
          [`${subgraph}Many`]: () => ids(`${subgraph}Many`).map((id) => ({ __typename: other, id })),
          [`${subgraph}Nodes`]: () => mixed(`${subgraph}Nodes`, typeNames),
          [`${subgraph}Any`]: () => mixed(`${subgraph}Any`, typeNames),
        },
        Node: { __resolveType: ({ __typename }: { __typename: string }) => __typename },
        Any: { __resolveType: ({ __typename }: { __typename: string }) => __typename },
        ...Object.fromEntries(
          entities.map((entity) => [entity.name, entityResolvers(entity, subgraph, typeNames, faults)]),
        ),
      },
    }
  }
  return subgraphs
}

function randomFields(random: Random, subgraphNames: readonly string[], typeNames: readonly string[]): Field[] {
  const kinds: FieldKind[] = ['String', 'Int', 'Boolean', 'Mood', 'Strings', 'Value', 'Ref', 'Refs', 'Any', 'Nodes']
  const fields: Field[] = []
  const count = 3 + random.below(6)
  for (let index = 0; index < count; index++) {
    const kind = random.pick(kinds)
    const owner = random.pick(subgraphNames)
    const leaf = kind === 'String' || kind === 'Int'
    const requirable = fields.filter(
      (field) =>
        (field.kind === 'String' || field.kind === 'Int') &&
        !field.owners.includes(owner) &&
        !field.argument &&
        field.requires === undefined,
    )
    const required = leaf && requirable.length > 0 && random.chance(0.4) ? random.pick(requirable).name : undefined
    const shared = required === undefined && random.chance(0.2) ? random.pick(subgraphNames) : owner
    fields.push({
      name: `f${index}`,
      kind,
      target: random.pick(typeNames),
      nonNull: random.chance(0.25),
      argument: required === undefined && leaf && random.chance(0.3),
      requires: required,
      owners: shared === owner ? [owner] : [owner, shared],
    })
  }
  return fields
}

function typeOf({ kind, target, nonNull }: Field): string {
  const types: Record<FieldKind, string> = {
    String: 'String',
    Int: 'Int',
    Boolean: 'Boolean',
    Mood: 'Mood',
    Strings: '[String]',
    Value: 'Value',
    Ref: target,
    Refs: `[${target}]`,
    Any: 'Any',
    Nodes: '[Node!]',
  }
  return `${types[kind]}${nonNull ? '!' : ''}`
}

function entitySdl({ name, fields }: EntityType, subgraph: string): string {
  const lines = ['id: ID!']
  for (const field of fields) {
    if (field.owners.includes(subgraph)) {
      const shareable = field.owners.length > 1 ? ' @shareable' : ''
      const requires = field.requires === undefined ? '' : ` @requires(fields: "${field.requires}")`
      const argument = field.argument ? '(by: Int = 0)' : ''
      lines.push(`${field.name}${argument}: ${typeOf(field)}${shareable}${requires}`)
    } else if (fields.some((other) => other.owners.includes(subgraph) && other.requires === field.name)) {
      lines.push(`${field.name}: ${typeOf(field)} @external`)
    }
  }
  return `type ${name} implements Node @key(fields: "id") { ${lines.join(' ')} }`
}

function entityResolvers(entity: EntityType, subgraph: string, typeNames: readonly string[], faults: Faults): object {
  const resolvers: Record<string, unknown> = {
    __resolveReference: async (reference: { id: string }) =>
      faults.entities > 0 && hash(`unknown ${entity.name} ${reference.id} ${subgraph}`) % faults.entities === 0
        ? null
        : reference,
  }
  for (const field of entity.fields) {
    if (!field.owners.includes(subgraph)) continue
    resolvers[field.name] = (parent: Record<string, unknown>, { by = 0 }: { by?: number }) => {
      // Shared fields fail alike wherever they are asked: which subgraph is asked is the planner's to choose.
      const place = `${entity.name} ${String(parent.id)} ${field.name}`
      if (faults.fields > 0 && hash(`fault ${place}`) % faults.fields === 0) throw new Error(`no ${place}`)
      const seed = field.requires === undefined ? place : `${place} ${String(parent[field.requires])}`
      return valueOf(field, seed, by, typeNames)
    }
  }
  return resolvers
}

function valueOf(field: Field, place: string, by: number, typeNames: readonly string[]): unknown {
  const number = hash(place)
  if (!field.nonNull && number % 7 === 0) return null
  switch (field.kind) {
    case 'String':
      return `"${place}" \\ ${number % 10} ✓ ${by}`
    case 'Int':
      return (number % 1000) + by
    case 'Boolean':
      return number % 2 === 0
    case 'Mood':
      return number % 2 === 0 ? 'GOOD' : 'BAD'
    case 'Strings':
      return ids(place).map((id) => (id === '3' ? null : `s${id}`))
    case 'Value':
      return { note: place, size: number % 9, inner: { note: null, size: 1, inner: null } }
    case 'Ref':
      return { __typename: field.target, id: `${number % idCount}` }
    case 'Refs':
      return ids(place).map((id) => (number % 5 === 0 && id === '2' ? null : { __typename: field.target, id }))
    case 'Any':
      return mixed(place, typeNames)[0] ?? { __typename: typeNames[0], id: '0' }
    case 'Nodes':
      return mixed(place, typeNames)
    default:
      return field.kind satisfies never
  }
}

function ids(place: string): string[] {
  return Array.from({ length: hash(place) % 5 }, (_, index) => `${hash(`${place} ${index}`) % idCount}`)
}

function mixed(place: string, typeNames: readonly string[]): { __typename: string | undefined; id: string }[] {
  return ids(place).map((id, index) => ({
    __typename: typeNames[hash(`${place} type ${index}`) % typeNames.length],
    id,
  }))
}
