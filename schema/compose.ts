import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { composeServices } from '@apollo/composition'
import { parse } from 'graphql'
import { schemaChanges } from './breaking-changes.ts'
import { resolverTypes } from './generate.ts'
import { subgraphNames, subgraphSdl } from './sdl.ts'

/**
 * `npm run schema` writes the supergraph and the types of the resolvers; `--stale` only says whether the committed ones
 * are out of date, and `--check` what the subgraphs as they are would break for clients of the last commit (exit code 1).
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
} else if (process.argv.includes('--check')) {
  const { breaking, dangerous } = schemaChanges(committed(), result.supergraphSdl)
  for (const change of dangerous) console.log(`dangerous: ${change}`)
  for (const change of breaking) console.log(`breaking: ${change}`)
  if (breaking.length === 0) console.log('nothing breaks')
  else process.exit(1)
} else {
  mkdirSync(new URL('generated/', import.meta.url), { recursive: true })
  for (const [name, text] of files) writeFileSync(new URL(name, import.meta.url), text)
}

/** The supergraph of the last commit; without git, the one on disk. */
function committed(): string {
  try {
    const folder = new URL('.', import.meta.url)
    return execFileSync('git', ['show', 'HEAD:./supergraph.graphql'], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  } catch {
    return read('supergraph.graphql') ?? ''
  }
}

function read(name: string): string | null {
  try {
    return readFileSync(new URL(name, import.meta.url), 'utf8')
  } catch {
    return null
  }
}
