import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    // One copy of graphql: without it Vite loads the ESM build beside the CommonJS one that Apollo requires.
    alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['node_modules/**'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Against hanging alone: a machine may be many times slower than the one that a test was written on.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 120_000,
    expect: { poll: { timeout: 90_000, interval: 25 } },
    sequence: { shuffle: { files: true } },
    allowOnly: false,
  },
})
