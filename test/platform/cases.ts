/**
 * Every operation at least once, in the shapes that reach its kernels and their remainders: inputs, and the function of
 * them whose value and gradients are hashed. The keys are the names of what the library exports.
 */
import * as t from '../../src/index.js'
import type { Tensor } from '../../src/index.js'

/** What a case gives: tensors to differentiate by and the function, or numbers as they are. */
export type Case =
  | { readonly inputs: readonly Tensor[]; readonly fn: (...inputs: Tensor[]) => Tensor }
  | { readonly numbers: readonly ArrayLike<number>[] }

/** Normal numbers; the seed is the place of the input. */
const normals = (...shapes: number[][]): Tensor[] => shapes.map((shape, seed) => t.normal(shape, { seed: seed + 1 }))
const positive = (shape: number[]): Tensor => t.uniform(shape, { seed: 9, low: 0.1, high: 3 })

const of = (shapes: number[][], fn: (...inputs: Tensor[]) => Tensor) => (): Case => ({ inputs: normals(...shapes), fn })
const numbers =
  (...make: (() => ArrayLike<number>)[]) =>
  (): Case => ({ numbers: make.map((each) => each()) })

/** x (2, 4, 7), (2, 4, 7, 6) or (2, 4, 5, 7, 6). */
const volume = (directions: number): number[] => [2, 4, ...[5, 7, 6].slice(3 - Math.max(directions, 1))]

type Convolution = (x: Tensor, w: Tensor, options: t.ConvOptions) => Tensor

const convolutions = (directions: number, conv: Convolution): (() => Case)[] => {
  const kernel = [2, 3, 3].slice(3 - directions)
  const of3 = (options: t.ConvOptions, groups = 1) =>
    of([volume(directions), [6, 4 / groups, ...kernel], [6]], (x, w, bias) => conv(x, w, { ...options, groups, bias }))
  return [
    of3({}),
    of3({ algorithm: 'direct', padding: 'same' }),
    of3({ algorithm: 'gemm', padding: 'full', stride: 2 }),
    of3({ flip: true, dilation: 2, padding: 2 }),
    of3({ padding: 1, paddingMode: 'reflect' }, 2),
  ]
}

const square = (channels: number, K: number, kernel: number, options: t.ConvOptions, extent = 11) =>
  of(
    [
      [2, channels, extent, extent],
      [K, channels / (options.groups ?? 1), kernel, kernel],
    ],
    (x, w) => t.conv2d(x, w, options),
  )

/** A convolution for each algorithm by name: a test demands that none is missing. */
export const byAlgorithm: Readonly<Record<string, () => Case>> = {
  direct: square(3, 5, 3, { algorithm: 'direct' }),
  gemm: square(17, 9, 3, { algorithm: 'gemm' }),
  dense: square(5, 12, 11, { algorithm: 'dense' }),
  depthwise: square(6, 6, 3, { algorithm: 'depthwise', groups: 6, padding: 1 }),
  winograd: square(19, 17, 3, { algorithm: 'winograd', padding: 1 }),
  phases: square(19, 17, 5, { algorithm: 'phases', stride: 2, padding: 2 }),
  winograd2: square(19, 17, 3, { algorithm: 'winograd2', padding: 1 }),
  fft: square(19, 17, 7, { algorithm: 'fft', padding: 3 }, 23),
}

const maps = [16, 32, 24, 24]

/** Work that is large enough to be shared out to threads. */
export const large: Readonly<Record<string, () => Case>> = {
  gemm: of([[16, 16, 24, 24], [24, 16, 3, 3], [24]], (x, w, bias) =>
    t.conv2d(x, w, { bias, stride: 2, algorithm: 'gemm' }),
  ),
  winograd: of(
    [
      [16, 16, 24, 24],
      [24, 16, 5, 5],
    ],
    (x, w) => t.conv2d(x, w, { algorithm: 'winograd' }),
  ),
  depthwise: of([maps, [32, 1, 3, 3]], (x, w) => t.conv2d(x, w, { groups: 32, padding: 1 })),
  linear: of([[64, 1000], [300, 1000], [300]], t.linear),
  pooling: of([maps], (x) => t.add(t.maxPool2d(x, { kernel: 2 }), t.avgPool2d(x, { kernel: 2 }))),
  elementwise: of([maps, maps], (a, b) => t.tanh(t.mul(t.gelu(a), b))),
  normalization: of([maps, [32], [32]], (x, gamma, beta) =>
    t.localResponseNorm(t.batchNorm(x, gamma, beta, { training: true }), { size: 5 }),
  ),
  reduction: of([maps], (x) => t.mean(t.softmax(x), [0, 2])),
}

const gradients = (directions: number, weight: typeof t.conv2dWeightGrad, input: typeof t.conv2dInputGrad) => {
  const [N, C, ...extents] = volume(directions) as [number, number, ...number[]]
  const kernel = [2, 3, 3].slice(3 - directions)
  const output = extents.map((extent, axis) => extent - (kernel[axis] as number) + 1)
  return {
    weight: [
      of(
        [
          [N, C, ...extents],
          [N, 6, ...output],
        ],
        (x, dy) => weight(x, dy, { kernel }),
      ),
    ],
    input: [
      of(
        [
          [6, C, ...kernel],
          [N, 6, ...output],
        ],
        (w, dy) => input(w, dy, { inputSize: extents }),
      ),
    ],
  }
}
const gradients1d = gradients(1, t.conv1dWeightGrad, t.conv1dInputGrad)
const gradients2d = gradients(2, t.conv2dWeightGrad, t.conv2dInputGrad)
const gradients3d = gradients(3, t.conv3dWeightGrad, t.conv3dInputGrad)

type Transposed = (x: Tensor, w: Tensor, options: t.ConvTransposeOptions) => Tensor

const transposed = (directions: number, conv: Transposed) => {
  const kernel = [2, 3, 3].slice(3 - directions)
  return [
    of([volume(directions), [4, 5, ...kernel], [5]], (x, w, bias) => conv(x, w, { bias })),
    of([volume(directions), [4, 3, ...kernel]], (x, w) =>
      conv(x, w, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    ),
  ]
}

type Pool<O> = (x: Tensor, options: O) => Tensor

const pooled = <O>(directions: number, pool: Pool<O>, ...options: O[]) =>
  options.map((option) => of([volume(directions)], (x) => pool(x, option)))

const map = [[3, 4, 5, 7]]
const unary = (fn: (x: Tensor) => Tensor) => [of([[3, 5, 23]], fn)]
const ofPositive = (fn: (x: Tensor) => Tensor) => [(): Case => ({ inputs: [positive([3, 5, 23])], fn })]
const binary = (fn: (a: Tensor, b: Tensor) => Tensor) => [
  of(
    [
      [3, 5, 23],
      [3, 5, 23],
    ],
    fn,
  ),
  of(
    [
      [3, 5, 23],
      [5, 1],
    ],
    fn,
  ),
]
const labels = Int32Array.of(0, 3, 1, 6, 2)

const overlapping = { kernel: 3, stride: 2, padding: 1 } as const
const ceiled = { kernel: 3, stride: 2, ceil: true } as const

/** By the name of what is called. */
export const cases: Readonly<Record<string, readonly (() => Case)[]>> = {
  conv1d: convolutions(1, t.conv1d),
  conv2d: [
    ...convolutions(2, t.conv2d),
    square(32, 32, 5, { padding: 'same' }),
    square(16, 24, 3, { padding: 1 }, 13),
    square(24, 40, 1, {}),
    of(
      [
        [2, 3, 6, 6],
        [4, 3, 3, 3],
        [4, 4, 4],
      ],
      (x, w, bias) => t.conv2d(x, w, { bias, activation: 'tanh' }),
    ),
  ],
  conv3d: convolutions(3, t.conv3d),
  conv1dWeightGrad: gradients1d.weight,
  conv2dWeightGrad: gradients2d.weight,
  conv3dWeightGrad: gradients3d.weight,
  conv1dInputGrad: gradients1d.input,
  conv2dInputGrad: gradients2d.input,
  conv3dInputGrad: gradients3d.input,
  convTranspose1d: transposed(1, t.convTranspose1d),
  convTranspose2d: transposed(2, t.convTranspose2d),
  convTranspose3d: transposed(3, t.convTranspose3d),
  locallyConnected1d: [
    of(
      [
        [2, 3, 7],
        [4, 5, 3, 3],
        [4, 5],
      ],
      (x, w, bias) => t.locallyConnected1d(x, w, { bias }),
    ),
  ],
  locallyConnected2d: [
    of(
      [
        [2, 3, 7, 6],
        [4, 3, 3, 3, 3, 2],
        [4, 3, 3],
      ],
      (x, w, bias) => t.locallyConnected2d(x, w, { bias, stride: 2 }),
    ),
  ],
  tiledConv1d: [
    of(
      [
        [2, 3, 7],
        [4, 3, 3, 2],
        [4, 2],
      ],
      (x, w, bias) => t.tiledConv1d(x, w, { bias }),
    ),
  ],
  tiledConv2d: [
    of(
      [
        [2, 3, 7, 6],
        [4, 3, 3, 2, 2, 3],
        [4, 2, 3],
      ],
      (x, w, bias) => t.tiledConv2d(x, w, { bias, padding: 1 }),
    ),
  ],
  separableConv2d: [
    of([[2, 4, 7, 6], [3], [5], [4]], (x, column, row, bias) =>
      t.separableConv2d(x, { column, row }, { bias, padding: 2 }),
    ),
  ],
  connectedConv2d: [
    of([[2, 3, 7, 6], [2, 3, 3, 3], [2]], (x, w, bias) =>
      t.connectedConv2d(
        x,
        w,
        [
          [true, false, true],
          [false, true, true],
        ],
        { bias },
      ),
    ),
  ],
  convMatrix: [numbers(() => t.convMatrix(t.normal([2, 3, 3, 3]), [5, 6]).values)],
  transposeMatrix: [numbers(() => t.transposeMatrix(t.convMatrix(t.normal([2, 3, 3]), [5])).values)],
  multiplyMatrix: [
    numbers(() => t.multiplyMatrix(t.convMatrix(t.normal([2, 1, 3, 3]), [5, 6]), t.normal([30], { seed: 2 }).data())),
  ],
  factorKernel: [
    () => {
      const outer = t.matmul(t.normal([5, 1]), t.normal([1, 3], { seed: 2 }))
      const { column, row } = t.factorKernel(outer) as { column: Tensor; row: Tensor }
      return { numbers: [column.data(), row.data()] }
    },
  ],
  linear: [
    of([[5, 37], [11, 37], [11]], t.linear),
    of([[1, 70], [33, 70], [33]], t.linear),
    of(
      [
        [64, 100],
        [40, 100],
      ],
      (x, w) => t.linear(x, w),
    ),
  ],
  matmul: [
    of(
      [
        [9, 31],
        [31, 14],
      ],
      t.matmul,
    ),
  ],
  maxPool1d: pooled(1, t.maxPool1d, { kernel: 2 }, overlapping),
  maxPool2d: pooled(2, t.maxPool2d, { kernel: 2 }, overlapping, ceiled, { kernel: 2, stride: 1, dilation: 2 }),
  maxPool3d: pooled(3, t.maxPool3d, { kernel: 2 }, ceiled),
  maxPool2dWithIndices: [
    of([volume(2)], (x) => t.maxPool2dWithIndices(x, { kernel: 2 }).y),
    numbers(() => t.maxPool2dWithIndices(t.normal(volume(2)), overlapping).indices.data()),
  ],
  maxUnpool2d: [
    of([[2, 4, 3, 3]], (y) => {
      const { indices } = t.maxPool2dWithIndices(t.normal([2, 4, 6, 6], { seed: 5 }), { kernel: 2 })
      return t.maxUnpool2d(y, indices, { kernel: 2 })
    }),
  ],
  avgPool1d: pooled(1, t.avgPool1d, overlapping),
  avgPool2d: pooled(2, t.avgPool2d, { kernel: 2 }, { ...overlapping, countIncludePad: false }, ceiled),
  avgPool3d: pooled(3, t.avgPool3d, { kernel: 2 }, overlapping),
  lpPool1d: pooled(1, t.lpPool1d, { kernel: 3 }),
  lpPool2d: [
    ...pooled(2, t.lpPool2d, { kernel: 3, stride: 2 }),
    () => ({
      inputs: [positive(volume(2))],
      fn: (x) => t.lpPool2d(x, { kernel: 2, p: 3.5 }),
    }),
  ],
  weightedPool2d: pooled(
    2,
    t.weightedPool2d,
    { kernel: 3, sigma: 0.8 },
    {
      weights: [
        [1, 2],
        [3, 4],
      ],
      stride: 1,
    },
  ),
  adaptiveAvgPool1d: pooled(1, t.adaptiveAvgPool1d, 4),
  adaptiveAvgPool2d: pooled(2, t.adaptiveAvgPool2d, [3, 4]),
  adaptiveAvgPool3d: pooled(3, t.adaptiveAvgPool3d, 2),
  adaptiveMaxPool1d: pooled(1, t.adaptiveMaxPool1d, 4),
  adaptiveMaxPool2d: pooled(2, t.adaptiveMaxPool2d, [3, 4]),
  adaptiveMaxPool3d: pooled(3, t.adaptiveMaxPool3d, 2),
  globalAvgPool: [of([volume(2)], t.globalAvgPool)],
  globalMaxPool: [of([volume(2)], t.globalMaxPool)],
  maxout: [of([[3, 6, 5, 5]], (x) => t.maxout(x, 3))],
  relu: unary(t.relu),
  leakyRelu: unary((x) => t.leakyRelu(x, { negativeSlope: 0.2 })),
  elu: unary((x) => t.elu(x, { alpha: 1.3 })),
  sigmoid: unary(t.sigmoid),
  tanh: unary(t.tanh),
  scaledTanh: unary(t.scaledTanh),
  softplus: unary((x) => t.softplus(x, { beta: 2 })),
  gelu: [...unary((x) => t.gelu(x)), ...unary((x) => t.gelu(x, { approximate: 'tanh' }))],
  silu: unary(t.silu),
  exp: unary(t.exp),
  log: ofPositive(t.log),
  sqrt: ofPositive(t.sqrt),
  pow: ofPositive((x) => t.pow(x, 2.3)),
  square: unary(t.square),
  abs: unary(t.abs),
  neg: unary(t.neg),
  clamp: unary((x) => t.clamp(x, { min: -0.5, max: 0.7 })),
  add: binary(t.add),
  sub: binary(t.sub),
  mul: binary(t.mul),
  div: [() => ({ inputs: [t.normal([3, 5, 23]), positive([5, 1])], fn: t.div })],
  sum: [...unary((x) => t.sum(x)), ...unary((x) => t.sum(x, [0, 2])), of([[4, 1003]], (x) => t.sum(x, 1))],
  mean: unary((x) => t.mean(x, -1)),
  max: unary((x) => t.max(x, 1)),
  min: unary((x) => t.min(x, [1, 2], { keepDims: true })),
  softmax: [of([[5, 7]], (x) => t.softmax(x)), of(map, (x) => t.softmax(x, 3))],
  logSoftmax: [of([[5, 7]], (x) => t.logSoftmax(x)), of(map, (x) => t.logSoftmax(x, 1))],
  localResponseNorm: [of(map, (x) => t.localResponseNorm(x, { size: 3, alpha: 0.5 }))],
  batchNorm: [
    of([...map, [4], [4]], (x, gamma, beta) => t.batchNorm(x, gamma, beta, { training: true })),
    () => ({
      inputs: normals(...map, [4], [4]),
      fn: (x, gamma, beta) =>
        t.batchNorm(x, gamma, beta, { runningMean: t.normal([4], { seed: 7 }), runningVar: positive([4]) }),
    }),
  ],
  dropout: unary((x) => t.dropout(x, { p: 0.3, seed: 4 })),
  crossEntropy: [
    of([[5, 7]], (x) => t.crossEntropy(x, labels)),
    of([[5, 7]], (x) => t.crossEntropy(x, labels, { labelSmoothing: 0.1, reduction: 'none' })),
  ],
  hingeLoss: [of([[5, 7]], (x) => t.hingeLoss(x, labels))],
  mseLoss: [
    of(
      [
        [5, 7],
        [5, 7],
      ],
      (x, y) => t.mseLoss(x, y),
    ),
  ],
  bceWithLogits: [
    () => ({
      inputs: [t.normal([5, 7]), t.uniform([5, 7], { seed: 3 })],
      fn: (x, y) => t.bceWithLogits(x, y, { reduction: 'sum' }),
    }),
  ],
  concat: [
    of(
      [
        [2, 3, 5],
        [2, 4, 5],
      ],
      (a, b) => t.concat([a, b], 1),
    ),
  ],
  slice: [of([[4, 5, 6]], (x) => t.slice(x, { begin: [1, 0, 2], end: [3, -1] }))],
  transpose: [of([[4, 5, 6]], (x) => t.transpose(x, [2, 0, 1])), of([[33, 18]], (x) => t.transpose(x))],
  flatten: [of([[4, 5, 6]], (x) => t.flatten(x))],
  pad: (['zeros', 'reflect', 'replicate', 'circular'] as const).map((mode) =>
    of([[2, 3, 5, 6]], (x) => t.pad(x, [1, [2, 0]], { mode })),
  ),
  upsample2d: [
    of([[2, 3, 5, 6]], (x) => t.upsample2d(x, { scale: 2 })),
    of([[2, 3, 5, 6]], (x) => t.upsample2d(x, { scale: [3, 2], mode: 'bilinear' })),
  ],
}
