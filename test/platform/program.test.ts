import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, type Hashes } from './program.js'

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'golden.json'), 'utf8')) as Hashes

describe('the program that every runtime runs', () => {
  it('gives the hashes of golden.json, here as everywhere', async () => {
    const { hashes } = await run()
    const message = 'after a change of kernels that was meant: npm run test:platforms -- --update'
    expect(hashes, message).toEqual(golden)
  })
})
