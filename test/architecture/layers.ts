import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** Folder -> the folders of ours that it may import, besides itself. The design's table; `all` is every folder listed. */
const mayImport: Record<string, readonly string[] | 'all'> = {
  core: [],
  schema: ['core'],
  store: ['core'],
  ledger: ['core', 'store'],
  events: ['core', 'store', 'ledger'],
  cache: ['core'],
  access: ['core', 'store'],
  network: ['core', 'store', 'ledger'],
  jobs: ['core', 'store'],
  webhooks: ['core', 'store', 'jobs'],
  loaders: ['core', 'store', 'cache', 'ledger'],
  subgraphs: [
    'core',
    'schema',
    'store',
    'ledger',
    'events',
    'cache',
    'access',
    'network',
    'jobs',
    'webhooks',
    'loaders',
  ],
  gateway: ['core', 'schema', 'events', 'cache', 'access'],
  workers: ['core', 'schema', 'store', 'ledger', 'events', 'cache', 'access', 'network', 'jobs', 'webhooks', 'loaders'],
  app: 'all',
  bench: 'all',
  test: 'all',
  deploy: ['core', 'access', 'ledger'],
  // Programs of users: they know the product by its protocols alone.
  docs: [],
}

/** The verifier is read by auditors: it may lean on core and on nothing the appender uses. */
const verifierMayImport = ['core', 'ledger/verify', 'ledger/merkle.ts', 'ledger/proof']

export type SourceFile = { path: string; text: string }

/** `from '…'`, `import '…'` and `import('…')` with a relative path. */
const importPattern = /(?:\bfrom\s+|\bimport\s+|\bimport\()\s*'(\.{1,2}\/[^']+)'/g

/** One sentence for every import that the table forbids; empty when it is kept. */
export function layerViolations(files: readonly SourceFile[]): string[] {
  const violations: string[] = []
  for (const { path, text } of files) {
    const from = folderOf(path)
    const allowed = mayImport[from]
    if (allowed === undefined) {
      if (path.includes('/')) violations.push(`${path}: the folder "${from}" is not in the layer table`)
      continue
    }
    for (const [, specifier] of text.matchAll(importPattern)) {
      const target = relative('/', resolve('/', dirname(path), specifier ?? ''))
      const to = folderOf(target)
      if (path.startsWith('ledger/verify/') && !verifierMayImport.some((prefix) => target.startsWith(prefix))) {
        violations.push(`${path}: the verifier may not import ${target}`)
      }
      if (from === 'subgraphs' && to === 'subgraphs' && subgraphOf(path) !== subgraphOf(target)) {
        if (subgraphOf(target).includes('.') || subgraphOf(path).includes('.')) continue
        violations.push(`${path}: a subgraph may not import another (${target})`)
      }
      if (from === 'subgraphs' && target.startsWith('cache/drivers/')) {
        violations.push(`${path}: subgraphs may not import cache drivers (${target})`)
      }
      if (to !== from && allowed !== 'all' && !allowed.includes(to)) {
        violations.push(`${path}: "${from}" may not import "${to}" (${target})`)
      }
    }
  }
  return violations
}

export function readSources(root: string): SourceFile[] {
  // Folders are left out before they are read: others may be at work in them.
  const within = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return /^(node_modules|\..*)$/.test(entry.name) ? [] : within(path)
      return entry.isFile() && entry.name.endsWith('.ts') ? [path] : []
    })
  return within('').map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

const folderOf = (path: string): string => path.split('/')[0] ?? ''
const subgraphOf = (path: string): string => path.split('/')[1] ?? ''
