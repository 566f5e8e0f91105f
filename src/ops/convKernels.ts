/**
 * Which kernels each algorithm of src/plan/conv.ts calls: one entry for each pass of each. `left` and `right` are the two
 * tensors of a pass in the order of the kernels: (x, w), (dy, w) or (dy, x).
 */
import {
  adjointProblem,
  costOf,
  encodeConv,
  fftExtent,
  phasesOf,
  planarOf,
  variantOf,
  type ConvAlgorithm,
  type ConvPass,
  type ConvProblem,
  type Gathering,
} from '../plan/conv.js'
import { after, type CallList, type Place } from '../runtime/calls.js'
import { alarm, kernels, withIntegers } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import { sizeOf } from '../tensor/shape.js'
import { fromPlanes, outputsIn, planesIn, toPlanes, weightsIn } from './convPlanes.js'
import { multiply } from './matmulKernels.js'

/** Which bias a convolution has. */
export type BiasKind = 'none' | 'channel' | 'location'

/** A pass to be listed. */
export interface Pass {
  readonly list: CallList
  readonly problem: ConvProblem
  readonly out: Place
  readonly left: Place
  readonly right: Place
  /** Name of the operand at `right` whose packed weights may be kept; undefined where they are in workspace themselves. */
  readonly weights: string | undefined
  readonly bias: Place | 0
  readonly biasKind: BiasKind
  /** Whether relu follows, as part of the pass: only where `fusesRelu` says so. */
  readonly relu: boolean
  /** Whether transformed tiles set the alarm for results that are not finite. */
  readonly checked: boolean
  /** The variant of the algorithm; left out, the one that the plan chooses. */
  readonly variant?: Gathering | undefined
}

/** `shape` is the record of the problem, `work` the time that the pass takes in ns. */
type Lister = (pass: Pass, shape: Place, work: number) => void

/** What kernels say of a problem. */
const asked = <T>(problem: ConvProblem, ask: (shape: number) => T, variant?: Gathering): T =>
  withIntegers(encodeConv(problem, 'none', false, variant), ask)

/**
 * The weights packed for one algorithm, for its input gradient, or for the stride of phases. The name tells everything that the
 * packed bytes depend on besides the weights.
 */
function packed(
  { list, problem: { C, K, groups, kernel, flip }, right, weights }: Pass,
  packing: string,
  bytes: number,
  pack: (list: CallList, to: Place, w: Place) => void,
): Place {
  if (weights !== undefined) {
    return list.packed(weights, `${packing} ${K} ${C} ${groups} ${kernel.join('x')} ${flip}`, bytes, pack)
  }
  const block = list.block(bytes) as Place
  pack(list, block, right)
  return block
}

/** Rows and columns of the tiles that an algorithm transforms in a problem. */
type Extent = (problem: ConvProblem) => number

/** Lists the transformation of weights w into tiles for `problem`. */
function packTransformed(
  list: CallList,
  problem: ConvProblem,
  to: Place,
  w: Place,
  extent: number,
  transposed: 0 | 1,
): void {
  const k = kernels()
  const [items, bytes, workspace] = asked(problem, (shape) => [
    k.conv_transformed_pack_items(shape),
    k.conv_transformed_packed(shape, extent),
    k.conv_transformed_pack_workspace(shape, extent) >>> 0,
  ])
  const shape = list.integers(encodeConv(problem, 'none'))
  // About a nanosecond for each byte that it makes.
  list.call('conv_transformed_pack', items, bytes / items, to, w, list.perThread(workspace), shape, transposed, extent)
}

/** Lists y of x, with weights that packTransformed has transformed. */
function listTiles(pass: Pass, x: Place, weights: Place, shape: Place, extent: number, work: number): void {
  const { list, problem, out, bias, checked } = pass
  const k = kernels()
  const [items, workspace] = asked(problem, (at) => [
    k.conv_transformed_fwd_items(at, extent),
    k.conv_transformed_fwd_workspace(at, extent),
  ])
  // Behind the alarm there is room for an integer that nobody reads.
  const wrong = alarm() + (checked ? 0 : 4)
  const ws = list.perThread(workspace)
  list.call('conv_transformed_fwd', items, work / items, out, wrong, x, weights, bias, ws, shape, extent)
}

const packedTiles = (problem: ConvProblem, extent: number): number =>
  asked(problem, (shape) => kernels().conv_transformed_packed(shape, extent))

/** Lists y of x by tiles: of one direction and of three those of the convolution of two that it is. */
function transformed(pass: Pass, extent: number, transposed: boolean, work: number): void {
  const { list, problem, out, left, biasKind, relu } = pass
  const planar = planarOf(problem, extent)
  const name = `${transposed ? 'transformed dx' : 'transformed'} ${extent}`
  const weights = packed(pass, name, packedTiles(planar, extent), (packing, to, w) => {
    const planes = toPlanes(packing, weightsIn(problem, planar, transposed), w)
    packTransformed(packing, planar, to, planes, extent, Number(transposed) as 0 | 1)
  })
  const x = planesIn(list, problem, planar, left)
  const shape = list.integers(encodeConv(planar, biasKind, relu))
  fromPlanes(list, outputsIn(problem, planar), out, (y) => {
    listTiles({ ...pass, problem: planar, out: y }, x, weights, shape, extent, work)
  })
}

/** Lists dw of dy and x. */
function transformedFilters(
  { list, problem }: Pass,
  dw: Place,
  dy: Place,
  x: Place,
  shape: Place,
  extent: number,
  work: number,
): void {
  const k = kernels()
  const [items, workspace, runs] = asked(problem, (at) => [
    k.conv_transformed_dw_items(at, extent),
    k.conv_transformed_dw_workspace(at, extent),
    k.conv_transformed_dw_runs(at, extent),
  ])
  const size = (problem.K * problem.C * sizeOf(problem.kernel)) / problem.groups
  const to = runs === 1 ? dw : (list.block(4 * runs * size) as Place)
  list.call('conv_transformed_dw', items, work / items, to, dy, x, list.perThread(workspace), shape, extent)
  if (runs > 1) list.call('conv_dw_sum', size, LIGHT * runs, dw, to, size, runs)
}

function transformedPasses(extentOf: Extent): { readonly [pass in ConvPass]: Lister } {
  return {
    fwd(pass, _, work) {
      transformed(pass, extentOf(pass.problem), false, work)
    },
    dx(pass, _, work) {
      const problem = adjointProblem(pass.problem)
      transformed({ ...pass, problem }, extentOf(problem), true, work)
    },
    dw(pass, _, work) {
      const { list, problem, out, left, right } = pass
      const extent = extentOf(problem)
      const planar = planarOf(problem, extent)
      const shape = list.integers(encodeConv(planar, 'none'))
      const dy = toPlanes(list, outputsIn(problem, planar), left)
      const x = planesIn(list, problem, planar, right)
      fromPlanes(list, weightsIn(problem, planar), out, (dw) => {
        transformedFilters({ ...pass, problem: planar }, dw, dy, x, shape, extent, work)
      })
    },
  }
}

/** Rows and columns of the tiles that phases are cut into. */
const PHASED = 6

/** Bytes of the phases of x, and of w. */
const phaseBytes = ({ N, C, input }: ConvProblem): number => 4 * N * C * sizeOf(input)
const phaseWeightBytes = ({ K, C, groups, kernel }: ConvProblem): number => (4 * K * C * sizeOf(kernel)) / groups

/** The phases of x: `problem` is that of x, `phases` the convolution that reads them. */
function phasesIn({ list, problem }: Pass, phases: ConvProblem, x: Place, shape: Place): Place {
  const [rows, columns] = phases.input as [number, number]
  const split = list.block(phaseBytes(phases)) as Place
  const channels = problem.N * problem.C
  list.call('conv_phases_split', channels, (LIGHT * phaseBytes(phases)) / channels, split, x, shape, rows, columns)
  return split
}

/** The weights of the convolution of phases, packed for it or for its adjoint. */
function packedPhases(pass: Pass, phases: ConvProblem, read: ConvProblem, transposed: 0 | 1): Place {
  const { problem } = pass
  const [stride] = problem.stride as [number]
  const name = `${transposed ? 'phases dx' : 'phases'} ${stride}`
  return packed(pass, name, packedTiles(read, PHASED), (list, to, w) => {
    const split = list.block(phaseWeightBytes(phases)) as Place
    const shape = list.integers(encodeConv(problem, 'none'))
    list.once('conv_phases_weights', split, w, shape, phases.kernel[0] as number, 0)
    packTransformed(list, read, to, split, PHASED, transposed)
  })
}

const phasesPasses: { readonly [pass in ConvPass]: Lister } = {
  fwd(pass, shape, work) {
    const { list, problem, biasKind, relu, left } = pass
    const phases = phasesOf(problem)
    const x = phasesIn(pass, phases, left, shape)
    const weights = packedPhases(pass, phases, phases, 0)
    const inner = list.integers(encodeConv(phases, biasKind, relu))
    listTiles({ ...pass, problem: phases }, x, weights, inner, PHASED, work)
  },
  dx(pass, shape, work) {
    const { list, problem, out, left } = pass
    const phases = phasesOf(problem)
    const read = adjointProblem(phases)
    const [rows, columns] = phases.input as [number, number]
    const split = list.block(phaseBytes(phases)) as Place
    const weights = packedPhases(pass, phases, read, 1)
    const inner = list.integers(encodeConv(read, 'none'))
    listTiles({ ...pass, problem: read, out: split }, left, weights, inner, PHASED, work)
    const channels = problem.N * problem.C
    list.call('conv_phases_merge', channels, (LIGHT * phaseBytes(phases)) / channels, out, split, shape, rows, columns)
  },
  dw(pass, shape, work) {
    const { list, problem, out, left, right } = pass
    const phases = phasesOf(problem)
    const x = phasesIn(pass, phases, right, shape)
    const dw = list.block(phaseWeightBytes(phases)) as Place
    const inner = list.integers(encodeConv(phases, 'none'))
    transformedFilters({ ...pass, problem: phases }, dw, left, x, inner, PHASED, work)
    list.once('conv_phases_weights', dw, out, shape, phases.kernel[0] as number, 1)
  },
}

function depthwise({ list, problem, out, left, right, bias }: Pass, shape: Place, work: number): void {
  const items = problem.N * problem.K
  const ws = list.perThread(asked(problem, (at) => kernels().conv_depthwise_workspace(at) >>> 0))
  list.call('conv_depthwise_fwd', items, work / items, out, left, right, bias, ws, shape)
}

const listers: { readonly [name in ConvAlgorithm]: { readonly [pass in ConvPass]: Lister } } = {
  direct: {
    fwd({ list, problem: { N, K }, out, left, right, bias }, shape, work) {
      list.call('conv_direct_fwd', N * K, work / (N * K), out, left, right, bias, shape)
    },
    dx({ list, problem: { N, C }, out, left, right }, shape, work) {
      list.call('conv_direct_dx', N * C, work / (N * C), out, left, right, shape)
    },
    dw({ list, problem: { K }, out, left, right }, shape, work) {
      list.call('conv_direct_dw', K, work / K, out, left, right, shape)
    },
  },
  gemm: {
    fwd(pass, shape, work) {
      const k = kernels()
      const { list, problem, out, left, bias, variant } = pass
      const ask = (at: number): [number, number, number] => [
        k.conv_gemm_fwd_items(at),
        k.conv_gemm_fwd_workspace(at),
        k.conv_gemm_packed(at) >>> 0,
      ]
      const [items, workspace, bytes] = asked(problem, ask, variant)
      // Weights are packed in the order in which the taps come.
      const weights = packed(pass, `gemm ${variant}`, bytes, (packing, to, w) => {
        packing.once('conv_gemm_pack', to, w, packing.integers(encodeConv(problem, 'none', false, variant)))
      })
      list.call('conv_gemm_fwd', items, work / items, out, left, weights, bias, list.perThread(workspace), shape)
    },
    dx(pass, shape, work) {
      const k = kernels()
      const { list, problem, out, left } = pass
      const [items, workspace, bytes] = asked(problem, (at) => [
        k.conv_gemm_dx_items(at),
        k.conv_gemm_dx_workspace(at),
        k.conv_gemm_packed_transposed(at) >>> 0,
      ])
      const weights = packed(pass, 'gemm dx', bytes, (packing, to, w) => {
        packing.once('conv_gemm_pack_transposed', to, w, packing.integers(encodeConv(problem, 'none')))
      })
      list.call('conv_gemm_dx', items, work / items, out, left, weights, list.perThread(workspace), shape)
    },
    dw({ list, problem, out, left, right }, shape, work) {
      const k = kernels()
      const { C, K, groups, kernel } = problem
      const [items, workspace, bytes] = asked(problem, (at) => [
        k.conv_gemm_dw_items(at),
        k.conv_gemm_dw_workspace(at),
        k.conv_gemm_dw_sums(at),
      ])
      const sums = list.block(bytes)
      list.call('conv_gemm_dw', items, work / items, out, sums, left, right, list.perThread(workspace), shape)
      if (sums === 0) return
      const size = (K * C * sizeOf(kernel)) / groups
      list.call('conv_dw_sum', size, (LIGHT * bytes) / (4 * size), out, sums, size, bytes / (4 * size))
    },
  },
  dense: {
    fwd({ list, problem: { N, C, K, kernel }, out, left, right, bias }) {
      const product = { M: N, N: K, K: C * sizeOf(kernel), transposeA: false, transposeB: true }
      multiply(list, out, left, right, bias, product)
    },
    dx({ list, problem: { N, C, K, kernel }, out, left, right }) {
      const product = { M: N, N: C * sizeOf(kernel), K, transposeA: false, transposeB: false }
      multiply(list, out, left, right, 0, product)
    },
    dw({ list, problem: { N, C, K, kernel }, out, left, right }) {
      const product = { M: K, N: C * sizeOf(kernel), K: N, transposeA: true, transposeB: false }
      multiply(list, out, left, right, 0, product)
    },
  },
  depthwise: {
    fwd: depthwise,
    dx(pass, _, work) {
      const problem = adjointProblem(pass.problem)
      depthwise({ ...pass, problem }, pass.list.integers(encodeConv(problem, 'none')), work)
    },
    dw({ list, problem, out, left, right }, shape, work) {
      const { K } = problem
      const ws = list.perThread(asked(problem, (at) => kernels().conv_depthwise_workspace(at) >>> 0))
      list.call('conv_depthwise_dw', K, work / K, out, left, right, ws, shape)
    },
  },
  winograd: transformedPasses(() => 6),
  phases: phasesPasses,
  winograd2: transformedPasses(() => 4),
  fft: transformedPasses(fftExtent),
}

/** Whether the forward pass of an algorithm can end with relu. */
export const fusesRelu = (algorithm: ConvAlgorithm): boolean =>
  ['gemm', 'winograd', 'winograd2', 'phases'].includes(algorithm)

/** Lists one pass by one algorithm, which must support it. */
export function listConv(algorithm: ConvAlgorithm, kind: ConvPass, pass: Pass): void {
  const { list, problem, biasKind, relu, variant = variantOf(algorithm, problem, kind) } = pass
  const shape = list.integers(encodeConv(problem, biasKind, relu, variant))
  listers[algorithm][kind]({ ...pass, variant }, shape, costOf(problem, kind, algorithm))
}

/**
 * Pixels of all images from which on a filter gradient is the sum of those of runs of images, and the pixels of such a
 * run: LONG_SUM and SUM_RUN of assembly/ops/conv/shape.ts, which divides the pixels of one image alike.
 */
const LONG_SUM = 2 ** 18
const SUM_RUN = 2 ** 14

/** Lists dw: of many images as the sum of those of runs of images, added in rising order. */
export function listFilters(algorithm: ConvAlgorithm, pass: Pass): void {
  const { list, problem, out, left, right } = pass
  const { N, C, K, groups, kernel, input, output } = problem
  if (N === 1 || N * sizeOf(output) <= LONG_SUM) {
    listConv(algorithm, 'dw', pass)
    return
  }
  const images = Math.max(1, Math.floor(SUM_RUN / sizeOf(output)))
  const size = (K * C * sizeOf(kernel)) / groups
  const part = list.block(4 * size) as Place
  for (let n = 0; n < N; n += images) {
    list.within(() => {
      listConv(algorithm, 'dw', {
        ...pass,
        problem: { ...problem, N: Math.min(images, N - n) },
        out: n === 0 ? out : part,
        left: after(left, 4 * n * K * sizeOf(output)),
        right: after(right, 4 * n * C * sizeOf(input)),
      })
    })
    if (n > 0) list.call('add_fwd', size, LIGHT, out, out, part, 0)
  }
}
