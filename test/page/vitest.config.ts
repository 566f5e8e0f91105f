import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, '../..'),
    include: ['test/page/*.test.ts'],
    // Training takes its time on a slow machine.
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
})
