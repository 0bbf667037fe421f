import type { Subgraphs } from '../executor/network.ts'
import { hash, type Random } from './random.ts'

/**
 * Random networks of the shapes that plans go wrong on: entities with several keys, of which a subgraph resolves some;
 * `@requires` with arguments and through references and unions; `@provides`; `@override`; interface objects; contexts;
 * unions and enums whose members differ between subgraphs; inputs of which only the common part is offered. All data is
 * a function of type, id and field (`truth`), so that a plain schema without any federation gives the right answers.
 */
export interface ShapedNetwork {
  readonly subgraphs: Subgraphs
  /** What a field of an object or of `Query` is, whoever resolves it. */
  truth(type: string, parent: Entity, field: string, args: Arguments): unknown
}

export interface Entity {
  readonly __typename?: string
  readonly id: string
}

interface Arguments {
  readonly by?: number | null
  readonly with?: { readonly by?: number | null } | null
}

type Kind = 'String' | 'Int' | 'Mood' | 'Ref' | 'Refs' | 'Any' | 'Anys' | 'Medium'

interface Requirement {
  readonly selection: string
  /** The value that the field needs, read from the representation. */
  read(parent: Record<string, unknown>): unknown
  /** The same value, known beforehand. */
  truth(id: string): unknown
  /** `Type.field` that the subgraph must know of as external. */
  readonly externals: readonly (readonly [type: string, field: string])[]
}

interface Field {
  readonly name: string
  readonly kind: Kind
  readonly target: string
  readonly nonNull: boolean
  readonly argument: 'by' | 'with' | undefined
  readonly owners: readonly string[]
  /** Where it was before, and where nobody may ask it any more. */
  readonly overridden: string | undefined
  readonly requires: Requirement | undefined
  /** A field of the target that comes along. */
  readonly provides: string | undefined
}

const keyTexts = { id: 'id', code: 'code', place: 'place { row seat }' } as const
type Key = keyof typeof keyTexts
const keyNames: readonly Key[] = ['id', 'code', 'place']
const idCount = 5
const media = ['Film', 'Song'] as const

export function shapedNetwork(random: Random): ShapedNetwork {
  const names = ['alpha', 'beta', 'gamma', 'delta'].slice(0, 2 + random.below(3))
  const types = ['Apple', 'Boat', 'Cloud'].slice(0, 2 + random.below(2))
  const home = random.pick(names)
  const fields = new Map<string, Field[]>(types.map((type) => [type, []]))
  /** Fields of the interface `Medium`, added to it by interface objects. */
  const mediumFields: Field[] = []
  const withContext = random.chance(0.4) ? random.pick(names) : undefined

  const fieldOf = (type: string, name: string): Field | undefined =>
    [...(fields.get(type) ?? []), ...(type === 'Medium' ? mediumFields : [])].find((field) => field.name === name)

  function truthOf(type: string, field: Field, id: string, args: Arguments): unknown {
    const needed = field.requires === undefined ? '' : ` <- ${JSON.stringify(field.requires.truth(id))}`
    return valueOf(type, field, id, args, needed)
  }

  /** `needed` is what the field requires, as text. */
  function valueOf(type: string, field: Field, id: string, args: Arguments, needed: string): unknown {
    const place = `${type} ${id} ${field.name}`
    const number = hash(place)
    const by = args.by ?? args.with?.by ?? 0
    if (!field.nonNull && number % 6 === 0) return null
    switch (field.kind) {
      case 'String':
        return `${place} ${by}${needed}`
      case 'Int':
        return (number % 1000) + by + (hash(needed) % 100)
      case 'Mood':
        return ['GOOD', 'BAD', 'UGLY'][number % 3]
      case 'Ref':
        return { __typename: field.target, id: `${number % idCount}` }
      case 'Refs':
        return ids(place).map((each) => ({ __typename: field.target, id: each }))
      case 'Any':
        return { __typename: pickAt(number, typesFor(field)), id: `${hash(`${place} id`) % idCount}` }
      case 'Anys':
        return ids(place).map((each, index) => ({ __typename: pickAt(hash(place) + index, typesFor(field)), id: each }))
      case 'Medium':
        return medium(`${number % idCount}`)
      default:
        return field.kind satisfies never
    }
  }

  /** The members of the union that all owners of the field know. */
  function typesFor(field: Field): readonly string[] {
    return types.filter((type) => field.owners.every((owner) => members(owner).includes(type)))
  }

  const hidden = new Map(names.map((name) => [name, random.chance(0.4) ? random.pick(types) : undefined]))
  /** The first type is a member everywhere, so that shared fields have something to return. */
  function members(subgraph: string): readonly string[] {
    return types.filter((type, index) => index === 0 || hidden.get(subgraph) !== type)
  }

  for (const type of types) addFields(type)
  for (const name of names) {
    if (name === home || random.chance(0.5)) continue
    const field = leaf(`m_${name}`, name)
    mediumFields.push(field)
    const other = mediumFields.find(({ owners, requires }) => !owners.includes(name) && requires === undefined)
    if (other === undefined || random.chance(0.4)) continue
    mediumFields.push({ ...leaf(`n_${name}`, name), requires: plainRequirement('Medium', other, 0) })
  }

  function leaf(name: string, owner: string): Field {
    return {
      name,
      kind: random.pick(['String', 'Int'] as const),
      target: '',
      nonNull: random.chance(0.3),
      argument: undefined,
      owners: [owner],
      overridden: undefined,
      requires: undefined,
      provides: undefined,
    }
  }

  function plainRequirement(type: string, field: Field, by: number): Requirement {
    const args: Arguments = field.argument === 'by' ? { by } : field.argument === 'with' ? { with: { by } } : {}
    const given = field.argument === 'by' ? `(by: ${by})` : field.argument === 'with' ? `(with: { by: ${by} })` : ''
    return {
      selection: `${field.name}${given}`,
      read: (parent) => parent[field.name],
      truth: (id) => truthOf(type, field, id, args),
      externals: [[type, field.name]],
    }
  }

  /** Through a reference or a union: what is needed is a field of the other entity. */
  function nestedRequirement(type: string, field: Field, inner: Field): Requirement {
    const isUnion = field.kind === 'Any' || field.kind === 'Anys'
    const read = (value: unknown, of: (object: Record<string, unknown>) => unknown): unknown => {
      if (Array.isArray(value)) return value.map((each) => read(each, of))
      return value == null ? null : (of(value as Record<string, unknown>) ?? null)
    }
    return {
      selection: `${field.name} { ${isUnion ? `... on ${field.target} { ${inner.name} }` : inner.name} }`,
      read: (parent) => read(parent[field.name], (object) => object[inner.name]),
      truth: (id) =>
        read(truthOf(type, field, id, {}), ({ __typename, id: at }) =>
          __typename === field.target ? truthOf(field.target, inner, String(at), {}) : null,
        ),
      externals: [
        [type, field.name],
        [field.target, inner.name],
      ],
    }
  }

  function addFields(type: string): void {
    const own = fields.get(type) ?? []
    const count = 4 + random.below(4)
    const kinds: readonly Kind[] = ['String', 'String', 'Int', 'Mood', 'Ref', 'Refs', 'Any', 'Anys', 'Medium']
    for (let index = 0; index < count; index++) {
      const owner = random.pick(names)
      const kind = random.pick(kinds)
      const isLeaf = kind === 'String' || kind === 'Int'
      const target = random.pick(types)
      const other = random.pick(names)
      const requires = isLeaf && random.chance(0.5) ? requirement(type, own, owner) : undefined
      const overridden = requires === undefined && other !== owner && random.chance(0.15) ? other : undefined
      const shared = requires === undefined && overridden === undefined && random.chance(0.2)
      const provided = (kind === 'Ref' || kind === 'Refs') && random.chance(0.5) ? plainFields(target, owner) : []
      own.push({
        name: `${type[0]?.toLowerCase()}${index}`,
        kind,
        target: kind === 'Any' || kind === 'Anys' ? (types[0] ?? '') : target,
        nonNull: random.chance(0.2),
        argument: isLeaf && random.chance(0.35) ? random.pick(['by', 'with'] as const) : undefined,
        owners: shared && other !== owner ? [owner, other] : [owner],
        overridden,
        requires,
        provides: shared || provided.length === 0 ? undefined : random.pick(provided).name,
      })
    }
  }

  /** Leaves of the type that this subgraph does not have. */
  function plainFields(type: string, owner: string): Field[] {
    return (fields.get(type) ?? []).filter(
      (field) =>
        (field.kind === 'String' || field.kind === 'Int') &&
        field.argument === undefined &&
        field.requires === undefined &&
        field.overridden === undefined &&
        !field.owners.includes(owner),
    )
  }

  function requirement(type: string, own: readonly Field[], owner: string): Requirement | undefined {
    const candidates = own.filter((field) => !field.owners.includes(owner) && field.overridden !== owner)
    if (candidates.length === 0) return undefined
    const field = random.pick(candidates)
    if (field.kind === 'String' || field.kind === 'Int') return plainRequirement(type, field, random.below(4))
    if (field.kind === 'Mood' || field.kind === 'Medium') return undefined
    if (field.kind.startsWith('Any') && !members(owner).includes(field.target)) return undefined
    const inner = plainFields(field.target, owner)
    return inner.length === 0 ? undefined : nestedRequirement(type, field, random.pick(inner))
  }

  const subgraphs: Subgraphs = {}
  for (const name of names) subgraphs[name] = subgraph(name)

  function subgraph(name: string): Subgraphs[string] {
    const root = random.pick(types)
    const resolvers: Record<string, Record<string, unknown>> = {}
    const hasMedium = name === home || mediumFields.some(({ owners }) => owners.includes(name)) || random.chance(0.3)
    const query = [
      `${name}One(id: ID = "1"): ${root}`,
      `${name}Anys: [Any!]`,
      ...(hasMedium ? [`${name}Media: [Medium]`] : []),
      'everyone: [Apple!] @shareable',
    ]
    resolvers.Query = {
      [`${name}One`]: (_: unknown, { id }: { id: string }) => ({ __typename: root, id }),
      [`${name}Anys`]: () => rootAnys(name),
      ...(hasMedium ? { [`${name}Media`]: () => ids(`${name}Media`).map(medium) } : {}),
      everyone: () => ids('everyone').map((id) => ({ __typename: 'Apple', id })),
    }
    const parts: string[] = [
      `enum Mood { GOOD BAD UGLY${name === names[0] ? '' : ' @inaccessible'} }`,
      `input Options { by: Int only_${name}: Int }`,
      'type Place @shareable { row: ID! seat: ID! }',
      `union Any = ${members(name).join(' | ')}`,
    ]
    for (const type of types) {
      const external = externalsOf(type, name)
      const own = (fields.get(type) ?? []).filter(
        ({ owners, overridden }) => owners.includes(name) || overridden === name,
      )
      const keys = keyNames.filter((key) => key === 'id' || random.chance(0.4))
      const known = keys.filter((key) => key !== 'id' || keys.length === 1 || random.chance(0.8))
      const resolvable = known.filter((_, index) => index === 0 || random.chance(0.6))
      const isReferenced = own.length === 0 && external.size === 0 && random.chance(0.5)
      const lines = known.map((key) => (key === 'place' ? 'place: Place!' : `${key}: ID!`))
      for (const field of own) lines.push(fieldText(field, name))
      for (const field of external)
        lines.push(
          `${fieldText({ ...field, requires: undefined, provides: undefined, owners: [name], overridden: undefined }, name)} @external`,
        )
      parts.push(
        `type ${type} ${known.map((key) => `@key(fields: "${keyTexts[key]}"${!isReferenced && resolvable.includes(key) ? '' : ', resolvable: false'})`).join(' ')} { ${lines.join(' ')} }`,
      )
      resolvers[type] = {
        __resolveReference: (reference: Record<string, unknown>) => {
          const usable = resolvable.some((key) => reference[key] !== undefined)
          if (isReferenced || !usable)
            throw new Error(`${name} cannot find ${type} by ${Object.keys(reference).join()}`)
          return { ...reference, id: idOf(reference) }
        },
        code: ({ id }: Entity) => `c${id}`,
        place: ({ id }: Entity) => ({ row: `r${id}`, seat: `s${id}` }),
        ...Object.fromEntries(own.map((field) => [field.name, resolverOf(type, field, name)])),
      }
      if (!known.includes('code')) delete resolvers[type]?.code
      if (!known.includes('place')) delete resolvers[type]?.place
    }
    if (hasMedium) mediumParts(name, parts, resolvers)
    if (withContext !== undefined) contextParts(name, parts, query, resolvers)
    parts.push(`type Query { ${query.join(' ')} }`)
    return { sdl: parts.join('\n'), resolvers: resolvers as NonNullable<Subgraphs[string]['resolvers']> }
  }

  function rootAnys(name: string): Entity[] {
    const possible = members(name)
    return ids(`${name}Anys`).map((id, index) => ({ __typename: pickAt(hash(`${name} ${index}`), possible), id }))
  }

  /** What others require or provide of this type here. */
  function externalsOf(type: string, name: string): ReadonlySet<Field> {
    const found = new Set<Field>()
    const add = (owner: string, field: string): void => {
      const known = owner === type ? fieldOf(type, field) : undefined
      if (known !== undefined && !known.owners.includes(name)) found.add(known)
    }
    for (const each of [...[...fields.values()].flat(), ...mediumFields]) {
      if (!each.owners.includes(name)) continue
      for (const [owner, field] of each.requires?.externals ?? []) add(owner, field)
      if (each.provides !== undefined) add(each.target, each.provides)
    }
    return found
  }

  function resolverOf(type: string, field: Field, name: string) {
    return (parent: Record<string, unknown>, args: Arguments): unknown => {
      const id = String(parent.id)
      if (field.overridden === name) return field.kind === 'Int' ? -1 : undefined
      const { requires, provides } = field
      const needed = requires === undefined ? '' : ` <- ${JSON.stringify(requires.read(parent) ?? null)}`
      const value = valueOf(type, field, id, args, needed)
      const provided = provides === undefined ? undefined : fieldOf(field.target, provides)
      if (provided === undefined) return value
      const along = (each: Entity): object => ({
        ...each,
        [provided.name]: truthOf(field.target, provided, each.id, {}),
      })
      return Array.isArray(value) ? (value as Entity[]).map(along) : value === null ? null : along(value as Entity)
    }
  }

  function fieldText(field: Field, name: string): string {
    const directives = [
      ...(field.owners.length > 1 ? ['@shareable'] : []),
      ...(field.requires === undefined ? [] : [`@requires(fields: ${JSON.stringify(field.requires.selection)})`]),
      ...(field.provides === undefined ? [] : [`@provides(fields: "${field.provides}")`]),
      ...(field.overridden === undefined || field.overridden === name
        ? []
        : [`@override(from: "${field.overridden}")`]),
    ]
    const args = field.argument === 'by' ? '(by: Int = 0)' : field.argument === 'with' ? '(with: Options)' : ''
    return [`${field.name}${args}: ${typeText(field)}`, ...directives].join(' ')
  }

  function mediumParts(name: string, parts: string[], resolvers: Record<string, Record<string, unknown>>): void {
    const own = mediumFields.filter(({ owners }) => owners.includes(name))
    if (name === home) {
      parts.push('interface Medium @key(fields: "id") { id: ID! title: String }')
      for (const type of media) {
        parts.push(
          `type ${type} implements Medium @key(fields: "id") { id: ID! title: String ${type.toLowerCase()}: Int }`,
        )
        resolvers[type] = {
          __resolveReference: ({ id }: Entity) => medium(id),
          title: ({ id }: Entity) => `title ${id}`,
          [type.toLowerCase()]: ({ id }: Entity) => Number(id),
        }
      }
      resolvers.Medium = { __resolveReference: ({ id }: Entity) => medium(id) }
      return
    }
    const needed = own.flatMap(({ requires }) => requires?.externals ?? [])
    const external = mediumFields.filter((field) => needed.some(([, wanted]) => wanted === field.name))
    const lines = [
      ...own.map((field) => fieldText(field, name)),
      ...external.map((field) => `${field.name}: ${typeText(field)} @external`),
    ]
    parts.push(`type Medium @interfaceObject @key(fields: "id") { id: ID! ${lines.join(' ')} }`)
    resolvers.Medium = {
      __resolveReference: (reference: Entity) => reference,
      ...Object.fromEntries(own.map((field) => [field.name, resolverOf('Medium', field, name)])),
    }
  }

  /** A shelf's label reaches its slots by context; another subgraph adds to the slots. */
  function contextParts(
    name: string,
    parts: string[],
    query: string[],
    resolvers: Record<string, Record<string, unknown>>,
  ): void {
    if (name !== withContext) {
      if (name !== names.find((other) => other !== withContext)) return
      parts.push('type Slot @key(fields: "id") { id: ID! depth: Int }')
      resolvers.Slot = {
        __resolveReference: (reference: Entity) => reference,
        depth: ({ id }: Entity) => hash(`depth ${id}`) % 100,
      }
      return
    }
    query.push('shelves: [Shelf!]')
    parts.push(
      'type Shelf @context(name: "shelf") @key(fields: "id") { id: ID! label: String! slots: [Slot!]! }',
      'type Slot @key(fields: "id") { id: ID! tag(of: String @fromContext(field: "$shelf { label }")): String }',
    )
    const Query = resolvers.Query ?? {}
    Query.shelves = () => shelves()
    resolvers.Shelf = {
      __resolveReference: (reference: Entity) => reference,
      label: ({ id }: Entity) => `label ${id}`,
      slots: ({ id }: Entity) => slotsOf(id),
    }
    resolvers.Slot = {
      __resolveReference: (reference: Entity) => reference,
      tag: ({ id }: Entity, { of }: { of?: string }) => `${of} / ${id}`,
    }
  }

  function truth(type: string, parent: Entity & { shelf?: string }, name: string, args: Arguments): unknown {
    if (type === 'Query') {
      if (name === 'everyone') return ids(name).map((id) => ({ __typename: 'Apple', id }))
      if (name === 'shelves') return shelves()
      if (name.endsWith('Media')) return ids(name).map(medium)
      if (name.endsWith('Anys')) return rootAnys(name.slice(0, -'Anys'.length))
      return { id: (args as { id?: string }).id }
    }
    if (name === 'id') return parent.id
    if (type === 'Shelf') return name === 'label' ? `label ${parent.id}` : slotsOf(parent.id)
    if (type === 'Slot')
      return name === 'depth' ? hash(`depth ${parent.id}`) % 100 : `label ${parent.shelf} / ${parent.id}`
    if (name === 'code') return `c${parent.id}`
    if (name === 'place') return { row: `r${parent.id}`, seat: `s${parent.id}` }
    if (name === 'title') return `title ${parent.id}`
    if (name === 'film' || name === 'song') return Number(parent.id)
    const owner = media.some((each) => each === type) ? 'Medium' : type
    const field = fieldOf(owner, name)
    return field === undefined
      ? (parent as unknown as Record<string, unknown>)[name]
      : truthOf(owner, field, parent.id, args)
  }

  return { subgraphs, truth }
}

function typeText({ kind, target, nonNull }: Field): string {
  const texts: Record<Kind, string> = {
    String: 'String',
    Int: 'Int',
    Mood: 'Mood',
    Ref: target,
    Refs: `[${target}]`,
    Any: 'Any',
    Anys: '[Any!]',
    Medium: 'Medium',
  }
  return `${texts[kind]}${nonNull ? '!' : ''}`
}

/** Any of the keys names the entity. */
function idOf({ id, code, place }: Record<string, unknown>): string {
  if (typeof id === 'string') return id
  if (typeof code === 'string') return code.slice(1)
  return (place as { row: string }).row.slice(1)
}

const medium = (id: string): Entity => ({ __typename: pickAt(Number(id), media), id })
const shelves = (): Entity[] => ids('shelves').map((id) => ({ __typename: 'Shelf', id }))
const slotsOf = (shelf: string): (Entity & { shelf: string })[] =>
  ids(`slots ${shelf}`).map((id) => ({ __typename: 'Slot', id: `${shelf}-${id}`, shelf }))

function pickAt(number: number, from: readonly string[]): string {
  return from[number % from.length] ?? ''
}

function ids(place: string): string[] {
  return Array.from({ length: 1 + (hash(place) % 4) }, (_, index) => `${hash(`${place} ${index}`) % idCount}`)
}
