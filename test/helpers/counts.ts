/** What is counted of the passes, beside what their kernels say of the same problems: the division of the work, and packed sizes. */
import { expect, it } from 'vitest'
import {
  adjointProblem,
  algorithms,
  algorithmsFor,
  encodeConv,
  fftExtent,
  planarOf,
  type ConvProblem,
} from '../../src/plan/conv.js'
import { gatheringOf } from '../../src/plan/gather.js'
import { kernels, withIntegers } from '../../src/runtime/core.js'
import { describeConv } from '../../src/ops/conv.js'

/** Numbers by a seed (xorshift). */
function numbers(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % most
  }
}

/** Convolutions whose extents reach every block: few and many channels, maps from one pixel on, batches, groups. */
function problems(count: number): ConvProblem[] {
  const below = numbers(7)
  const one = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const found: ConvProblem[] = []
  while (found.length < count) {
    const directions = one([1, 2, 2, 2, 3])
    const groups = one([1, 1, 1, 2, 3])
    const [C, K] = [one([1, 3, 8, 16, 40, 129]), one([1, 5, 6, 11, 32, 97])]
    const kernel = Array<number>(directions).fill(one([1, 2, 3, 4, 5, 7]))
    const input = kernel.map((extent) => extent - 1 + one([1, 2, 8, 12, 20, 24, 33, 64, 257]))
    const stride = one([1, 1, 1, 2])
    if (C * K * input.reduce((a, b) => a * b) > 2 ** 24) continue
    const x = [one([1, 2, 5, 17]), C * groups, ...input]
    const w = [K * groups, C, ...kernel]
    found.push(
      describeConv('conv', directions, x, w, { groups, stride, padding: one(['valid', 'same'] as const) }).problem,
    )
  }
  return found
}

const ask = <T>(problem: ConvProblem, question: (shape: number) => T): T =>
  withIntegers(encodeConv(problem, 'none', false, gatheringOf(problem)), question)

export function countsAgree(): void {
  const cases = problems(400)

  it('matrix products: items, runs of images and packed weights', () => {
    const k = kernels()
    let rowwise = 0
    for (const problem of cases) {
      if (!algorithmsFor(problem, 'fwd').includes('gemm')) continue
      if (gatheringOf(problem) === 'rows') rowwise++
      const { fwd, dx, dw } = algorithms.gemm.counts
      const { K, C, groups, kernel } = problem
      const weights = (K * C * kernel.reduce((a, b) => a * b)) / groups
      const said = ask(problem, (shape) => ({
        items: k.conv_gemm_fwd_items(shape),
        dxItems: k.conv_gemm_dx_items(shape),
        packed: k.conv_gemm_packed(shape) / 4,
        dwSums: Math.max(weights, k.conv_gemm_dw_sums(shape) / 4),
      }))
      expect({
        items: fwd(problem)['items'],
        dxItems: dx(problem)['items'],
        packed: fwd(problem)['packed'],
        dwSums: dw(problem)['sums'],
      }).toEqual(said)
    }
    expect(rowwise).toBeGreaterThan(10)
  })

  it.each([
    ['winograd', () => 6],
    ['winograd2', () => 4],
    ['fft', fftExtent],
  ] as const)('%s: items, runs of images and packed weights', (name, extentOf) => {
    const k = kernels()
    let compared = 0
    for (const problem of cases) {
      const possible = (['fwd', 'dx', 'dw'] as const).filter((pass) => algorithmsFor(problem, pass).includes(name))
      if (possible.length === 0) continue
      compared++
      const { fwd, dw } = algorithms[name].counts
      for (const read of possible.includes('dx') ? [problem, adjointProblem(problem)] : [problem]) {
        const extent = extentOf(read)
        const { groups } = read
        const { streamed = 0, packed = 0 } = fwd(read)
        const [items, bytes] = ask(planarOf(read, extent), (shape) => [
          k.conv_transformed_fwd_items(shape, extent),
          k.conv_transformed_packed(shape, extent),
        ])
        // Each block of tiles reads all filters, in shares of output channels.
        const blocks = streamed / packed
        const shares = items / (blocks * groups)
        expect([Number.isInteger(blocks), Number.isInteger(shares)]).toEqual([true, true])
        // What is packed of each group begins at a cache line.
        expect(Math.abs(bytes / 4 - packed)).toBeLessThanOrEqual(32 * groups * extent * extent)
      }
      if (!possible.includes('dw')) continue
      const extent = extentOf(problem)
      const planar = planarOf(problem, extent)
      const { K, C, groups, kernel } = planar
      const runs = ask(planar, (shape) => k.conv_transformed_dw_runs(shape, extent))
      const columns = Math.ceil(((extent === 6 && kernel[0] === 5 ? 4 : 1) * C) / groups / 8) * 8
      const taps = extent === 6 && kernel[0] === 5 ? 9 : kernel.reduce((a, b) => a * b)
      expect(dw(problem)['filters']).toBe(groups * runs * (K / groups) * columns * taps)
    }
    expect(compared).toBeGreaterThan(20)
  })
}
