import {
  buildASTSchema,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
} from 'graphql'

const scalars: Record<string, string> = {
  ID: 'string',
  String: 'string',
  Int: 'number',
  Float: 'number',
  Boolean: 'boolean',
  Position: 'string',
  DateTime: 'string',
  JSON: 'unknown',
  StreamVersion: "number | 'none' | 'any'",
}
const roots = ['Query', 'Mutation', 'Subscription']

/** A forgotten resolver would answer null, or fail where the field may not be null, in the running product only. */
const fieldsHelper = `/** Optional is what need not be given; all else is required. */
type Needed<All> = { [K in keyof All as object extends All[K] ? never : K]: All[K] } & {
  [K in keyof All as object extends All[K] ? K : never]?: All[K]
}

/** Of the fields, those that the object holds under their names, as the schema has them, need no resolver. */
type Fields<Parent, Held, All> = {
  [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? never : K) : K]: All[K]
} & { [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? K : never) : never]?: All[K] }`

/**
 * TypeScript for one subgraph's resolvers, from its schema: the types of inputs, enums and arguments, and a `Resolvers`
 * map that checks every resolver's arguments and result against the values that stand for objects (`Objects`).
 */
export function resolverTypes(sdl: string): string {
  const types = Object.values(buildASTSchema(parse(sdl), { assumeValidSDL: true }).getTypeMap())
    .filter((type) => !type.name.startsWith('__') && type.name !== 'CacheControlScope')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const objects = types.filter(isObjectType)
  return `${[
    '// Written by `npm run schema`; not edited by hand.',
    "import type { GraphQLResolveInfo } from 'graphql'",
    'type Resolver<Parent, Args, Context, Result> = (\n  parent: Parent,\n  args: Args,\n  context: Context,\n  info: GraphQLResolveInfo,\n) => Result | Promise<Result>',
    fieldsHelper,
    ...types.flatMap(declaration),
    ...objects.flatMap(argumentTypes),
    `export interface Objects {\n${objects
      .filter(({ name }) => !roots.includes(name))
      .map(({ name }) => `  ${name}: unknown\n`)
      .join('')}}`,
    `export type Resolvers<Context, O extends Objects> = Needed<{\n${objects.map(resolverMap).join('')}}>`,
  ].join('\n\n')}\n`
}

function declaration(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) {
    const values = type.getValues().map(({ name }) => `'${name}'`)
    return [`export type ${type.name} = ${values.join(' | ')}`]
  }
  if (!isInputObjectType(type)) return []
  return [`export interface ${type.name} {\n${Object.values(type.getFields()).map(inputField).join('')}}`]
}

function argumentTypes(type: GraphQLObjectType): string[] {
  return Object.values(type.getFields())
    .filter(({ args }) => args.length > 0)
    .map((field) => `export interface ${argsName(type, field.name)} {\n${field.args.map(inputField).join('')}}`)
}

/** An input with a default is always there, though it may be null. */
function inputField(field: GraphQLInputField | GraphQLArgument): string {
  const optional = !isNonNullType(field.type) && field.defaultValue === undefined
  return `  ${field.name}${optional ? '?' : ''}: ${inputType(field.type)}${optional ? ' | undefined' : ''}\n`
}

function inputType(type: GraphQLType): string {
  return nullable(type, (inner) => {
    if (isListType(inner)) return `readonly ${parenthesized(inputType(inner.ofType))}[]`
    return scalars[String(inner)] ?? String(inner)
  })
}

function resolverMap(type: GraphQLObjectType): string {
  const root = roots.includes(type.name)
  const parent = root ? 'unknown' : `O['${type.name}']`
  const fields = Object.values(type.getFields())
  const resolvers = fields.map((field) => {
    const args = field.args.length > 0 ? argsName(type, field.name) : 'Record<string, never>'
    const result = outputType(field.type)
    const resolver = `Resolver<${parent}, ${args}, Context, ${result}>`
    const subscription = `{ subscribe: Resolver<unknown, ${args}, Context, AsyncIterable<${result}>>; resolve: (event: ${result}) => ${result} }`
    return `    ${field.name}: ${type.name === 'Subscription' ? subscription : resolver}\n`
  })
  if (root) return `  ${type.name}: {\n${resolvers.join('')}  }\n`
  // What depends on arguments no object can hold.
  const held = fields
    .filter(({ args }) => args.length === 0)
    .map((field) => `    ${field.name}: ${outputType(field.type)}\n`)
  const keyed = type.astNode?.directives?.some(({ name }) => name.value === 'key') === true
  const reference = keyed
    ? `{ __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<${parent} | null> } & `
    : ''
  return `  ${type.name}: ${reference}Fields<${parent}, {\n${held.join('')}  }, {\n${resolvers.join('')}  }>\n`
}

function outputType(type: GraphQLType): string {
  return nullable(type, (inner) => {
    if (isListType(inner)) return `readonly ${parenthesized(outputType(inner.ofType))}[]`
    return isObjectType(inner) ? `O['${inner.name}']` : (scalars[String(inner)] ?? String(inner))
  })
}

function nullable(type: GraphQLType, of: (inner: GraphQLType) => string): string {
  return isNonNullType(type) ? of(type.ofType) : `${of(type)} | null`
}

const parenthesized = (type: string): string => (type.includes(' ') ? `(${type})` : type)
const argsName = (type: GraphQLObjectType, field: string): string =>
  `${type.name}${field.slice(0, 1).toUpperCase()}${field.slice(1)}Args`
