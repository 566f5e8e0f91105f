import { beforeAll, describe, expect, it } from 'vitest'
import { conv2d, conv2dInputGrad, conv2dWeightGrad } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

interface Shape {
  N: number
  C: number
  H: number
  W: number
  K: number
  R: number
  S: number
  stride: number
  padding: number
  groups: number
}

interface Errors {
  passes: readonly string[]
  inputKinds: readonly string[]
  gateOf: (algorithm: string, pass: string, shape: Shape) => number
  errorsOf: (
    api: object,
    shape: Shape,
    algorithms: readonly string[],
    pass: string,
    kind: string,
    samples: number,
  ) => Record<string, number>
}

const { passes, inputKinds, gateOf, errorsOf } = (await import(
  new URL('../../bench/accuracy/errors.mjs', import.meta.url).href
)) as Errors

/** The error of one algorithm in 400 results. */
const errorOf = (given: object, shape: Shape, algorithm: string, pass: string, kind: string): number =>
  errorsOf(given, shape, [algorithm], pass, kind, 400)[algorithm] ?? NaN

const api = { conv2d, conv2dInputGrad, conv2dWeightGrad, normal, scope, tensor }

beforeAll(() => init())

const shape = (N: number, C: number, H: number, K: number, R: number, padding: number, more = {}): Shape => ({
  ...{ N, C, H, W: H, K, R, S: R, stride: 1, padding, groups: 1 },
  ...more,
})

describe('the error against float64, in units of u · Σ|w · x|', () => {
  it.each<[string, string, Shape]>([
    ['3 × 3', 'direct', shape(2, 24, 20, 16, 3, 1)],
    ['3 × 3', 'gemm', shape(2, 64, 28, 40, 3, 1)],
    ['3 × 3, many channels', 'gemm', shape(4, 300, 8, 20, 3, 1)],
    ['11 × 11, stride 4', 'gemm', shape(1, 3, 83, 24, 11, 0, { stride: 4 })],
    ['3 × 3', 'depthwise', shape(2, 16, 28, 16, 3, 1, { groups: 16 })],
    ['5 × 5', 'dense', shape(40, 64, 5, 40, 5, 0)],
    ['3 × 3', 'winograd', shape(2, 64, 28, 40, 3, 1)],
    ['3 × 3, many channels', 'winograd', shape(8, 200, 13, 20, 3, 1)],
    ['5 × 5', 'winograd', shape(4, 32, 28, 24, 5, 2)],
    ['5 × 5, small maps', 'winograd', shape(16, 32, 7, 24, 5, 2)],
    ['4 × 4', 'winograd', shape(2, 32, 28, 40, 4, 1)],
    ['7 × 7, stride 2', 'phases', shape(2, 16, 57, 24, 7, 3, { stride: 2 })],
    ['11 × 11, stride 4', 'phases', shape(2, 3, 115, 64, 11, 0, { stride: 4 })],
    ['3 × 3', 'winograd2', shape(2, 64, 28, 40, 3, 1)],
    ['7 × 7', 'fft', shape(2, 32, 30, 24, 7, 3)],
    ['15 × 15', 'fft', shape(1, 16, 40, 16, 15, 7)],
  ])('%s by %s stays below its gate in every pass, whatever the inputs', (_, algorithm, given) => {
    for (const pass of passes) {
      const errors = inputKinds.map((kind) => [kind, errorOf(api, given, algorithm, pass, kind)] as const)
      const gate = gateOf(algorithm, pass, given)
      expect(errors.filter(([, error]) => !(error <= gate))).toEqual([])
      // No result is exact: the measure sees what rounding leaves.
      expect(Math.min(...errors.map(([, error]) => error))).toBeGreaterThan(0.05)
    }
  })

  it('sees an error that is larger than rounding', () => {
    const off = {
      ...api,
      conv2d: (...given: Parameters<typeof conv2d>) => {
        const y = conv2d(...given).data()
        y[0] = (y[0] as number) * (1 + 1e-4)
        return { data: () => y }
      },
    }
    expect(errorOf(off, shape(1, 4, 8, 4, 3, 1), 'gemm', 'forward', 'mean 100')).toBeGreaterThan(6)
  })
})
