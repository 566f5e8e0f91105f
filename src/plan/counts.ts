/**
 * Counts of what the passes of each algorithm do: multiply-adds, and numbers that are transformed, gathered and packed. `costs.ts`
 * holds the nanoseconds for one of each. The counts follow the loops of assembly/ops/conv/, roundings and blocks included. Counts
 * whose names begin with `packed` fall away where weights were packed before.
 */
import {
  adjointProblem,
  fftExtent,
  multiplyAdds,
  numbersOf,
  phasesOf,
  planarOf,
  product,
  tilesOf,
  type ConvProblem,
} from './problem.js'
import { meetings, paddedPixels, skipsPadding } from './reach.js'
import { gatheringOf, tileRows } from './gather.js'
import {
  gemm as gemmBlocks,
  tile,
  transformed as transformedBlocks,
  transformedFilter,
} from '../runtime/generated/constants.js'

/** Counts by the name of what is counted. */
export type Counts = Readonly<Record<string, number>>

const parts = (count: number, size: number): number => Math.ceil(count / size)

const up = (count: number, to: number): number => parts(count, to) * to

const { COLUMNS } = tile

/** A matrix product (rows, depth) · (depth, columns), `times` times, `packs` blocks of columns or depth at a time. */
function products(times: number, rows: number, columns: number, depth: number, blocks: number): Counts {
  const panels = parts(rows, tileRows())
  return {
    multiplyAdds: times * rows * columns * depth,
    // Reading the panel of columns costs the same for one row as for five.
    panels: times * panels * columns * depth,
    tiles: times * panels * parts(columns, COLUMNS) * blocks,
  }
}

/** Numbers copied from an image: side by side, or one by one. */
function gathered({ stride, output, kernel }: ConvProblem, count: number): Counts {
  const near = stride.at(-1) === 1 && ((output.at(-1) as number) >= 4 || product(kernel) === 1)
  return near ? { gathered: count } : { gatheredApart: count }
}

/** Loops over the definition, or over what of it meets the input. */
export function definition(problem: ConvProblem): Counts {
  if (!skipsPadding(problem)) return { multiplyAdds: multiplyAdds(problem) }
  const { N, C, K, groups } = problem
  return { multiplyAdds: N * K * (C / groups) * meetings(problem) }
}

/** Blocks of panels of `pixels` pixels in rows of Q, as pixelBlocks of assembly/ops/conv/gemm.ts divides them. */
function pixelBlocks(pixels: number, Q: number, depth: number): number {
  const { PANELS, PANEL_BYTES, SHORT_PANELS, SHORT_BYTES } = gemmBlocks
  const within = (bytes: number): number => Math.floor(bytes / (4 * COLUMNS * depth))
  const short = Math.max(PANELS, Math.min(SHORT_PANELS, within(SHORT_BYTES)))
  const most = Math.max(1, Math.min(short, within(PANEL_BYTES)))
  const row = Q / COLUMNS
  return parts(parts(pixels, COLUMNS), Number.isInteger(row) && row <= most ? most - (most % row) : most)
}

/** Blocks of rows of outputs where patches are gathered by rows; else 0. */
function rowBlocks(problem: ConvProblem): number {
  if (gatheringOf(problem) !== 'rows') return 0
  const { C, groups, kernel, output } = problem
  const [R, S] = kernel.slice(-2) as [number, number]
  const [P, Q] = output.slice(-2) as [number, number]
  const rows = Math.floor(gemmBlocks.ROW_BYTES / ((4 * up(Q, COLUMNS) * C * S) / groups)) + 1 - R
  return parts(P, Math.min(Math.max(1, rows), parts(P, gemmBlocks.SHARES)))
}

/** Patches times weights, assembly/ops/conv/gemm.ts. */
export const gemm = {
  fwd(problem: ConvProblem): Counts {
    const { N, C, K, groups, kernel, output, stride } = problem
    const taps = (C / groups) * product(kernel)
    const pixels = product(output)
    const rows = K / groups
    const [P, Q] = [output.at(-2) ?? 1, output.at(-1) as number]
    const [R, S] = [kernel.at(-2) ?? 1, kernel.at(-1) as number]
    const rowwise = rowBlocks(problem)
    const blocks = rowwise || pixelBlocks(pixels, Q, Math.min(gemmBlocks.TAP_BLOCK, taps))
    const shares = Math.min(parts(gemmBlocks.SHARES, blocks), parts(rows, 8 * tileRows()))
    // Each block pads the rows of the image that it reads.
    const lines = rowwise ? parts(P, blocks) : Math.min(P, parts(pixels / blocks - 1, Q) + 1)
    const region = paddedPixels(problem) && lines * (stride.at(-2) ?? 1) + R
    const columns = rowwise ? P * up(Q, 4) : up(pixels, COLUMNS)
    const reads = rowwise ? (blocks * (lines + R - 1) * C * S * up(Q, 4)) / groups : columns * taps
    return {
      ...products(N * groups, rows, columns, taps, parts(taps, gemmBlocks.TAP_BLOCK)),
      ...gathered(problem, N * groups * shares * reads),
      padded: N * C * shares * blocks * region * Q,
      paddedRows: N * C * shares * blocks * region,
      items: N * groups * shares * blocks,
      streamed: N * blocks * K * taps,
      outputs: N * K * pixels,
      packed: K * taps,
    }
  },
  dx(problem: ConvProblem): Counts {
    const { N, C, K, groups, kernel, output, input } = problem
    const taps = (C / groups) * product(kernel)
    const pixels = product(output)
    const shares = parts(C / groups, Math.min(C / groups, parts(gemmBlocks.TAP_SHARE, product(kernel))))
    const { gathered: scattered = 0, gatheredApart: scatteredApart = 0 } = gathered(
      problem,
      N * groups * taps * up(pixels, COLUMNS),
    )
    return {
      ...products(N * groups, taps, up(pixels, COLUMNS), K / groups, 1),
      scattered,
      scatteredApart,
      columns: N * shares * K * pixels,
      inputs: N * C * (product(input) + 2 * paddedPixels(problem)),
      items: N * groups * shares,
      packed: K * taps,
    }
  },
  dw(problem: ConvProblem): Counts {
    const { N, C, K, groups, kernel, output } = problem
    const taps = (C / groups) * product(kernel)
    const pixels = product(output)
    const { PIXEL_BLOCK, TAP_SHARE, SHARES } = gemmBlocks
    const images = Math.max(1, Math.min(N, Math.floor(PIXEL_BLOCK / pixels)))
    const blocks = parts(taps, TAP_SHARE)
    const runs = Math.min(parts(N, images), parts(2 * SHARES, groups * blocks))
    return {
      ...products(groups, K / groups, up(taps, COLUMNS), N * pixels, parts(N, images) * parts(pixels, PIXEL_BLOCK)),
      ...gathered(problem, N * groups * up(taps, COLUMNS) * pixels),
      gradients: N * blocks * K * pixels,
      padded: N * C * paddedPixels(problem),
      paddedRows: N * C * (paddedPixels(problem) && product(output.slice(0, -1))),
      // Of one image in one panel of taps, or of output channels.
      copies: N * groups * (parts(taps, COLUMNS) + blocks * parts(K / groups, tileRows())),
      sums: runs * K * taps,
    }
  },
}

/** A product of matrices: up to four rows, only the weights are read; else they are packed. */
export const dense = {
  fwd(problem: ConvProblem): Counts {
    const { N, C, K, kernel } = problem
    const taps = C * product(kernel)
    return N <= 4 ? { dots: N * K * taps } : { ...products(1, N, K, taps, 1), weights: K * taps }
  },
  dx(problem: ConvProblem): Counts {
    const { N, C, K, kernel } = problem
    const taps = C * product(kernel)
    return { ...products(1, N, taps, K, 1), weights: K * taps }
  },
  dw(problem: ConvProblem): Counts {
    const { N, C, K, kernel } = problem
    const taps = C * product(kernel)
    return { ...products(1, K, taps, N, 1), inputs: N * taps, gradients: N * K }
  },
}

/** Multiply-adds of rows of outputs: in blocks of 16 and 4 for columns that lie side by side, and one by one. */
function rowCounts({ stride, output }: ConvProblem, each: number, largest: number): Counts {
  const Q = output.at(-1) as number
  const sixteens = largest === 16 && stride.at(-1) === 1 ? Q - (Q % 16) : 0
  const fours = Q - sixteens - (Q % 4)
  return {
    sixteens: each * sixteens,
    ...(stride.at(-1) === 1 ? { fours: each * fours } : { apart: each * fours }),
    ones: each * (Q % 4),
    rows: each,
  }
}

/** Maps for themselves, assembly/ops/conv/depthwise.ts. */
export const depthwise = {
  fwd(problem: ConvProblem): Counts {
    const { N, K, kernel, output, stride, dilation } = problem
    const Q = output.at(-1) as number
    const square = kernel.length === 2 && kernel.every((extent) => extent === 3)
    const swept = square && [...stride, ...dilation].every((step) => step === 1) && Q >= 4
    return {
      ...(swept ? { swept: multiplyAdds(problem) } : rowCounts(problem, multiplyAdds(problem) / Q, 16)),
      padded: N * K * paddedPixels(problem),
      maps: N * K,
    }
  },
  dx: (problem: ConvProblem): Counts => depthwise.fwd(adjointProblem(problem)),
  dw(problem: ConvProblem): Counts {
    const { N, K, output } = problem
    return {
      ...rowCounts(problem, multiplyAdds(problem) / (output.at(-1) as number), 4),
      padded: N * K * paddedPixels(problem),
    }
  },
}

/** Real products for each filter and tile: complex numbers, of which there are half as many, take four. */
const productsOf = (extent: number): number => (extent > 6 ? 2 : 1) * numbersOf(extent)

/** Fourier transforms of 32 points and more take longer for each number than those of 16. */
const transforms = (extent: number, counts: Counts): Counts =>
  extent >= 32 ? Object.fromEntries(Object.entries(counts).map(([what, count]) => [`${what}32`, count])) : counts

/** The gradient of a filter of 5 × 5 on tiles of six is that of four filters of 3 × 3, as of four channels. */
const quarters = (problem: ConvProblem): ConvProblem =>
  problem.kernel[0] === 5 ? { ...problem, C: 4 * problem.C, kernel: [3, 3] } : problem

/** Numbers that are copied where a convolution of one or three directions is made one of two: input and output, there and back. */
function copied({ kernel }: ConvProblem, planar: ConvProblem): number {
  return kernel.length === 2 ? 0 : planar.N * (2 * planar.C * product(planar.input) + planar.K * product(planar.output))
}

/** Transformed tiles of the extent that `extentOf` tells, assembly/ops/conv/transformed.ts and transformedFilter.ts. */
export function transformed(extentOf: (problem: ConvProblem) => number): {
  readonly [pass in 'fwd' | 'dx' | 'dw']: (problem: ConvProblem) => Counts
} {
  function fwd(problem: ConvProblem): Counts {
    const extent = extentOf(problem)
    const planar = planarOf(problem, extent)
    const { N, C, K, groups } = planar
    const complex = extent > 6 ? 2 : 1
    const numbers = numbersOf(extent)
    const tiles = tilesOf(planar, extent)
    const [inputs, rows] = [C / groups, K / groups]
    const { FEWEST, MOST, WHOLE, BLOCK_BYTES } = transformedBlocks
    const wanted = Math.max(FEWEST, Math.min(MOST, Math.floor(BLOCK_BYTES / (4 * numbers * (inputs + rows)))))
    const images = Math.max(1, Math.min(N, Math.floor(wanted / tiles)))
    const sets = parts(N, images)
    const total = images * tiles
    const blocks = total <= WHOLE ? 1 : parts(total, up(parts(total, parts(total, wanted)), COLUMNS))
    const counted = sets * blocks * up(parts((N * tiles) / sets, blocks), 4)
    const packed = productsOf(extent) * K * inputs
    return {
      ...products(groups * numbers, rows, counted, inputs * complex, 1),
      ...transforms(extent, {
        inputs: groups * numbers * inputs * counted,
        outputs: groups * numbers * rows * counted,
      }),
      streamed: sets * blocks * packed,
      padded: N * C * paddedPixels(planar) + copied(problem, planar),
      packed,
      // What a second-level cache does not hold takes longer.
      packedFar: Math.max(0, packed - 2 ** 18),
    }
  }
  function dw(problem: ConvProblem): Counts {
    const extent = extentOf(problem)
    const planar = planarOf(problem, extent)
    const { N, C, K, groups, kernel, output } = extent === 6 ? quarters(planar) : planar
    const complex = extent > 6 ? 2 : 1
    const numbers = numbersOf(extent)
    const block = extent > 32 ? 8 : complex === 2 ? 32 : 64
    const tiles = tilesOf({ kernel, output }, extent)
    const [columns, rows] = [up(C / groups, COLUMNS), K / groups]
    const shares = parts(C / groups, transformedFilter.CHANNELS_C)
    const images = Math.max(1, Math.min(N, Math.floor(block / tiles)))
    const least = kernel === planar.kernel ? 1 : Math.min(2, N, Math.floor((N * tiles) / 32))
    const runs = Math.min(Math.max(least, parts(N, images)), parts(transformedFilter.ITEMS, groups * shares))
    const blocks = parts(N, images) * parts(images * tiles, block)
    return {
      ...products(groups * numbers, rows, columns, N * tiles * complex, blocks),
      ...transforms(extent, {
        inputs: groups * numbers * columns * N * tiles,
        gradients: groups * numbers * rows * shares * N * tiles,
      }),
      sums: groups * runs * numbers * rows * columns,
      filters: groups * runs * rows * columns * product(kernel),
      padded: N * (planar.C * paddedPixels(planar) + K * shares * product(output)) + copied(problem, planar),
    }
  }
  return { fwd, dx: (problem) => fwd(adjointProblem(problem)), dw }
}

/** Minimal filtering on tiles of 6 × 6. */
export const winograd = transformed(() => 6)
/** Minimal filtering on tiles of 4 × 4. */
export const winograd2 = transformed(() => 4)
/** Fourier transforms of tiles of 16 × 16, 32 × 32 or 64 × 64. */
export const fft = transformed(fftExtent)

/** The same with the phases of the input as channels, which are copied: assembly/ops/conv/phases.ts. */
const phased =
  (pass: (problem: ConvProblem) => Counts): ((problem: ConvProblem) => Counts) =>
  (problem) => {
    const inner = phasesOf(problem)
    return { ...pass(inner), phases: inner.N * inner.C * product(inner.input) }
  }

/** Minimal filtering of the phases of a strided convolution. */
export const phases = { fwd: phased(winograd.fwd), dx: phased(winograd.dx), dw: phased(winograd.dw) }
