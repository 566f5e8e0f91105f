/**
 * The one table of operations. Who adds an operation adds its row here, and these read it:
 *
 * - test/operations/operations.test.ts: values against the definitions in float64, gradients, adjoints, and that every
 *   operation that is exported has a row;
 * - test/autodiff/silent.test.ts: gradients and second gradients by every tensor among the arguments;
 * - test/runtime/threads.test.ts: the same bits however the work is divided, by every algorithm;
 * - test/kernels/memoryEnd.test.ts and test/faults/: memory that ends, allocations and kernel calls that fail;
 * - test/platform/program.ts: golden hashes, in every runtime;
 * - test/fuzz/: random shapes, wrong arguments, wrong names of options;
 * - test/ops/elementwise.test.ts: functions of one number and arithmetic over every remainder of the loops.
 */
import * as ops from '../../src/ops/index.js'
import { byAlgorithm, byFourier, convolutions } from './convolution.js'
import { elementwise } from './elementwise.js'
import { layout } from './layout.js'
import { losses } from './losses.js'
import { of, type Definition, type MakeCase, type Rows } from './operation.js'
import { pooling } from './pooling.js'
import { sums } from './sums.js'

export { byAlgorithm, byFourier } from './convolution.js'
export { functions, operators, type Pointwise } from './elementwise.js'
export type { Case, Definition, MakeCase, Operation } from './operation.js'

/** By the names of what the library exports. */
export const operations: Rows = { ...convolutions, ...sums, ...pooling, ...elementwise, ...losses, ...layout }

const entries = Object.entries(operations)

/** The small cases by the name of what is called. */
export const cases: Readonly<Record<string, readonly MakeCase[]>> = Object.fromEntries(
  entries.map(([name, row]) => [name, row.cases]),
)

export const definitions: Readonly<Record<string, Definition>> = Object.fromEntries(
  entries.flatMap(([name, { definition }]) => (definition ? [[name, definition]] : [])),
)

/** Everything that is small, by what it is: each case of each operation, and of each algorithm. */
export const everyCase: readonly (readonly [label: string, name: string, make: MakeCase])[] = [
  ...entries.flatMap(([name, row]) => row.cases.map((make, index) => [`${name} ${index}`, name, make] as const)),
  ...Object.entries(byAlgorithm).map(([name, make]) => [`conv2d by ${name}`, 'conv2d', make] as const),
  ...Object.entries(byFourier).map(([what, [name, make]]) => [`${name} by fft, ${what}`, name, make] as const),
]

/** What has more items to divide among threads. */
export const dividedCases: readonly (readonly [label: string, make: MakeCase])[] = [
  ...entries.flatMap(([name, { divided = {} }]) =>
    Object.entries(divided).map(([what, make]) => [`${name} ${what}`.trim(), make] as const),
  ),
  ...Object.entries(byFourier).map(([what, [, make]]) => [`fft of ${what}`, make] as const),
]

const maps = [16, 32, 24, 24]

/** Work that is large enough to be shared out to threads unasked. */
export const large: Readonly<Record<string, MakeCase>> = {
  gemm: of([[16, 16, 24, 24], [24, 16, 3, 3], [24]], (x, w, bias) =>
    ops.conv2d(x, w, { bias, stride: 2, algorithm: 'gemm' }),
  ),
  winograd: of(
    [
      [16, 16, 24, 24],
      [24, 16, 5, 5],
    ],
    (x, w) => ops.conv2d(x, w, { algorithm: 'winograd' }),
  ),
  depthwise: of([maps, [32, 1, 3, 3]], (x, w) => ops.conv2d(x, w, { groups: 32, padding: 1 })),
  linear: of([[64, 1000], [300, 1000], [300]], ops.linear),
  pooling: of([maps], (x) => ops.add(ops.maxPool2d(x, { kernel: 2 }), ops.avgPool2d(x, { kernel: 2 }))),
  elementwise: of([maps, maps], (a, b) => ops.tanh(ops.mul(ops.gelu(a), b))),
  normalization: of([maps, [32], [32]], (x, gamma, beta) =>
    ops.localResponseNorm(ops.batchNorm(x, gamma, beta, { training: true }), { size: 5 }),
  ),
  reduction: of([maps], (x) => ops.mean(ops.softmax(x), [0, 2])),
}
