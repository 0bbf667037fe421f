import { expect, test } from 'vitest'
import { layerViolations, readSources } from './layers.ts'

test('every import keeps to the layer table', () => {
  const files = readSources(new URL('../..', import.meta.url).pathname)
  expect(files.length).toBeGreaterThan(5)
  expect(layerViolations(files)).toEqual([])
})

test.each([
  ['a gateway that reaches into the store', 'gateway/edge.ts', '../store/store.ts'],
  ['core that imports anything of ours', 'core/ids.ts', '../store/store.ts'],
  ['one subgraph importing another', 'subgraphs/records/resolvers.ts', '../companies/resolvers.ts'],
  ['the verifier leaning on the appender', 'ledger/verify/bundle.ts', '../append.ts'],
  ['a worker that imports the gateway', 'workers/relay.ts', '../gateway/server.ts'],
])('%s is a violation', (_name, path, specifier) => {
  expect(layerViolations([{ path, text: `import { x } from '${specifier}'\n` }])).toHaveLength(1)
  expect(layerViolations([{ path, text: `const x = await import('${specifier}')\n` }])).toHaveLength(1)
})

test('a folder that is not in the table is a violation', () => {
  expect(layerViolations([{ path: 'utils/helpers.ts', text: '' }])).toHaveLength(1)
})
