/** Skeletons that move: angles of joints over time, as a recording of a body gives them. */
import { checkWhole } from '../runtime/check.js'
import { kernels } from '../runtime/core.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { checkMaker, drawn, made, type MadeExamples, type MakerOptions } from './made.js'

/** Options of `movements`. */
export interface MovementsOptions extends MakerOptions {
  /** T, moments of a recording, 15 in a second. Default 45. */
  readonly frames?: number
}

/** Joints whose angles are the channels of a movement, in radians: 0 where a body stands with its arms down. */
export const joints: readonly string[] = [
  ...['left shoulder', 'right shoulder', 'left elbow', 'right elbow'],
  ...['left hip', 'right hip', 'left knee', 'right knee', 'trunk'],
]

/**
 * A joint's angle is middle + swing · cos(2π · (beats · t + phase)), t in periods of the movement; of a knee or an elbow what is
 * below 0 is left out, since they bend one way.
 */
type Swing = readonly [middle: number, swing: number, beats?: number, phase?: number]

/** Swings by joint, where there is one; a movement of one side is made of either. */
const movementsByName: Readonly<Record<string, readonly (Swing | undefined)[]>> = {
  stand: [[0.05, 0.03], [0.05, 0.03], undefined, undefined, undefined, undefined, undefined, undefined, [0, 0.03]],
  walk: [[0, 0.4], [0, -0.4], [0.3, 0.1], [0.3, -0.1], [0, -0.5], [0, 0.5], [0.3, 0.4, 1, 0.3], [0.3, 0.4, 1, 0.8], [0.05, 0.03, 2]], // prettier-ignore
  run: [[0, 0.9], [0, -0.9], [1.5, 0.2], [1.5, -0.2], [0.3, -0.9], [0.3, 0.9], [0.9, 0.9, 1, 0.3], [0.9, 0.9, 1, 0.8], [0.25, 0.06, 2]], // prettier-ignore
  wave: [[2.6, 0.1], undefined, [0.6, 0.5, 2], undefined, undefined, undefined, undefined, undefined, [0, 0.05]],
  squat: [[0.8, -0.8], [0.8, -0.8], [0.2, 0.1], [0.2, 0.1], [0.9, -0.9], [0.9, -0.9], [1.1, -1.1], [1.1, -1.1], [0.3, -0.3]], // prettier-ignore
  jump: [[1.4, 1.2], [1.4, 1.2], [0.2, 0.2], [0.2, 0.2], [0.4, -0.4, 1, 0.1], [0.4, -0.4, 1, 0.1], [0.6, -0.7, 2, 0.1], [0.6, -0.7, 2, 0.1], [0.1, -0.15]], // prettier-ignore
}

const classes = Object.keys(movementsByName)

/** The joint of the other side. */
const mirrored = (joint: number): number => (joint === 8 ? 8 : joint % 2 === 0 ? joint + 1 : joint - 1)

const names = { count: 0, noise: 0, seed: 0, frames: 0 } satisfies Names<Required<MovementsOptions>>

/**
 * Recordings (J, T) of the angles of J = 9 joints (`joints`) at T moments: standing, walking, running, waving, squatting, jumping.
 * Bodies differ in tempo, in how far they swing, by either side and in where they begin; noise is 0.15 rad where none is told.
 * The same seed gives the same bits everywhere.
 *
 * @example
 * const training = movements({ count: 1200, seed: 1 }) // (9, 45) each
 * @throws ArgumentError when an option does not fit; ShapeError when they are more than memory is for
 */
export function movements(options: MovementsOptions): MadeExamples {
  checkCount('movements', 1, arguments)
  needKeys('movements', options, names)
  const { count, seed = 0, noise = 0.15 } = options
  const T = checkWhole(options.frames ?? 45, 'movements: frames', 2, 2 ** 16)
  checkMaker('movements', options, [joints.length, T])
  checkSeed(seed, 'movements')
  const { scalar_cos: cos } = kernels('movements')
  const draws = drawn(count, 4 + joints.length, seed, 2)
  return made({ count, seed, noise }, [joints.length, T], classes, (to, label, n) => {
    const [tempo, begin, vigour, side, ...own] = draws(n) as unknown as number[] as [
      ...[number, number, number, number],
      ...number[],
    ]
    const swings = movementsByName[classes[label] as string] as readonly (Swing | undefined)[]
    // From 0.6 to 1.6 periods in a second.
    const step = (0.6 + tempo) / 15
    joints.forEach((joint, j) => {
      const [middle, swing, beats = 1, phase = 0] = swings[side < 0.5 ? j : mirrored(j)] ?? [0, 0]
      const reach = (0.6 + 0.6 * vigour) * (0.85 + 0.3 * (own[j] as number))
      for (let t = 0; t < T; t++) {
        const angle = reach * (middle + swing * cos(2 * Math.PI * (beats * (t * step + begin) + phase)))
        to[j * T + t] = /elbow|knee/.test(joint) ? Math.max(0, angle) : angle
      }
    })
  })
}
