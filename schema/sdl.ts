import { readFileSync } from 'node:fs'

export const subgraphNames = ['records', 'companies', 'ops'] as const
export type SubgraphName = (typeof subgraphNames)[number]

/** The committed schema of one subgraph, as text. */
export function subgraphSdl(name: SubgraphName): string {
  return readFileSync(new URL(`${name}.graphql`, import.meta.url), 'utf8')
}

/** The committed, composed schema that the gateway loads by default. */
export function supergraphSdl(): string {
  return readFileSync(new URL('supergraph.graphql', import.meta.url), 'utf8')
}
