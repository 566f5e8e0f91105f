/** Volumes with a solid in each: what a scanner sees, in small. */
import { checkWhole } from '../runtime/check.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { checkMaker, drawn, made, type MadeExamples, type MakerOptions } from './made.js'

/** Options of `solids`. */
export interface SolidsOptions extends MakerOptions {
  /** Edge of the volumes in voxels. Default 20. */
  readonly size?: number
}

type Point = readonly [x: number, y: number, z: number]

const length = (...values: number[]): number => {
  let sum = 0
  for (const value of values) sum += value * value
  return Math.sqrt(sum)
}

/** The distance to a rectangle's border in two directions that reach from −a to a and −b to b; negative inside. */
const fromBox = (p: number, q: number): number => length(Math.max(p, 0), Math.max(q, 0)) + Math.min(Math.max(p, q), 0)

/** Signed distances to solids of about the same volume, of the radius 1: below 0 inside. */
const distances: Readonly<Record<string, (point: Point) => number>> = {
  ball: ([x, y, z]) => length(x, y, z) - 0.95,
  cube: ([x, y, z]) => Math.max(Math.abs(x), Math.abs(y), Math.abs(z)) - 0.77,
  cylinder: ([x, y, z]) => fromBox(length(x, y) - 0.66, Math.abs(z) - 1.1),
  // From the point at z = 1.1 down to a disk of the radius 1 at z = −0.9, by the slope of its side.
  cone: ([x, y, z]) => Math.max(-0.9 - z, (2 * length(x, y) + (z - 1.1)) / length(2, 1)),
  torus: ([x, y, z]) => length(length(x, y) - 0.85, z) - 0.45,
}

/** Classes of `solids`. */
const classes = Object.keys(distances)

/** The rows of the rotation by a quaternion, which is normalized. */
function rotation([a, b, c, d]: readonly [number, number, number, number]): readonly [Point, Point, Point] {
  const scale = 2 / (a * a + b * b + c * c + d * d)
  return [
    [1 - scale * (c * c + d * d), scale * (b * c - a * d), scale * (b * d + a * c)],
    [scale * (b * c + a * d), 1 - scale * (b * b + d * d), scale * (c * d - a * b)],
    [scale * (b * d - a * c), scale * (c * d + a * b), 1 - scale * (b * b + c * c)],
  ]
}

const names = { count: 0, noise: 0, seed: 0, size: 0 } satisfies Names<Required<SolidsOptions>>

/**
 * Volumes (1, D, H, W) with a ball, a cube, a cylinder, a cone or a torus in each, turned in any direction, of a radius from a fifth to
 * a third of the edge, somewhere within, brighter than the ground by 0.5 to 1, under noise (default 0.3). The same
 * seed gives the same bits everywhere.
 *
 * @example
 * const training = solids({ count: 2000, seed: 1 })
 * await fit(model, training, { … }) // model takes training.shape, (1, 20, 20, 20)
 * @throws ArgumentError when an option does not fit; ShapeError when they are more than memory is for
 */
export function solids(options: SolidsOptions): MadeExamples {
  checkCount('solids', 1, arguments)
  needKeys('solids', options, names)
  const { count, seed = 0, noise = 0.3 } = options
  const size = checkWhole(options.size ?? 20, 'solids: size', 10, 512)
  checkMaker('solids', options, [1, size, size, size])
  checkSeed(seed, 'solids')
  const draws = drawn(count, 9, seed, 0)
  return made({ count, seed, noise }, [1, size, size, size], classes, (to, label, n) => {
    const [large, right, down, deep, bright, ...turn] = draws(n) as unknown as number[] as [
      ...[number, number, number, number, number],
      ...number[],
    ]
    const radius = (size - 1) * (0.2 + 0.12 * large)
    // No point of a solid is farther from its middle than 1.35 radii: it stays within the volume whichever way it is turned.
    const room = (size - 1) / 2 - 1.35 * radius - 0.5
    const centre = [deep, down, right].map((share) => (size - 1) / 2 + (2 * share - 1) * room) as unknown as Point
    const rows = rotation(turn.map((value) => 2 * value - 1) as unknown as readonly [number, number, number, number])
    const distance = distances[classes[label] as string] as (point: Point) => number
    for (let i = 0, z = 0; z < size; z++) {
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++, i++) {
          const [p, q, r] = [(x - centre[2]) / radius, (y - centre[1]) / radius, (z - centre[0]) / radius]
          const turned = rows.map((row) => row[0] * p + row[1] * q + row[2] * r) as unknown as Point
          // A voxel at the surface is full in part.
          to[i] = (0.5 + 0.5 * bright) * Math.min(1, Math.max(0, 0.5 - distance(turned) * radius))
        }
      }
    }
  })
}
