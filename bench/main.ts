import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * `npm run bench -- NAME [options]`: runs `bench/NAME.ts` or `bench/NAME/main.ts`, each with its options as arguments and
 * its results as JSON lines on standard output; words for people go to standard error.
 */
const here = fileURLToPath(new URL('.', import.meta.url))
const benches = new Map(
  readdirSync(here, { withFileTypes: true }).flatMap((entry): [string, string][] => {
    if (entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'main.ts') {
      return [[entry.name.slice(0, -'.ts'.length), `${here}${entry.name}`]]
    }
    const main = `${here}${entry.name}/main.ts`
    return entry.isDirectory() && existsSync(main) ? [[entry.name, main]] : []
  }),
)

const name = process.argv[2] ?? ''
const file = benches.get(name)
if (file === undefined) {
  console.error(`npm run bench -- NAME, where NAME is one of: ${[...benches.keys()].sort().join(', ')}`)
  process.exitCode = 2
} else {
  process.argv.splice(2, 1)
  await import(file)
}
