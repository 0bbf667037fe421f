export interface PageInfo {
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  readonly startCursor: string | null
  readonly endCursor: string | null
}

export interface Connection<T> {
  readonly edges: readonly { readonly cursor: string; readonly node: T }[]
  readonly nodes: readonly T[]
  readonly pageInfo: PageInfo
}

/** A Relay connection of one page. */
export function connectionOf<T>(
  page: { readonly edges: readonly { readonly cursor: string; readonly node: T }[]; readonly hasNextPage: boolean },
  hasPreviousPage: boolean,
): Connection<T> {
  return {
    edges: page.edges,
    nodes: page.edges.map(({ node }) => node),
    pageInfo: {
      hasNextPage: page.hasNextPage,
      hasPreviousPage,
      startCursor: page.edges.at(0)?.cursor ?? null,
      endCursor: page.edges.at(-1)?.cursor ?? null,
    },
  }
}
