import { readFileSync, writeFileSync } from 'node:fs'
import { composeServices } from '@apollo/composition'
import { parse } from 'graphql'
import { subgraphNames, subgraphSdl } from './sdl.ts'

/** `npm run schema` writes the supergraph; `--stale` only says whether the committed one is out of date (exit code 1). */
const supergraphPath = new URL('supergraph.graphql', import.meta.url)

const result = composeServices(
  subgraphNames.map((name) => ({ name, url: `inproc://${name}`, typeDefs: parse(subgraphSdl(name)) })),
)
if (result.errors !== undefined) {
  console.error(result.errors.map((error) => error.message).join('\n'))
  process.exit(1)
}
if (process.argv.includes('--stale')) {
  if (readFileSync(supergraphPath, 'utf8') !== result.supergraphSdl) {
    console.error('schema/supergraph.graphql is stale: run "npm run schema" and commit the result')
    process.exit(1)
  }
} else {
  writeFileSync(supergraphPath, result.supergraphSdl)
}
