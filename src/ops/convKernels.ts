/**
 * How each algorithm of src/plan/conv.ts calls its kernels: one entry for each pass of each. `left` and
 * `right` are the two tensors of a pass in the order of the kernels: (x, w), (dy, w) or (dy, x).
 */
import {
  adjointProblem,
  derivedOnce,
  encodeConv,
  fftExtent,
  phasesOf,
  type ConvAlgorithm,
  type ConvPass,
  type ConvProblem,
} from '../plan/conv.js'
import { multiply, multiplyWorkspace } from './matmulKernels.js'
import {
  alarm,
  guarded,
  kernels,
  onAllThreads,
  parallel,
  perThread,
  withIntegers,
  withWorkspace,
  type PerThread,
} from '../runtime/core.js'
import type { Kernels } from '../runtime/generated/kernels.js'
import { LIGHT } from '../runtime/work.js'
import { sizeOf } from '../tensor/shape.js'
import type { Storage } from '../tensor/tensor.js'

/** What a pass is given. */
export interface PassArguments {
  readonly problem: ConvProblem
  /** Addresses of the result, the two tensors, and the bias or 0. */
  readonly out: number
  readonly left: number
  readonly right: number
  /** The memory at `right`, which keeps packed weights that are used again. */
  readonly weights: Storage
  readonly bias: number
  readonly biasKind: 'none' | 'channel' | 'location'
  /** Whether relu follows, as part of the pass: only where `fusesRelu` says so. */
  readonly relu: boolean
  /** Whether transformed tiles set the alarm for results that are not finite. */
  readonly checked: boolean
  /** Time that the pass takes, in ns: the `costOf` of its algorithm. */
  readonly work: number
}

/** Bytes that a forward pass needs besides its tensors. */
export interface Footprint {
  /** Returned when it ends. */
  readonly workspace: number
  /** Weights packed for its kernel: made in the first pass, kept from the second on. */
  readonly packed: number
}

/** `shape` is the address of the encoded problem. */
type Runner = (pass: PassArguments, shape: number) => void

/** How weights are packed: for an algorithm, or for its input gradient; 'gemm rows' by taps (r, c, s). */
type Packing = 'gemm' | 'gemm rows' | 'gemm dx' | 'tiled' | 'tiled dx' | 'phases' | 'phases dx'

/** The name of weights packed for tiles of an extent, or for a stride: it depends on these extents alone. */
const packingOf = derivedOnce(
  ({ C, K, groups, kernel, flip }, packing: Packing, extent: number) =>
    `${packing} ${extent} ${K} ${C} ${groups} ${kernel.join('x')} ${flip}`,
)

/** Runs `use` with the weights packed for one algorithm and pass. */
function withPacked(
  { problem, weights }: PassArguments,
  packing: Packing,
  extent: number,
  bytes: number,
  pack: (packed: number) => void,
  use: (packed: number) => void,
): void {
  weights.withDerived(packingOf(problem, packing, extent), bytes, pack, use)
}

/** Rows and columns of the tiles that an algorithm transforms in a problem. */
type Extent = (problem: ConvProblem) => number

function packTiled(packed: number, w: number, shape: number, extent: number, transposed: 0 | 1): void {
  const k = kernels()
  const items = k.conv_tiled_pack_items(shape)
  const ws = perThread(k.conv_tiled_pack_workspace(shape, extent) >>> 0)
  // About a nanosecond for each byte that it makes.
  const work = k.conv_tiled_packed(shape, extent) / items
  parallel('conv_tiled_pack', items, work, packed, w, ws, shape, transposed, extent)
}

/** y of x, with weights that packTiled has transformed. */
function runTiled(
  { out, bias, checked, work }: PassArguments,
  x: number,
  packed: number,
  shape: number,
  extent: number,
): void {
  const k = kernels()
  const items = k.conv_tiled_fwd_items(shape, extent)
  const ws = perThread(k.conv_tiled_fwd_workspace(shape, extent))
  // Behind the alarm there is room for an integer that nobody reads.
  const wrong = alarm() + (checked ? 0 : 4)
  parallel('conv_tiled_fwd', items, work / items, out, wrong, x, packed, bias, ws, shape, extent)
}

function tiled(pass: PassArguments, shape: number, extent: number, transposed: 0 | 1): void {
  const packing = transposed ? 'tiled dx' : 'tiled'
  const pack = (packed: number): void => {
    packTiled(packed, pass.right, shape, extent, transposed)
  }
  withPacked(pass, packing, extent, kernels().conv_tiled_packed(shape, extent), pack, (packed) => {
    runTiled(pass, pass.left, packed, shape, extent)
  })
}

function tiledFilters(
  { problem, work }: PassArguments,
  dw: number,
  dy: number,
  x: number,
  shape: number,
  extent: number,
): void {
  const k = kernels()
  const items = k.conv_tiled_dw_items(shape, extent)
  const run = (to: number): void => {
    const ws = perThread(k.conv_tiled_dw_workspace(shape, extent))
    parallel('conv_tiled_dw', items, work / items, to, dy, x, ws, shape, extent)
  }
  const runs = k.conv_tiled_dw_runs(shape, extent)
  if (runs === 1) run(dw)
  else {
    const size = (problem.K * problem.C * sizeOf(problem.kernel)) / problem.groups
    withWorkspace(4 * runs * size, (sums) => {
      run(sums)
      parallel('conv_dw_sum', size, LIGHT * runs, dw, sums, size, runs)
    })
  }
}

function tiledPasses(extentOf: Extent): { readonly [pass in ConvPass]: Runner } {
  return {
    fwd(pass, shape) {
      tiled(pass, shape, extentOf(pass.problem), 0)
    },
    dx(pass) {
      const adjoint = adjointProblem(pass.problem)
      withIntegers(encodeConv(adjoint, 'none'), (shape) => {
        tiled(pass, shape, extentOf(adjoint), 1)
      })
    },
    dw(pass, shape) {
      tiledFilters(pass, pass.out, pass.left, pass.right, shape, extentOf(pass.problem))
    },
  }
}

/** Rows and columns of the tiles that phases are cut into. */
const PHASED = 6

/** Bytes of the phases of x, and of w. */
const phaseBytes = ({ N, C, input }: ConvProblem): number => 4 * N * C * sizeOf(input)
const phaseWeightBytes = ({ K, C, groups, kernel }: ConvProblem): number => (4 * K * C * sizeOf(kernel)) / groups

/** Runs `use` with the phases of x, and with the shape of the convolution that reads them. */
function withPhases(pass: PassArguments, x: number, shape: number, use: (x: number, shape: number) => void): void {
  const { problem, biasKind, relu } = pass
  const phases = phasesOf(problem)
  const [rows, columns] = phases.input as [number, number]
  withWorkspace(phaseBytes(phases), (split) => {
    const channels = problem.N * problem.C
    parallel('conv_phases_split', channels, (LIGHT * phaseBytes(phases)) / channels, split, x, shape, rows, columns)
    withIntegers(encodeConv(phases, biasKind, relu), (inner) => {
      use(split, inner)
    })
  })
}

/** y of x by the convolution of the phases, or by its adjoint: `inner` is the shape of either. */
function runPhases(pass: PassArguments, x: number, shape: number, inner: number, transposed: 0 | 1): void {
  const k = kernels()
  const { problem, right } = pass
  const phases = phasesOf(problem)
  const pack = (packed: number): void => {
    withWorkspace(phaseWeightBytes(phases), (w) => {
      k.conv_phases_weights(w, right, shape, phases.kernel[0] as number, 0)
      packTiled(packed, w, inner, PHASED, transposed)
    })
  }
  const [stride] = problem.stride as [number]
  withPacked(pass, transposed ? 'phases dx' : 'phases', stride, k.conv_tiled_packed(inner, PHASED), pack, (packed) => {
    runTiled(pass, x, packed, inner, PHASED)
  })
}

const phasesPasses: { readonly [pass in ConvPass]: Runner } = {
  fwd(pass, shape) {
    withPhases(pass, pass.left, shape, (x, inner) => {
      runPhases(pass, x, shape, inner, 0)
    })
  },
  dx(pass, shape) {
    const { problem, out, left } = pass
    const phases = phasesOf(problem)
    const [rows, columns] = phases.input as [number, number]
    withWorkspace(phaseBytes(phases), (split) => {
      withIntegers(encodeConv(adjointProblem(phases), 'none'), (inner) => {
        runPhases({ ...pass, out: split }, left, shape, inner, 1)
      })
      const channels = problem.N * problem.C
      parallel('conv_phases_merge', channels, (LIGHT * phaseBytes(phases)) / channels, out, split, shape, rows, columns)
    })
  },
  dw(pass, shape) {
    const inner = phasesOf(pass.problem)
    const [extent] = inner.kernel as [number]
    withPhases(pass, pass.right, shape, (x, innerShape) => {
      withWorkspace(phaseWeightBytes(inner), (dw) => {
        tiledFilters({ ...pass, problem: inner }, dw, pass.left, x, innerShape, PHASED)
        kernels().conv_phases_weights(dw, pass.out, shape, extent, 1)
      })
    })
  },
}

function depthwise({ problem: { N }, out, left, right, bias, work }: PassArguments, shape: number, maps: number): void {
  const ws = perThread(kernels().conv_depthwise_workspace(shape) >>> 0)
  parallel('conv_depthwise_fwd', N * maps, work / (N * maps), out, left, right, bias, ws, shape)
}

interface GemmForward {
  readonly items: number
  readonly workspace: PerThread
  readonly packing: Packing
  readonly packedBytes: number
}

const gemmForwards = new WeakMap<Kernels, WeakMap<ConvProblem, GemmForward>>()

/** How the forward pass is divided and what it needs, asked once: a small kernel takes as long as some such questions. */
function gemmForward(k: Kernels, problem: ConvProblem, shape: number): GemmForward {
  let known = gemmForwards.get(k)
  if (!known) gemmForwards.set(k, (known = new WeakMap()))
  let found = known.get(problem)
  if (!found) {
    found = {
      items: k.conv_gemm_fwd_items(shape),
      workspace: perThread(k.conv_gemm_fwd_workspace(shape)),
      packing: k.conv_gemm_rowwise(shape) ? 'gemm rows' : 'gemm',
      packedBytes: k.conv_gemm_packed(shape) >>> 0,
    }
    known.set(problem, found)
  }
  return found
}

const runners: { readonly [name in ConvAlgorithm]: { readonly [pass in ConvPass]: Runner } } = {
  direct: {
    fwd({ problem: { N, K }, out, left, right, bias, work }, shape) {
      parallel('conv_direct_fwd', N * K, work / (N * K), out, left, right, bias, shape)
    },
    dx({ problem: { N, C }, out, left, right, work }, shape) {
      parallel('conv_direct_dx', N * C, work / (N * C), out, left, right, shape)
    },
    dw({ problem: { K }, out, left, right, work }, shape) {
      parallel('conv_direct_dw', K, work / K, out, left, right, shape)
    },
  },
  gemm: {
    fwd(pass, shape) {
      const k = kernels()
      const { problem, out, left, right, bias, work } = pass
      const { items, workspace, packing, packedBytes } = gemmForward(k, problem, shape)
      const pack = (packed: number): void => k.conv_gemm_pack(packed, right, shape)
      withPacked(pass, packing, 1, packedBytes, pack, (packed) => {
        parallel('conv_gemm_fwd', items, work / items, out, left, packed, bias, workspace, shape)
      })
    },
    dx(pass, shape) {
      const k = kernels()
      const { out, left, right, work } = pass
      const items = k.conv_gemm_dx_items(shape)
      const pack = (packed: number): void => k.conv_gemm_pack_transposed(packed, right, shape)
      withPacked(pass, 'gemm dx', 1, k.conv_gemm_packed_transposed(shape) >>> 0, pack, (packed) => {
        const ws = perThread(k.conv_gemm_dx_workspace(shape))
        parallel('conv_gemm_dx', items, work / items, out, left, packed, ws, shape)
      })
    },
    dw({ problem: { C, K, groups, kernel }, out, left, right, work }, shape) {
      const k = kernels()
      const items = k.conv_gemm_dw_items(shape)
      const ws = perThread(k.conv_gemm_dw_workspace(shape))
      const run = (sums: number): void => {
        parallel('conv_gemm_dw', items, work / items, out, sums, left, right, ws, shape)
      }
      const bytes = k.conv_gemm_dw_sums(shape)
      if (bytes === 0) run(0)
      else {
        withWorkspace(bytes, (sums) => {
          run(sums)
          const size = (K * C * sizeOf(kernel)) / groups
          parallel('conv_dw_sum', size, (LIGHT * bytes) / (4 * size), out, sums, size, bytes / (4 * size))
        })
      }
    },
  },
  dense: {
    fwd({ problem: { N, C, K, kernel }, out, left, right, bias }) {
      multiply(out, left, right, bias, { M: N, N: K, K: C * sizeOf(kernel), transposeA: false, transposeB: true })
    },
    dx({ problem: { N, C, K, kernel }, out, left, right }) {
      multiply(out, left, right, 0, { M: N, N: C * sizeOf(kernel), K, transposeA: false, transposeB: false })
    },
    dw({ problem: { N, C, K, kernel }, out, left, right }) {
      multiply(out, left, right, 0, { M: K, N: C * sizeOf(kernel), K: N, transposeA: true, transposeB: false })
    },
  },
  depthwise: {
    fwd(pass, shape) {
      depthwise(pass, shape, pass.problem.K)
    },
    dx(pass) {
      withIntegers(encodeConv(adjointProblem(pass.problem), 'none'), (shape) => {
        depthwise(pass, shape, pass.problem.C)
      })
    },
    dw({ problem: { K }, out, left, right, work }, shape) {
      const ws = perThread(kernels().conv_depthwise_workspace(shape) >>> 0)
      parallel('conv_depthwise_dw', K, work / K, out, left, right, ws, shape)
    },
  },
  winograd: tiledPasses(() => 6),
  phases: phasesPasses,
  winograd2: tiledPasses(() => 4),
  fft: tiledPasses(fftExtent),
}

type FootprintRule = (problem: ConvProblem, shape: number) => Footprint

const nothing: Footprint = { workspace: 0, packed: 0 }

/** The same pass of the problem whose forward pass is this one's input gradient. */
const ofAdjoint =
  (rule: FootprintRule): FootprintRule =>
  (problem) => {
    const adjoint = adjointProblem(problem)
    return withIntegers(encodeConv(adjoint, 'none'), (shape) => rule(adjoint, shape))
  }

const depthwiseFootprint: FootprintRule = (_, shape) => ({
  workspace: onAllThreads(kernels().conv_depthwise_workspace(shape) >>> 0),
  packed: 0,
})

interface FootprintRules {
  readonly fwd: FootprintRule
  readonly dx: FootprintRule
}

function tiledFootprints(extentOf: Extent): FootprintRules {
  const fwd: FootprintRule = (problem, shape) => {
    const k = kernels()
    const extent = extentOf(problem)
    return {
      workspace: onAllThreads(k.conv_tiled_fwd_workspace(shape, extent)),
      packed: k.conv_tiled_packed(shape, extent),
    }
  }
  return { fwd, dx: ofAdjoint(fwd) }
}

function phasesFootprints({ fwd, dx }: FootprintRules): FootprintRules {
  const withPhases =
    (rule: FootprintRule): FootprintRule =>
    (problem) => {
      const phases = phasesOf(problem)
      const { workspace, packed } = withIntegers(encodeConv(phases, 'none'), (shape) => rule(phases, shape))
      return { workspace: workspace + phaseBytes(phases), packed }
    }
  return { fwd: withPhases(fwd), dx: withPhases(dx) }
}

/** What the passes of each algorithm that compute a layer's output ask for, as their runners do. */
const footprints: { readonly [name in ConvAlgorithm]: FootprintRules } = {
  direct: { fwd: () => nothing, dx: () => nothing },
  gemm: {
    fwd(problem, shape) {
      const { workspace, packedBytes } = gemmForward(kernels(), problem, shape)
      return { workspace: onAllThreads(workspace.bytes), packed: packedBytes }
    },
    dx(_, shape) {
      const k = kernels()
      return {
        workspace: onAllThreads(k.conv_gemm_dx_workspace(shape)),
        packed: k.conv_gemm_packed_transposed(shape) >>> 0,
      }
    },
  },
  dense: {
    fwd: ({ N, C, K, kernel }) => ({
      workspace: multiplyWorkspace({ M: N, N: K, K: C * sizeOf(kernel), transposeA: false, transposeB: true }),
      packed: 0,
    }),
    dx: ({ N, C, K, kernel }) => ({
      workspace: multiplyWorkspace({ M: N, N: C * sizeOf(kernel), K, transposeA: false, transposeB: false }),
      packed: 0,
    }),
  },
  depthwise: { fwd: depthwiseFootprint, dx: ofAdjoint(depthwiseFootprint) },
  winograd: tiledFootprints(() => 6),
  phases: phasesFootprints(tiledFootprints(() => PHASED)),
  winograd2: tiledFootprints(() => 4),
  fft: tiledFootprints(fftExtent),
}

/** Bytes that a pass by one algorithm needs besides its tensors. */
export function convFootprint(algorithm: ConvAlgorithm, problem: ConvProblem, pass: 'fwd' | 'dx' = 'fwd'): Footprint {
  return guarded('summary', () =>
    withIntegers(encodeConv(problem, 'none'), (shape) => footprints[algorithm][pass](problem, shape)),
  )
}

/** Whether the forward pass of an algorithm can end with relu. */
export const fusesRelu = (algorithm: ConvAlgorithm): boolean =>
  ['gemm', 'winograd', 'winograd2', 'phases'].includes(algorithm)

/** Runs one pass by one algorithm, which must support it. */
export function runConv(algorithm: ConvAlgorithm, pass: ConvPass, given: PassArguments): void {
  withIntegers(encodeConv(given.problem, given.biasKind, given.relu), (shape) => {
    runners[algorithm][pass](given, shape)
  })
}
