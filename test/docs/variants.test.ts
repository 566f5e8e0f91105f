/** docs/variants.md is what the built library says about itself, without a hole that the API does not name. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const docs = new URL('../../docs/', import.meta.url)

const variants = (...args: string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('variants.mjs', docs)), ...args], { encoding: 'utf8' })

describe('docs/variants.md', () => {
  it('is what the built library gives, with nothing missing', () => {
    const { status, stderr } = variants('--check')
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it('has a row for every kind of convolution and pooling', () => {
    const page = readFileSync(new URL('variants.md', docs), 'utf8')
    expect([...page.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1])).toEqual([
      'convNd',
      'convTransposeNd',
      'locallyConnectedNd',
      'tiledConvNd',
      'separableConvNd',
      'connectedConvNd',
      'convNdWeightGrad',
      'convNdInputGrad',
      'maxPoolNd',
      'maxPoolNdWithIndices',
      'maxUnpoolNd',
      'avgPoolNd',
      'lpPoolNd',
      'weightedPoolNd',
      'adaptiveAvgPoolNd',
      'adaptiveMaxPoolNd',
      'globalAvgPool',
      'globalMaxPool',
      'maxout',
    ])
    expect(page).not.toContain('MISSING')
  })

  it.each([['--chek'], ['--check', 'more']])('explains itself when called with %s', (...args) => {
    const { status, stdout, stderr } = variants(...args)
    expect(stderr).toBe('usage: node docs/variants.mjs [--check]\n')
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
})
