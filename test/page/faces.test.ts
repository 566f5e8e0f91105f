/** What the page of examples/detector makes of BlazeFace's numbers. */
import { describe, expect, it } from 'vitest'
import {
  anchors,
  facesOf,
  inPicture,
  inputOf,
  NUMBERS,
  overlapOf,
  placed,
  SIDE,
  type Face,
} from '../../examples/detector/faces.js'

/** Answers of the network: nothing anywhere, but what is given for some anchors. Lengths are in pixels. */
function answers(
  given: Readonly<Record<number, { logit: number; box: readonly number[]; points?: readonly number[] }>>,
) {
  const logits = new Float32Array(anchors.length).fill(-20)
  const numbers = new Float32Array(NUMBERS * anchors.length)
  for (const [index, { logit, box, points = [] }] of Object.entries(given)) {
    logits[Number(index)] = logit
    numbers.set([...box, ...points], NUMBERS * Number(index))
  }
  return [logits, numbers] as const
}

const box = (left: number, top: number, width: number, height: number): Face => ({
  ...{ score: 1, left, top, width, height, points: [] },
})

describe('anchors', () => {
  it('are 896: two in each cell of 16 × 16, six in each of 8 × 8, in the middle of the cell', () => {
    expect(anchors).toHaveLength(896)
    const sixteenth = { x: 0.5 / 16, y: 0.5 / 16 }
    expect(anchors.slice(0, 3)).toEqual([sixteenth, sixteenth, { x: 1.5 / 16, y: 0.5 / 16 }])
    // The second row of the first grid.
    expect(anchors[32]).toEqual({ x: 0.5 / 16, y: 1.5 / 16 })
    expect(anchors[511]).toEqual({ x: 15.5 / 16, y: 15.5 / 16 })
    expect(anchors[512]).toEqual({ x: 0.5 / 8, y: 0.5 / 8 })
    expect(anchors[517]).toEqual(anchors[512])
    expect(anchors[518]).toEqual({ x: 1.5 / 8, y: 0.5 / 8 })
    expect(anchors[895]).toEqual({ x: 7.5 / 8, y: 7.5 / 8 })
  })
})

describe('faces', () => {
  it('are measured from their anchors, in pixels of 128', () => {
    const points = [-8, -4, 8, -4, 0, 0, 0, 8, -16, 0, 16, 0]
    // Anchor 512 + 6 · (8 · 3 + 4) is in the middle of a cell: (4.5 / 8, 3.5 / 8).
    const given = answers({ [512 + 6 * 28]: { logit: 0, box: [4, -2, 32, 64], points } })
    const [face, ...others] = facesOf(...given, { score: 0.5 })
    expect(others).toEqual([])
    expect(face).toMatchObject({ score: 0.5, width: 32 / SIDE, height: 64 / SIDE })
    expect(face?.left).toBeCloseTo(4.5 / 8 + (4 - 16) / SIDE, 6)
    expect(face?.top).toBeCloseTo(3.5 / 8 + (-2 - 32) / SIDE, 6)
    expect(face?.points).toHaveLength(6)
    expect(face?.points[1]?.x).toBeCloseTo(4.5 / 8 + 8 / SIDE, 6)
    expect(face?.points[3]?.y).toBeCloseTo(3.5 / 8 + 8 / SIDE, 6)
  })

  it('count from a probability on', () => {
    const given = answers({ 0: { logit: Math.log(3.01), box: [0, 0, 20, 20] } })
    expect(facesOf(...given, { score: 0.74 })).toHaveLength(1)
    expect(facesOf(...given, { score: 0.76 })).toHaveLength(0)
    expect(facesOf(...given)).toHaveLength(1)
    expect(facesOf(...answers({}))).toEqual([])
    expect(facesOf(...answers({ 3: { logit: NaN, box: [0, 0, 20, 20] } }))).toEqual([])
  })

  it('are one where boxes overlap: their mean, weighted by scores', () => {
    // Both anchors of the first cell; the second one is as sure as 3/4, the first as 1/2.
    const [face, ...others] = facesOf(
      ...answers({ 0: { logit: 0, box: [0, 0, 40, 40] }, 1: { logit: Math.log(3), box: [5, 0, 40, 50] } }),
      { score: 0.5 },
    )
    expect(others).toEqual([])
    expect(face?.score).toBeCloseTo(0.75, 6)
    const weight = 0.75 / (0.75 + 0.5)
    expect(face?.height).toBeCloseTo((40 * (1 - weight) + 50 * weight) / SIDE, 6)
    expect(face?.left).toBeCloseTo((4 + 5 * weight - 20) / SIDE, 6)
  })

  it('are several where boxes do not, the surest one first', () => {
    const faces = facesOf(...answers({ 0: { logit: 2, box: [0, 0, 20, 20] }, 895: { logit: 5, box: [0, 0, 20, 20] } }))
    expect(faces.map(({ score }) => score > 0.95)).toEqual([true, false])
  })

  it('are not told of lists that are too short', () => {
    expect(() => facesOf(new Float32Array(895), new Float32Array(896 * 16))).toThrow('896 scores')
    expect(() => facesOf(new Float32Array(896), new Float32Array(896))).toThrow('14336 numbers')
  })
})

describe('overlap', () => {
  it('is the intersection by the union', () => {
    expect(overlapOf(box(0, 0, 2, 2), box(1, 0, 2, 2))).toBeCloseTo(2 / 6, 12)
    expect(overlapOf(box(0, 0, 2, 2), box(0, 0, 2, 2))).toBe(1)
    expect(overlapOf(box(0, 0, 1, 1), box(1, 0, 1, 1))).toBe(0)
    expect(overlapOf(box(0, 0, 0, 0), box(0, 0, 0, 0))).toBe(0)
  })
})

describe('pictures', () => {
  it('lie in the middle of the square, and faces go the way back', () => {
    expect(placed(640, 480)).toEqual({ left: 0, top: 16, width: 128, height: 96 })
    expect(placed(100, 400)).toEqual({ left: 48, top: 0, width: 32, height: 128 })
    const face = { ...box(0.25, 0.125, 0.5, 0.75), points: [{ x: 0.5, y: 0.5 }] }
    expect(inPicture(face, placed(640, 480))).toMatchObject({
      ...{ left: 0.25, top: 0, width: 0.5, height: 1, points: [{ x: 0.5, y: 0.5 }] },
    })
  })

  it('are numbers from −1 to 1, without their opacity', () => {
    const pixels = new Uint8ClampedArray(4 * SIDE * SIDE)
    pixels.set([255, 0, 127.5, 9])
    const values = inputOf(pixels)
    expect(values).toHaveLength(3 * SIDE * SIDE)
    expect([...values.subarray(0, 2)]).toEqual([1, -1])
    expect(values[2]).toBeCloseTo(0, 2)
  })
})
