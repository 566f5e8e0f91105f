import * as ops from '../../src/ops/index.js'
import type { Tensor } from '../../src/tensor/tensor.js'

type Operation = (x: Tensor, w: Tensor) => Tensor

/** Name, shape of x, shape of w (for those that take one), and the operation. */
export type Family = readonly [string, readonly number[], readonly number[], Operation]

/** Every family of kernels, at shapes that leave remainders. */
export const operations: readonly Family[] = [
  ...(['direct', 'gemm', 'winograd', 'winograd2', 'fft'] as const).map(
    (algorithm) =>
      [
        `conv2d 3 × 3, ${algorithm}`,
        [5, 6, 11, 13],
        [7, 6, 3, 3],
        (x: Tensor, w: Tensor) => ops.conv2d(x, w, { padding: 'same', algorithm }),
      ] as const,
  ),
  [
    'conv2d of several large images, winograd',
    [4, 5, 33, 29],
    [9, 5, 3, 3],
    (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'winograd' }),
  ],
  ['conv2d 5 × 5, winograd', [4, 4, 9, 10], [6, 4, 5, 5], (x, w) => ops.conv2d(x, w, { algorithm: 'winograd' })],
  [
    'conv2d 7 × 7 of one image, fft',
    [1, 6, 40, 45],
    [65, 6, 7, 7],
    (x, w) => ops.conv2d(x, w, { padding: 3, algorithm: 'fft' }),
  ],
  [
    'conv2d of rows that panels fill',
    [3, 3, 9, 16],
    [7, 3, 3, 3],
    (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'gemm' }),
  ],
  ['conv2d in groups', [3, 8, 7, 9], [12, 4, 3, 3], (x, w) => ops.conv2d(x, w, { groups: 2, stride: 2, padding: 1 })],
  ['conv2d of one image', [1, 5, 33, 29], [9, 5, 3, 3], (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'gemm' })],
  [
    'conv2d of one image, winograd',
    [1, 16, 33, 29],
    [18, 16, 3, 3],
    (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'winograd' }),
  ],
  [
    'conv2d over the whole input',
    [6, 3, 5, 4],
    [9, 3, 5, 4],
    (x, w) => ops.conv2d(x, w, { algorithm: 'dense' as never }),
  ],
  ['depthwise', [3, 6, 9, 21], [6, 1, 3, 3], (x, w) => ops.conv2d(x, w, { groups: 6, padding: 1 })],
  ['conv1d', [4, 3, 40], [5, 3, 4], (x, w) => ops.conv1d(x, w, { stride: 3 })],
  ['conv3d', [2, 3, 5, 6, 7], [4, 3, 2, 3, 2], (x, w) => ops.conv3d(x, w, { padding: 1 })],
  ['convTranspose2d', [3, 4, 6, 5], [4, 3, 3, 3], (x, w) => ops.convTranspose2d(x, w, { stride: 2 })],
  ['locallyConnected2d', [3, 2, 6, 5], [4, 4, 3, 2, 3, 3], (x, w) => ops.locallyConnected2d(x, w)],
  ['tiledConv2d', [3, 2, 6, 5], [4, 2, 3, 3, 2, 2], (x, w) => ops.tiledConv2d(x, w)],
  ['linear', [37, 45], [22, 45], (x, w) => ops.linear(x, w)],
  ['linear of two rows', [2, 45], [39, 45], (x, w) => ops.linear(x, w)],
  ['matmul', [41, 23], [23, 50], (x, w) => ops.matmul(x, w)],
  ['maxPool2d', [3, 4, 9, 11], [1], (x) => ops.maxPool2d(x, { kernel: 3, stride: 2, padding: 1 })],
  ['avgPool2d', [3, 4, 9, 11], [1], (x) => ops.avgPool2d(x, { kernel: 3, stride: 2, padding: 1 })],
  ['lpPool2d', [3, 4, 9, 11], [1], (x) => ops.lpPool2d(ops.abs(x), { kernel: 3, stride: 2, p: 3 })],
  ['weightedPool2d', [3, 4, 9, 11], [1], (x) => ops.weightedPool2d(x, { kernel: 3, stride: 2, sigma: 1 })],
  ['adaptiveAvgPool2d', [3, 4, 9, 11], [1], (x) => ops.adaptiveAvgPool2d(x, [4, 5])],
  ['localResponseNorm', [3, 9, 5, 7], [1], (x) => ops.localResponseNorm(x, { size: 5, alpha: 1 })],
  ['batchNorm', [5, 7, 4, 5], [7], (x, w) => ops.batchNorm(x, w, w, { training: true })],
  ['softmax', [19, 23], [1], (x) => ops.softmax(x)],
  ['logSoftmax', [5, 7, 6], [1], (x) => ops.logSoftmax(x, 1)],
  [
    'crossEntropy',
    [33, 10],
    [1],
    (x) =>
      ops.crossEntropy(
        x,
        Array.from({ length: 33 }, (_, i) => i % 10),
      ),
  ],
  [
    'hingeLoss',
    [33, 10],
    [1],
    (x) =>
      ops.hingeLoss(
        x,
        Array.from({ length: 33 }, (_, i) => i % 10),
      ),
  ],
  ['mseLoss', [41, 53], [41, 53], (x, w) => ops.mseLoss(x, w)],
  ['bceWithLogits', [41, 53], [1], (x) => ops.bceWithLogits(x, ops.sigmoid(x))],
  ['sum over rows', [33, 7, 29], [1], (x) => ops.sum(x, 0)],
  ['sum over channels', [13, 17, 11], [1], (x) => ops.sum(x, [0, 2])],
  ['max', [13, 17, 11], [1], (x) => ops.max(x, 1)],
  ['broadcasting', [13, 17, 11], [17, 1], (x, w) => ops.mul(ops.add(x, w), 3)],
  ['div', [13, 17, 11], [13, 17, 11], (x, w) => ops.div(x, w)],
  ['transpose', [13, 17, 11], [1], (x) => ops.transpose(x, [2, 0, 1])],
  [
    'pad',
    [3, 4, 7, 9],
    [1],
    (x) =>
      ops.pad(
        x,
        [
          [0, 0],
          [0, 0],
          [2, 3],
          [1, 2],
        ],
        { mode: 'reflect' },
      ),
  ],
  ['upsample2d', [3, 4, 7, 9], [1], (x) => ops.upsample2d(x, { scale: 2, mode: 'bilinear' })],
  ['dropout', [13, 17, 11], [1], (x) => ops.dropout(x, { p: 0.4, seed: 3 })],
  ...(
    ['relu', 'elu', 'gelu', 'silu', 'sigmoid', 'tanh', 'scaledTanh', 'softplus', 'exp', 'abs', 'square'] as const
  ).map((name) => [name, [1003], [1], (x: Tensor) => ops[name](x)] as const),
  ['clamp', [1003], [1], (x) => ops.clamp(x, { min: -0.5, max: 0.5 })],
  ['pow', [1003], [1], (x) => ops.pow(ops.abs(x), 1.3)],
]
