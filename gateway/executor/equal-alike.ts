/**
 * Which fetches bring equal objects that stay equal: then what their answers hold twice at one path may be one object
 * from the start. Objects grow by what later fetches bring. What is fetched for them, or for something below them, is the
 * same for equal ones; what a fetch further up brings into them may differ by their parents.
 */
import { Kind, type DocumentNode, type SelectionSetNode } from 'graphql'

interface Fetch {
  readonly path: readonly string[]
  readonly document: () => DocumentNode
  /** Present for entity fetches. */
  readonly representations: object | undefined
  readonly outputRewrites: readonly unknown[]
}

/** @param isOver whether `other` is over before `fetch` starts */
export function withEqualAlike<Given extends Fetch>(
  fetches: readonly Given[],
  isOver: (fetch: Given, other: Given) => boolean,
): Given[] {
  const brought = new Map(fetches.map((fetch) => [fetch, fieldsOf(fetch)]))
  return fetches.filter((fetch) => {
    const { path, all } = brought.get(fetch) ?? nothing
    return (
      fetch.outputRewrites.length === 0 &&
      fetches.every((other) => {
        if (other === fetch || isOver(fetch, other)) return true
        const { first } = brought.get(other) ?? nothing
        return first.every((field) => !all.has(field) && !path.startsWith(`${field}.`))
      })
    )
  })
}

interface Brought {
  /** Where the fetch goes, lists not told from single objects; ends with a dot, as all steps do. */
  readonly path: string
  /** Every field that it brings, and those that stand right there. `__typename` is the same for everybody. */
  readonly all: ReadonlySet<string>
  readonly first: readonly string[]
}

const nothing: Brought = { path: '', all: new Set(), first: [] }

function fieldsOf(fetch: Fetch): Brought {
  const path = fetch.path
    .filter((step) => step !== '@')
    .map((step) => `${step}.`)
    .join('')
  const all = new Set<string>()
  const first: string[] = []

  function collect(set: SelectionSetNode, place: string, level: number): void {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) throw new Error('A fetch spreads no fragments.')
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        collect(selection.selectionSet, place, level)
        continue
      }
      const name = selection.alias?.value ?? selection.name.value
      const field = level < 0 ? undefined : `${place}${name}`
      if (field !== undefined && name !== '__typename') {
        all.add(field)
        if (level === 0) first.push(field)
      }
      if (selection.selectionSet !== undefined) {
        collect(selection.selectionSet, field === undefined ? place : `${field}.`, level + 1)
      }
    }
  }
  for (const definition of fetch.document().definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) throw new Error('A fetch is one operation.')
    // Around an entity's fields is `_entities`.
    collect(definition.selectionSet, path, fetch.representations === undefined ? 0 : -1)
  }
  return { path, all, first }
}
