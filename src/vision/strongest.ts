/**
 * The parts of pictures that excite each feature map most (Zeiler & Fergus 2014, figure 2): the receptive fields of its
 * strongest responses, one for each picture.
 */
import type { Graph } from '../nn/graph.js'
import type { ReceptiveField } from '../nn/receptive.js'
import { checkList, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { eachBatch, type Pictures } from './batches.js'
import { strongestIn } from './deconvolve.js'
import { nodeNamed } from './node.js'

/** Options of `strongestPatches`. */
export interface StrongestOptions {
  /** Name of the layer, as in `model.nodes`; layers of a `Sequential` are named by their numbers. */
  readonly layer: string
  /** Patches of each map. Default 9. */
  readonly count?: number
  /** The feature maps, from 0. Default: all of the layer. */
  readonly maps?: readonly number[]
  /** Pictures in one forward pass, where they are a tensor. Default 64. */
  readonly batchSize?: number
}

const strongestNames = { layer: 0, count: 0, maps: 0, batchSize: 0 } satisfies Names<StrongestOptions>

/** A part of a picture, and the response of a feature map to it. */
export interface StrongPatch {
  /** Number of the picture, from 0. */
  readonly picture: number
  /** The response. */
  readonly response: number
  /** Row and column of the response in the feature map; [0, 0] for a unit. */
  readonly place: readonly [row: number, column: number]
  /** Row and column of the patch's first pixel in the picture; negative where the patch begins in the padding. */
  readonly begin: readonly [row: number, column: number]
  /** (C, R, S): the receptive field, or the picture's extent where the field is larger. */
  readonly shape: readonly [C: number, R: number, S: number]
  /** Pixels as the model sees them, row-major; NaN outside of the picture, which pictures of tiles leave transparent. */
  readonly values: Float32Array
}

/** The strongest patches of a feature map. */
export interface MapPatches {
  /** The map, from 0. */
  readonly map: number
  /** The strongest first; of equal responses that to the earlier picture. */
  readonly patches: readonly StrongPatch[]
}

/**
 * What one output of a layer sees of the model's input, along rows and columns.
 *
 * @throws UnsupportedError where that is no window of whole pixels, as behind an upsampling
 */
export function fieldOf(model: Graph, layer: string, input: Shape, name: string): ReceptiveField {
  const rows = model.summary(input, { training: true }).layers.flatMap((row) => [row, ...(row.children ?? [])])
  // A block may be called as the last of its layers, which then comes behind it.
  const field = rows.filter((row) => row.name === layer && row.children === undefined).at(-1)?.receptiveField
  const isWhole = field && [...field.size, ...field.stride, ...field.offset].every(Number.isInteger)
  if (isWhole && field.size.length === 2) return field
  throw new UnsupportedError(
    `${name}: what layer '${layer}' sees of a picture is no window of whole pixels; choose another layer`,
  )
}

/** Where the patches of a layer lie. */
interface Places {
  readonly picture: readonly [C: number, H: number, W: number]
  readonly field: ReceptiveField
}

/** Rows or columns of a patch: the first, and how many. A field as large as the picture is the picture. */
function along(axis: 0 | 1, place: number, { picture, field }: Places): readonly [begin: number, extent: number] {
  const extent = picture[axis + 1] as number
  const size = field.size[axis] as number
  if (size >= extent) return [0, extent]
  return [(field.offset[axis] as number) + place * (field.stride[axis] as number), size]
}

/** Where in a picture a patch lies. */
type Cut = Pick<StrongPatch, 'begin' | 'shape'>

/** Cuts a patch out of a picture (C, H, W): what lies outside of the picture is NaN. */
export function cutOut(
  pixels: Float32Array,
  [, H, W]: readonly [C: number, H: number, W: number],
  { begin: [top, left], shape: [C, R, S] }: Cut,
): Float32Array {
  const values = new Float32Array(C * R * S).fill(Number.NaN)
  const from = Math.max(0, left)
  const end = Math.min(W, left + S)
  for (let c = 0; c < C; c++) {
    for (let row = Math.max(0, top); row < Math.min(H, top + R) && from < end; row++) {
      const start = (c * H + row) * W
      values.set(pixels.subarray(start + from, start + end), (c * R + row - top) * S + from - left)
    }
  }
  return values
}

/** The patch that the response at a place sees. */
function cutAt(place: readonly [number, number], places: Places): Cut {
  const [top, R] = along(0, place[0], places)
  const [left, S] = along(1, place[1], places)
  return { begin: [top, left], shape: [places.picture[0], R, S] }
}

/**
 * For feature maps of a layer, the patches of pictures (N, C, H, W) to which they respond most strongly. A picture counts once
 * for a map, with its strongest response.
 *
 * @example
 * const [first] = strongestPatches(model, pictures, { layer: '1', count: 9 })
 * first.patches.map(({ picture, begin }) => `picture ${picture}, from row ${begin[0]} and column ${begin[1]}`)
 * @throws ShapeError when pictures or options do not fit, or pictures are smaller than what the layer needs; UnsupportedError
 *   where an output of the layer sees no window of whole pixels
 */
export function strongestPatches(model: Graph, pictures: Pictures, options: StrongestOptions): MapPatches[] {
  checkCount('strongestPatches', 3, arguments)
  const name = 'strongestPatches'
  needKeys(name, options, strongestNames)
  const { layer, maps } = options
  nodeNamed(model, layer, `${name}: layer`)
  const count = checkWhole(options.count ?? 9, `${name}: count`, 1, 4096)
  const batchSize = checkWhole(options.batchSize ?? 64, `${name}: batchSize`, 1, 2 ** 16)
  if (maps !== undefined) checkList(maps, `${name}: maps`, 'a list of numbers of maps')
  let found: { readonly map: number; readonly patches: StrongPatch[] }[] | undefined
  let places: Places | undefined
  eachBatch(pictures, batchSize, name, (x, before) => {
    const [N, ...picture] = x.shape as [number, number, number, number]
    if (picture.length !== 3) {
      throw new ShapeError(`${name}: pictures must be (N, C, H, W), given ${showShape(x.shape)}`)
    }
    if (places && picture.join() !== places.picture.join()) {
      throw new ShapeError(
        `${name}: pictures are ${showShape(places.picture)} and ${showShape(picture)}; all must be alike`,
      )
    }
    const output = model.run(x, [layer], { training: false })[layer] as Tensor
    places ??= { picture, field: fieldOf(model, layer, picture, name) }
    const [, K = 1, ...plane] = output.shape
    if (found === undefined) {
      const wanted = maps ?? Array.from({ length: K }, (_, map) => map)
      for (const map of wanted) checkWhole(map, `${name}: a map`, 0, K - 1)
      found = wanted.map((map) => ({ map, patches: [] }))
    }
    const values = output.data()
    const pixels = x.data()
    const size = sizeOf(plane)
    const columns = plane[1] ?? 1
    const length = sizeOf(picture)
    for (const { map, patches } of found) {
      for (let n = 0; n < N; n++) {
        const begin = (n * K + map) * size
        const at = strongestIn(values, begin, begin + size) - begin
        const response = values[begin + at] as number
        const rank = patches.findIndex((patch) => response > patch.response)
        if ((rank < 0 && patches.length === count) || Number.isNaN(response)) continue
        const place = [Math.floor(at / columns), at % columns] as const
        const cut = cutAt(place, places)
        const seen = cutOut(pixels.subarray(n * length, (n + 1) * length), places.picture, cut)
        const patch = { ...cut, values: seen }
        patches.splice(rank < 0 ? patches.length : rank, 0, { picture: before + n, response, place, ...patch })
        if (patches.length > count) patches.pop()
      }
    }
  })
  if (!found) throw new ArgumentError(`${name}: there is no picture`)
  return found
}
