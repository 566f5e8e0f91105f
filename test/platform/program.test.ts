import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hashesOfIntegers, run, type Hashes } from './program.js'
import { init, runtimeInfo } from '../../src/index.js'

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'golden.json'), 'utf8')) as Hashes

describe('operations of integers', () => {
  it('give the hashes of golden.json in loops, before their kernels are loaded', async () => {
    await init()
    expect(runtimeInfo().kernels).not.toContain('integer_conv_fwd')
    expect(golden).toMatchObject(await hashesOfIntegers())
  })
})

describe('the program that every runtime runs', () => {
  it('gives the hashes of golden.json, here as everywhere', async () => {
    const { hashes } = await run()
    const message = 'after a change of kernels that was meant: npm run test:platforms -- --update'
    expect(hashes, message).toEqual(golden)
  })
})
