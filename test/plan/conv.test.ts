import { describe, expect, it } from 'vitest'
import {
  algorithms,
  algorithmsFor,
  automaticFor,
  candidatesFor,
  costOf,
  encodeConv,
  fftExtent,
  multiplyAdds,
  planConv,
  type ConvAlgorithm,
  type ConvPass,
  type ConvProblem,
} from '../../src/plan/conv.js'
import { skipsPadding } from '../../src/plan/reach.js'
import { UnsupportedError } from '../../src/runtime/errors.js'

const problem = (
  N: number,
  C: number,
  H: number,
  K: number,
  R: number,
  more: Partial<ConvProblem> = {},
): ConvProblem => {
  const base = {
    N,
    C,
    K,
    groups: 1,
    flip: false,
    input: [H, H],
    kernel: [R, R],
    stride: [1, 1],
    dilation: [1, 1],
    lo: [0, 0],
    hi: [0, 0],
  }
  const merged = { ...base, ...more }
  const output = merged.input.map(
    (n, i) =>
      Math.floor(
        (n + merged.lo[i]! + merged.hi[i]! - merged.dilation[i]! * (merged.kernel[i]! - 1) - 1) / merged.stride[i]!,
      ) + 1,
  )
  return { ...merged, output }
}

/** The same of so many equal directions. */
const along = (directions: number, n: number, r: number, C = 8, K = 8): ConvProblem => {
  const all = (value: number): number[] => new Array<number>(directions).fill(value)
  const windows = { stride: all(1), dilation: all(1), lo: all(0), hi: all(0) }
  return problem(1, C, n, K, r, { input: all(n), kernel: all(r), ...windows })
}

const same = { lo: [1, 1], hi: [1, 1] }

describe('the choice of an algorithm', () => {
  it.each<[string, ConvProblem, string]>([
    ['VGG 64 × 224²', problem(1, 64, 224, 64, 3, same), 'winograd'],
    ['VGG 512 × 14²', problem(1, 512, 14, 512, 3, same), 'winograd'],
    ['MNIST 32 × 12², 5 × 5', problem(128, 32, 12, 64, 5), 'winograd'],
    ['GoogLeNet 192 × 7²', problem(1, 192, 7, 384, 3, same), 'winograd'],
    ['AlexNet 3 × 227², 11 × 11 s4', { ...problem(1, 3, 227, 96, 11), stride: [4, 4], output: [55, 55] }, 'phases'],
    ['64 × 3²', problem(1, 64, 3, 64, 3, same), 'winograd2'],
    ['64 × 56², 11 × 11', problem(1, 64, 56, 64, 11), 'fft'],
    ['64 × 56², 31 × 31', problem(1, 64, 56, 64, 31), 'fft'],
    ['64 × 56², 11 × 15', problem(1, 64, 56, 64, 11, { kernel: [11, 15] }), 'fft'],
    ['64 × 4096, 128', along(1, 4096, 128, 64, 64), 'fft'],
    ['16 × 24³, 9 × 9 × 9', along(3, 24, 9, 16, 16), 'fft'],
    ['MNIST 1 × 28², 5 × 5', problem(128, 1, 28, 32, 5), 'gemm'],
    ['1 × 1', problem(1, 64, 56, 64, 1), 'gemm'],
    ['depthwise', problem(1, 128, 56, 128, 3, { ...same, groups: 128 }), 'depthwise'],
    ['stride 2', problem(1, 64, 56, 64, 3, { stride: [2, 2] }), 'gemm'],
  ])('takes the fastest measured for %s', (_, given, expected) => {
    expect(planConv(given, 'fwd')).toBe(expected)
  })

  it('leaves to Fourier transforms unasked what takes little memory by them', () => {
    const reasonOf = (given: ConvProblem): string | undefined =>
      candidatesFor(given, 'fwd').find(({ algorithm }) => algorithm === 'fft')?.reason
    expect(reasonOf(problem(1, 256, 64, 128, 31))).toBeUndefined()
    expect(reasonOf(problem(1, 256, 64, 256, 31))).toBe('kept for 32768 filters at most')
    // One of 32 points takes half as much.
    expect(fftExtent(problem(1, 128, 128, 128, 25))).toBe(64)
    expect(fftExtent(problem(1, 256, 128, 256, 25))).toBe(32)
    expect(reasonOf(along(3, 48, 5, 32, 16))).toBeUndefined()
    expect(reasonOf(along(3, 96, 5, 32, 16))).toBe('kept for inputs of which 128 MiB are copied at most')
    expect(planConv(along(3, 96, 5, 32, 16), 'fwd', 'fft')).toBe('fft')
  })

  it('takes for 13 taps a side and fewer transforms of 16 or 32 points, as fast as those of 64 at most', () => {
    for (const side of [64, 224, 512]) expect(fftExtent(problem(1, 64, side, 64, 13))).toBeLessThan(64)
    expect(fftExtent(problem(1, 64, 128, 64, 25))).toBe(64)
  })

  it('takes for the gradients of the MNIST network what was measured faster', () => {
    expect(planConv(problem(128, 1, 28, 32, 5), 'dw')).toBe('gemm')
    expect(planConv(problem(128, 32, 12, 64, 5), 'dx')).toBe('fft')
  })

  it('takes the filter gradient from Winograd where the forward pass is, with many channels', () => {
    expect(planConv(problem(32, 64, 32, 64, 3, same), 'dw')).toBe('winograd')
    expect(planConv(problem(128, 32, 12, 64, 5), 'dw')).toBe('winograd')
  })

  it('keeps Winograd, which errs by whole tiles, from maps of one row or column unless it is asked for', () => {
    const automatic = (size: number) => automaticFor(problem(1, 16, size, 120, 5), 'dw')
    expect(automatic(6)).toContain('winograd')
    expect(automatic(5)).not.toContain('winograd')
    expect(planConv(problem(1, 16, 5, 120, 5), 'dw', 'winograd')).toBe('winograd')
  })

  it('leaves out what cannot do a pass, and says why when it is asked for', () => {
    const others = ['dense', 'depthwise', 'phases']
    const possible = Object.keys(algorithms).filter((name) => !others.includes(name))
    expect(algorithmsFor(problem(1, 8, 8, 8, 3), 'fwd')).toEqual(possible)
    expect(algorithmsFor(problem(1, 8, 8, 8, 7), 'dw')).toEqual(possible.filter((name) => !/^winograd/.test(name)))
    const strided = problem(1, 8, 8, 8, 3, { stride: [2, 1] })
    expect(() => planConv(strided, 'fwd', 'winograd')).toThrow(UnsupportedError)
    expect(() => planConv(strided, 'fwd', 'winograd')).toThrow(
      `algorithm 'winograd' cannot do this (stride and dilation must be 1); use ${algorithmsFor(strided, 'fwd').join(', ')} or auto`,
    )
    expect(() => planConv(problem(1, 8, 8, 8, 6), 'fwd', 'winograd')).toThrow(/must be 3 × 3, 4 × 4 or 5 × 5/)
  })

  it.each<[ConvAlgorithm, ConvProblem, string]>([
    ['dense', problem(1, 8, 8, 8, 3), 'the kernel must be as large as the input'],
    ['dense', problem(1, 8, 8, 8, 8, { groups: 2 }), 'groups must be 1, and the kernel not flipped'],
    ['depthwise', problem(1, 8, 8, 8, 3), 'each group must have one input channel'],
    ['winograd', problem(1, 8, 8, 8, 7), 'the kernel must be 3 × 3, 4 × 4 or 5 × 5'],
    ['winograd', problem(1, 8, 8, 8, 3, { kernel: [3, 5] }), 'the kernel must be 3 × 3, 4 × 4 or 5 × 5'],
    ['phases', problem(1, 8, 8, 8, 5), 'the kernel must be square, and the stride one for both directions, 2 or more'],
    ['phases', problem(1, 8, 9, 8, 5, { stride: [2, 2], dilation: [2, 2] }), 'dilation must be 1'],
    ['phases', problem(1, 8, 9, 8, 3, { stride: [2, 2] }), 'three to five times as wide as the stride'],
    ['winograd2', problem(1, 8, 8, 8, 5), 'the kernel must be 3 × 3'],
    ['winograd2', problem(1, 8, 8, 8, 3, { dilation: [2, 2] }), 'stride and dilation must be 1'],
    ['fft', problem(1, 8, 80, 8, 62), 'the kernel must have 2 taps or more, and at most 61 a side, 1952 in a line'],
    ['fft', problem(1, 8, 40, 8, 1), 'the kernel must have 2 taps or more, and at most 61 a side, 1952 in a line'],
    ['fft', problem(1, 8, 40, 8, 7, { stride: [2, 2] }), 'stride and dilation must be 1'],
    ['fft', along(1, 4000, 1953), 'the kernel must have 2 taps or more, and at most 61 a side, 1952 in a line'],
    ['fft', along(3, 80, 62), 'the kernel must have 2 taps or more, and at most 61 a side, 1952 in a line'],
  ])('refuses %s for what it cannot do, and lists what can', (algorithm, given, reason) => {
    const possible = algorithmsFor(given, 'fwd')
    expect(possible).toEqual(expect.arrayContaining(['direct', 'gemm']))
    expect(possible).not.toContain(algorithm)
    const asked = () => planConv(given, 'fwd', algorithm)
    expect(asked).toThrow(UnsupportedError)
    expect(asked).toThrow(reason)
    expect(asked).toThrow(`use ${possible.join(', ')} or auto`)
    for (const able of possible) expect(planConv(given, 'fwd', able)).toBe(able)
  })

  it('says so when there is no such algorithm', () => {
    expect(() => planConv(problem(1, 8, 8, 8, 3), 'fwd', 'fastest' as ConvAlgorithm)).toThrow(
      /algorithm 'fastest' cannot do this \(there is no such algorithm\); use direct, .*gemm/,
    )
  })

  it('lets a gradient fall back where the forward pass can do what was asked for', () => {
    const given = problem(1, 8, 8, 8, 3, { groups: 8, stride: [2, 2] })
    expect(planConv(given, 'dw', 'depthwise')).toBe('depthwise')
    expect(['direct', 'gemm']).toContain(planConv(given, 'dx', 'depthwise'))
  })

  it('has a finite cost above zero for every algorithm and pass, in one to three directions', () => {
    const line = { input: [40], kernel: [3], stride: [1], dilation: [1], lo: [0], hi: [0] }
    const space = { ...{ input: [8, 9, 7], kernel: [3, 2, 3], stride: [1, 2, 1], dilation: [1, 1, 2] } }
    const given = [
      problem(2, 8, 8, 8, 3),
      problem(1, 16, 8, 16, 8),
      problem(8, 16, 8, 16, 8),
      problem(2, 8, 9, 8, 3, { groups: 8 }),
      problem(2, 8, 9, 8, 3, { groups: 8, stride: [2, 2] }),
      problem(2, 8, 9, 8, 5, { stride: [2, 2] }),
      problem(2, 8, 8, 8, 3, line),
      problem(2, 8, 8, 8, 3, { ...space, lo: [1, 0, 2], hi: [0, 0, 0] }),
    ]
    const seen = new Set<string>()
    for (const one of given) {
      for (const pass of ['fwd', 'dx', 'dw'] as const satisfies ConvPass[]) {
        for (const name of algorithmsFor(one, pass)) {
          const cost = costOf(one, pass, name)
          expect(cost).toBeGreaterThan(0)
          expect(cost).toBeLessThan(1e9)
          seen.add(`${name} ${pass}`)
        }
      }
    }
    expect(seen.size).toBe(3 * Object.keys(algorithms).length)
  })

  it('counts the packing of weights but for the forward pass of one image', () => {
    const cost = (N: number, pass: ConvPass) => costOf(problem(N, 512, 14, 512, 3, same), pass, 'winograd')
    expect(cost(2, 'fwd')).toBeGreaterThan(2.5 * cost(1, 'fwd'))
    expect(cost(2, 'dx')).toBeLessThan(2 * cost(1, 'dx'))
  })

  it('counts the work of the definition, and encodes every field', () => {
    expect(multiplyAdds(problem(2, 3, 5, 4, 3))).toBe(2 * 4 * 3 * 9 * 9)
    const fields = [2, 3, 4, 1, 1, 5, 5, 1, 3, 3, 1, 5, 5, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]
    expect([...encodeConv(problem(2, 3, 5, 4, 3, same), 'location')]).toEqual([...fields, 2, 0, 0, 0])
    expect([...encodeConv(problem(2, 3, 5, 4, 3, same), 'channel', true)]).toEqual([...fields, 1, 1, 0, 0])
  })
})

describe('in three dimensions', () => {
  const volume = (zeros: number, K = 2): ConvProblem => {
    const input = [6, 4, 5]
    const kernel = [2, 1, 5]
    const lo = [0, 2, 0]
    const hi = [0, 1, zeros]
    const output = input.map((n, axis) => n + lo[axis]! + hi[axis]! - kernel[axis]! + 1)
    const [stride, dilation] = [
      [1, 1, 1],
      [1, 1, 1],
    ]
    return { N: 1, C: 16, K, groups: 1, flip: false, input, kernel, stride, dilation, lo, hi, output }
  }

  it('planes of padding are not made again for each block of pixels, where that is most of the work', () => {
    expect(planConv(volume(100), 'fwd')).toBe('gemm')
    expect(planConv(volume(8192), 'fwd')).toBe('direct')
    expect(() => planConv(volume(8192), 'fwd', 'gemm')).toThrow(/far more padding than input/)
    // Wide filters are worth it.
    expect(algorithmsFor(volume(8192, 256), 'fwd')).toContain('gemm')
    expect(algorithmsFor(volume(8192), 'dw')).toContain('gemm')
  })
})

describe('windows of which next to no tap meets the input', () => {
  const wide = { N: 1, C: 1, K: 1, groups: 1, flip: false, dilation: [1], stride: [3], input: [2] }
  const problem = { ...wide, kernel: [30_223], output: [10_075], lo: [30_222], hi: [30_222] }

  it('are visited by the direct algorithm where they meet it, and by nothing else', () => {
    expect(skipsPadding(problem)).toBe(true)
    for (const pass of ['fwd', 'dx', 'dw'] as const) {
      expect(planConv(problem, pass)).toBe('direct')
      expect(costOf(problem, pass, 'direct')).toBeLessThan(1e6)
    }
  })

  it('are none of ordinary ones, whose infinite weights meet the zeros around', () => {
    const ordinary = [
      { ...wide, kernel: [3], output: [4], lo: [2], hi: [2] },
      { ...wide, input: [4096], kernel: [4096], output: [8191], stride: [1], lo: [4095], hi: [4095] },
      { ...wide, input: [224, 224], kernel: [11, 11], output: [55, 55], stride: [4, 4], dilation: [1, 1], lo: [2, 2], hi: [1, 1] }, // prettier-ignore
    ]
    for (const each of ordinary) expect(skipsPadding(each)).toBe(false)
  })
})
