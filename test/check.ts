import { spawn } from 'node:child_process'
import { layerViolations, readSources } from './architecture/layers.ts'

/** `npm run check`: every check runs, at once; the first line of a failure names the command that shows it. */
const commands: Record<string, string[]> = {
  format: ['oxfmt', '--check'],
  lint: ['oxlint', '--type-aware', '--deny-warnings'],
  types: ['tsc', '--noEmit'],
  'dead code': ['knip', '--no-progress'],
  'generated files': ['node', 'schema/compose.ts', '--stale'],
}

const root = new URL('..', import.meta.url).pathname
let failed = false

function report(name: string, output: string): void {
  failed = true
  console.error(`✗ ${name}\n${output}\n`)
}

const violations = layerViolations(readSources(root))
if (violations.length > 0) report('layers', violations.join('\n'))

await Promise.all(
  Object.entries(commands).map(async ([name, [command = '', ...args]]) => {
    const { code, output } = await run(command, args)
    if (code !== 0) report(`${name} (npm exec -- ${[command, ...args].join(' ')})`, output)
  }),
)
if (failed) process.exit(1)
console.log(`check passed: layers, ${Object.keys(commands).join(', ')}`)

function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}
