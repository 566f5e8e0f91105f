/** Tests with other programs: workerd, bundlers, browsers. `npm install` in this folder first. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/platform/**/*.spec.mjs'],
    testTimeout: 400_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
})
