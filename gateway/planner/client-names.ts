/**
 * Clients name the fields of their answer as they like: `{ people { id: name notes } }`. Plans need names too: the keys
 * and required fields that lead from one subgraph to the next stand in the same data under their own names, and Apollo's
 * planner gives a client's alias and a key the same place (the client above would get the key). Here such aliases get
 * another name while the plan is made and run, and their own in the answer.
 */
import { Kind, parse, visit, type DocumentNode, type FieldNode } from 'graphql'

export interface ClientNames {
  /** The document for the planner. */
  readonly document: DocumentNode
  /** The client's name of what is called `name` in the data. */
  restore(name: string): string
  /** Whether any name differs. */
  readonly changed: boolean
}

/** The names of all fields that plans may need on the way: parts of keys and of requirements. */
export function namesOnTheWay(supergraph: DocumentNode): ReadonlySet<string> {
  const names = new Set(['__typename'])
  visit(supergraph, {
    Directive(directive) {
      if (directive.name.value !== 'join__type' && directive.name.value !== 'join__field') return
      for (const { name, value } of directive.arguments ?? []) {
        if ((name.value !== 'key' && name.value !== 'requires') || value.kind !== Kind.STRING) continue
        visit(parse(`{ ${value.value} }`, { noLocation: true }), { Field: (field) => void names.add(field.name.value) })
      }
    },
  })
  return names
}

export function separateClientNames(document: DocumentNode, onTheWay: ReadonlySet<string>): ClientNames {
  const isTaken = (field: FieldNode): boolean => {
    const name = field.alias?.value ?? field.name.value
    if (!onTheWay.has(name)) return false
    return name !== field.name.value || (field.arguments ?? []).length > 0
  }
  const own = new Set<string>()
  let taken = false
  visit(document, {
    Field(field) {
      own.add(field.alias?.value ?? field.name.value)
      taken ||= isTaken(field)
    },
  })
  if (!taken) return { document, restore: (name) => name, changed: false }
  let prefix = 'c_'
  while ([...own].some((name) => name.startsWith(prefix))) prefix = `c${prefix}`
  return {
    document: visit(document, {
      Field(field) {
        if (!isTaken(field)) return undefined
        const value = prefix + (field.alias?.value ?? field.name.value)
        return { ...field, alias: { kind: Kind.NAME as const, value } }
      },
    }),
    restore: (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name),
    changed: true,
  }
}
