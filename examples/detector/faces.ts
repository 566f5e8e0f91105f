/**
 * What BlazeFace says of a picture, as faces: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
 * 2019, in its variant for front cameras.
 *
 * The network sees 128 × 128 pixels and answers for 896 anchors. Anchors are points: 2 in the middle of each cell of 16 × 16, then 6 in
 * the middle of each cell of 8 × 8. For each of them there are a score, which is a logit, and 16 numbers in pixels, measured from the
 * anchor: the centre of a box, its width and height, and six points of a face.
 */

/** Extents of the picture that the network takes, in pixels. */
export const SIDE = 128

/** Numbers for each anchor: a box, and six points. */
export const NUMBERS = 16

/** What the six points are, as the person who is seen would say it. */
export const POINTS = ['right eye', 'left eye', 'nose', 'mouth', 'right ear', 'left ear'] as const

/** Cells in a row of each grid, and anchors in a cell. */
const grids = [
  { cells: 16, each: 2 },
  { cells: 8, each: 6 },
] as const

/** A point, in shares of the width and of the height: (0, 0) is the upper left corner. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** A face: all lengths are shares of the picture's sides. */
export interface Face {
  /** Probability that it is one, from 0 to 1. */
  readonly score: number
  /** Upper left corner of its box. */
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  /** In the order of `POINTS`. */
  readonly points: readonly Point[]
}

/** The anchors, in the order in which the network answers for them: grid by grid, row by row. */
export const anchors: readonly Point[] = grids.flatMap(({ cells, each }) =>
  Array.from({ length: cells * cells * each }, (_, i) => {
    const cell = Math.floor(i / each)
    return { x: ((cell % cells) + 0.5) / cells, y: (Math.floor(cell / cells) + 0.5) / cells }
  }),
)

/** When a face counts. */
export interface Thresholds {
  /** The least probability; default 0.75, with which a helmet is seldom a face. */
  readonly score?: number
  /** Boxes whose intersection is more of their union than this are of one face; default 0.3. */
  readonly overlap?: number
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit))

/** The face that an anchor tells. */
function faceAt(index: number, score: number, numbers: Float32Array): Face {
  const anchor = anchors[index] as Point
  const own = numbers.subarray(NUMBERS * index, NUMBERS * (index + 1))
  const pixel = (place: number): number => (own[place] as number) / SIDE
  const [width, height] = [pixel(2), pixel(3)]
  return {
    score,
    left: anchor.x + pixel(0) - width / 2,
    top: anchor.y + pixel(1) - height / 2,
    width,
    height,
    points: POINTS.map((_, i) => ({ x: anchor.x + pixel(4 + 2 * i), y: anchor.y + pixel(5 + 2 * i) })),
  }
}

/** Share of the union of two boxes that both cover. */
export function overlapOf(a: Face, b: Face): number {
  const wide = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left)
  const high = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top)
  if (!(wide > 0 && high > 0)) return 0
  const shared = wide * high
  return shared / (a.width * a.height + b.width * b.height - shared)
}

/** The mean of faces, each weighted by its score; the score is that of the best one. */
function blended(faces: readonly Face[]): Face {
  const total = faces.reduce((sum, { score }) => sum + score, 0)
  const mean = (of: (face: Face) => number): number =>
    faces.reduce((sum, face) => sum + face.score * of(face), 0) / total
  return {
    score: (faces[0] as Face).score,
    left: mean(({ left }) => left),
    top: mean(({ top }) => top),
    width: mean(({ width }) => width),
    height: mean(({ height }) => height),
    points: POINTS.map((_, i) => ({
      x: mean(({ points }) => (points[i] as Point).x),
      y: mean(({ points }) => (points[i] as Point).y),
    })),
  }
}

/**
 * The faces of a picture, the surest one first. `logits` are 896 scores and `numbers` 896 × 16, in the order of `anchors`.
 *
 * Where boxes overlap they are of one face. The paper does not suppress all but the best: the face is the mean of the boxes, weighted by
 * their scores, which trembles less from frame to frame.
 * @throws RangeError where there are not as many numbers as anchors ask for
 */
export function facesOf(
  logits: Float32Array,
  numbers: Float32Array,
  { score: least = 0.75, overlap = 0.3 }: Thresholds = {},
): Face[] {
  if (logits.length !== anchors.length || numbers.length !== NUMBERS * anchors.length) {
    throw new RangeError(
      `BlazeFace gives ${anchors.length} scores and ${NUMBERS * anchors.length} numbers, given ${logits.length} and ${numbers.length}`,
    )
  }
  let open = [...logits.keys()]
    .map((index) => ({ index, score: sigmoid(logits[index] as number) }))
    .filter(({ score }) => score >= least)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map(({ index, score }) => faceAt(index, score, numbers))
  const faces: Face[] = []
  for (let [best] = open; best; [best] = open) {
    const first = best
    const same = open.filter((other) => other === first || overlapOf(first, other) > overlap)
    faces.push(blended(same))
    open = open.filter((other) => !same.includes(other))
  }
  return faces
}

/** Where a picture lies in the square that the network sees: as large as it fits, in the middle. In pixels of the square. */
export interface Placed {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Places a picture of some extents in the square. */
export function placed(width: number, height: number): Placed {
  const scale = SIDE / Math.max(width, height)
  const [wide, high] = [width * scale, height * scale]
  return { left: (SIDE - wide) / 2, top: (SIDE - high) / 2, width: wide, height: high }
}

/** A face of the square as one of the picture that was placed in it. */
export function inPicture(face: Face, place: Placed): Face {
  const x = (value: number): number => (value * SIDE - place.left) / place.width
  const y = (value: number): number => (value * SIDE - place.top) / place.height
  return {
    score: face.score,
    left: x(face.left),
    top: y(face.top),
    width: (face.width * SIDE) / place.width,
    height: (face.height * SIDE) / place.height,
    points: face.points.map((point) => ({ x: x(point.x), y: y(point.y) })),
  }
}

/** Pixels as the network takes them: RGBA of 0 to 255 as RGB of −1 to 1, (1, 128, 128, 3). */
export function inputOf(pixels: Uint8ClampedArray): Float32Array {
  const values = new Float32Array(3 * SIDE * SIDE)
  for (let i = 0; i < SIDE * SIDE; i++) {
    for (let channel = 0; channel < 3; channel++) {
      values[3 * i + channel] = (pixels[4 * i + channel] as number) / 127.5 - 1
    }
  }
  return values
}
