import { useWay } from './harness.ts'

/** Everything that holds of the edge holds when documents are known, too: the same tests again, by the shorter way. */
useWay('known')
await import('./http.test.ts')
await import('./caching.test.ts')
await import('./audit.test.ts')
