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
    testTimeout: 120_000,
    hookTimeout: 180_000,
    sequence: { shuffle: { files: true } },
    allowOnly: false,
  },
})
