/**
 * What a convolution of bytes does, by what takes its time: src/quant/costs.ts has the nanoseconds for one of each, which `node bench/fit/integers.mjs`
 * fits to bench/results/integers.json.
 */
import { multiplyAdds, product, type ConvProblem } from '../plan/problem.js'
import { paddedPixels } from '../plan/reach.js'

/** The kernels of assembly/ops/integers. */
export type IntegerKind = 'gathered' | 'depthwise' | 'linear'

/** Which of them computes a convolution. */
export function kindOf({ C, groups, input, kernel }: ConvProblem): IntegerKind {
  if (groups * product(input) * product(kernel) === 1) return 'linear'
  return C > 1 && C === groups ? 'depthwise' : 'gathered'
}

/** How often each takes place in one pass. */
export function countsOf(problem: ConvProblem): {
  readonly kind: IntegerKind
  readonly counts: Record<string, number>
} {
  const { N, C, K, input, output, kernel } = problem
  const kind = kindOf(problem)
  const products = multiplyAdds(problem)
  if (kind === 'linear') return { kind, counts: { products } }
  const outputs = N * K * product(output)
  if (kind === 'depthwise') return { kind, counts: { outputs, inputs: N * C * product(input), maps: N * K } }
  // A convolution of one pixel gathers from the bytes themselves, others from what is widened before.
  const isPointwise = product(kernel) === 1 && paddedPixels(problem) === 0 && product(input) === product(output)
  const gathered = N * C * product(kernel) * product(output)
  return { kind, counts: { products, gathered, outputs, widened: isPointwise ? 0 : N * C * product(input), calls: 1 } }
}
