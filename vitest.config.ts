import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    setupFiles: ['test/setup.ts'],
    include: ['test/**/*.test.ts'],
    // `npm run test:page`, in a browser.
    exclude: ['test/page/**'],
    testTimeout: 120_000,
    // The two cores of a small machine.
    maxWorkers: 2,
  },
})
