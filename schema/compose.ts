import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { composeServices } from '@apollo/composition'
import { parse } from 'graphql'
import { resolverTypes } from './generate.ts'
import { subgraphNames, subgraphSdl } from './sdl.ts'

/**
 * `npm run schema` writes the supergraph and the types of the resolvers; `--stale` only says whether the committed ones
 * are out of date (exit code 1).
 */
const result = composeServices(
  subgraphNames.map((name) => ({ name, url: `inproc://${name}`, typeDefs: parse(subgraphSdl(name)) })),
)
if (result.errors !== undefined) {
  console.error(result.errors.map((error) => error.message).join('\n'))
  process.exit(1)
}
const files: [name: string, text: string][] = [
  ['supergraph.graphql', result.supergraphSdl],
  ...subgraphNames.map((name): [string, string] => [`generated/${name}.ts`, resolverTypes(subgraphSdl(name))]),
]
if (process.argv.includes('--stale')) {
  const stale = files.filter(([name, text]) => read(name) !== text).map(([name]) => `schema/${name}`)
  if (stale.length > 0) {
    console.error(`stale: ${stale.join(', ')}; run "npm run schema" and commit the result`)
    process.exit(1)
  }
} else {
  mkdirSync(new URL('generated/', import.meta.url), { recursive: true })
  for (const [name, text] of files) writeFileSync(new URL(name, import.meta.url), text)
}

function read(name: string): string | null {
  try {
    return readFileSync(new URL(name, import.meta.url), 'utf8')
  } catch {
    return null
  }
}
