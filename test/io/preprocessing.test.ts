import { beforeAll, describe, expect, it } from 'vitest'
import { normalizationOf, preprocess } from '../../src/data/images.js'
import { interpolations, lightOnDark, toGrayscale } from '../../src/io/grayscale.js'
import { fits, isLightGround } from '../../src/io/planar.js'
import {
  checkPreprocessing,
  plainPreprocessing,
  preparePixels,
  type Picture,
  type Preprocessing,
} from '../../src/io/preprocessing.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { randomOf } from '../helpers/mutants.js'

beforeAll(() => init())

const plain = plainPreprocessing([1, 4, 4], { mean: 0, std: 1 })
const random = randomOf(13)

/** Weights (to × from) by which pixels along an axis become others, from their definitions. */
function weightsOf(from: number, to: number, interpolation: string): number[][] {
  return Array.from({ length: to }, (_, o) => {
    const weights = new Array<number>(from).fill(0)
    const center = ((o + 0.5) * from) / to
    if (interpolation === 'nearest') weights[Math.floor(center + 1e-9)] = 1
    else if (interpolation === 'area' && to <= from) {
      for (let i = 0; i < from; i++) {
        const covered = Math.min(i + 1, ((o + 1) * from) / to) - Math.max(i, (o * from) / to)
        weights[i] = (Math.max(0, covered) * to) / from
      }
    } else {
      const at = Math.min(Math.max(center - 0.5, 0), from - 1)
      const left = Math.min(Math.floor(at), from - 1)
      const right = Math.min(left + 1, from - 1)
      weights[left]! += 1 - (at - left)
      weights[right]! += at - left
    }
    return weights
  })
}

/** What a preprocessing makes of grey values, step by step: the whole picture, its frame, the window. */
function expected(grey: number[][], { resize, size, fit, interpolation }: Preprocessing): number[][] {
  const [H, W] = [grey.length, grey[0]!.length]
  const frame = resize ?? size
  const [fh, fw] = typeof frame === 'number' ? [frame, frame] : frame
  const scale = fit === 'cover' ? Math.max(fh / H, fw / W) : Math.min(fh / H, fw / W)
  const side = (from: number, target: number): number =>
    fit === 'stretch' || Math.abs(from * scale - target) < 1e-9
      ? target
      : Math.max(fit === 'cover' ? target : 1, Math.round(from * scale))
  const [rows, columns] = [side(H, fh), side(W, fw)]
  const [down, right] = [weightsOf(H, rows, interpolation), weightsOf(W, columns, interpolation)]
  const whole = down.map((y) =>
    right.map((x) => sum(y.map((v, i) => v && v * sum(x.map((u, j) => u && u * grey[i]![j]!))))),
  )
  const [frameRows, frameColumns] = typeof frame === 'number' ? [rows, columns] : [fh, fw]
  const offset = (frame: number, extent: number): number =>
    extent > frame ? -Math.floor((extent - frame) / 2) : Math.floor((frame - extent) / 2)
  return Array.from({ length: size[0] }, (_, y) =>
    Array.from({ length: size[1] }, (_, x) => {
      const row = y + offset(frameRows, size[0]) - offset(frameRows, rows)
      const column = x + offset(frameColumns, size[1]) - offset(frameColumns, columns)
      return whole[row]?.[column] ?? 0
    }),
  )
}
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)

describe('preparePixels', () => {
  it('resizes, fits and cuts as it says, for every fit and interpolation', () => {
    for (let n = 0; n < 600; n++) {
      const [W, H, w, h] = [1 + random(30), 1 + random(30), 1 + random(12), 1 + random(12)]
      const fit = fits[n % 3]!
      const interpolation = interpolations[Math.floor(n / 3) % 3]!
      const kind = fit === 'cover' ? random(3) : random(2)
      const resize = [undefined, [h + random(9), w + random(9)] as const, Math.max(h, w) + random(9)][kind]
      const preprocessing: Preprocessing = {
        ...plain,
        ...{ size: [h, w], fit, interpolation, ...(resize === undefined ? {} : { resize }) },
      }
      expect(checkPreprocessing(preprocessing, 'it')).toBe(preprocessing)
      const data = Uint8Array.from({ length: W * H }, () => random(256))
      const grey = Array.from({ length: H }, (_, y) => [...data.subarray(y * W, (y + 1) * W)])
      const given = preparePixels({ width: W, height: H, channels: 1, data }, preprocessing)
      const wanted = expected(grey, preprocessing).flat()
      const wrong = wanted.findIndex((value, i) => Math.abs(value - given[i]!) > 0.5 + 1e-6)
      expect(wrong, `${W} × ${H}, ${JSON.stringify(preprocessing)}`).toBe(-1)
    }
  })

  it('takes channels of every kind, in the order that is asked for, over white', () => {
    const size = [1, 1] as const
    const rgb: Preprocessing = { ...plain, channels: 3, size }
    const rgba = { width: 1, height: 1, channels: 4 as const, data: Uint8Array.of(10, 20, 30, 255) }
    expect([...preparePixels(rgba, rgb)]).toEqual([10, 20, 30])
    expect([...preparePixels(rgba, { ...rgb, order: 'bgr' })]).toEqual([30, 20, 10])
    expect([...preparePixels(rgba, { ...plain, size })]).toEqual([18])
    // As ImageData has it: without channels, and clamped.
    const clear = { width: 1, height: 1, data: Uint8ClampedArray.of(10, 20, 30, 0) }
    expect([...preparePixels(clear, rgb)]).toEqual([255, 255, 255])
    expect([...preparePixels({ width: 1, height: 1, channels: 2, data: Uint8Array.of(10, 0) }, rgb)]).toEqual([
      255, 255, 255,
    ])
    expect([...preparePixels({ width: 1, height: 1, channels: 1, data: Uint8Array.of(10) }, rgb)]).toEqual([10, 10, 10])
  })

  it('inverts what has a light border, where that is asked for, and leaves the picture as it was', () => {
    const light: Preprocessing = { ...plain, invert: 'light-background' }
    for (let n = 0; n < 300; n++) {
      const [width, height] = [1 + random(6), 1 + random(6)]
      const channels = (1 + random(4)) as 1 | 2 | 3 | 4
      const bright = random(2) * 100
      const data = Uint8Array.from({ length: width * height * channels }, () => bright + random(156))
      const image = { width, height, channels, data: data.slice() }
      const dark = lightOnDark(toGrayscale(image))
      expect(isLightGround(image)).toBe(dark.data[0] !== toGrayscale(image).data[0])
      expect(preparePixels(image, light)).toEqual(preparePixels({ ...dark, channels: 1 }, plain))
      expect(image.data).toEqual(data)
    }
    // The border decides, and what is added around it is dark.
    const stroke = { width: 1, height: 3, channels: 1 as const, data: Uint8Array.of(255, 0, 255) }
    expect([...preparePixels(stroke, { ...light, size: [3, 3], fit: 'contain' })]).toEqual([
      0, 0, 0, 0, 255, 0, 0, 0, 0,
    ])
  })

  it.each<[unknown, RegExp]>([
    [undefined, /a picture must be an object, given undefined/],
    [{ width: 1, height: 1 }, /data of a picture must be bytes \(Uint8Array\), given undefined/],
    [{ width: 0, height: 1, data: new Uint8Array() }, /a picture has 0 × 1 pixels; both must be whole numbers/],
    [{ width: 1.5, height: 1, data: new Uint8Array() }, /a picture has 1\.5 × 1 pixels/],
    [
      { width: 1, height: 1, channels: 5, data: new Uint8Array(5) },
      /channels of a picture must be 1, 2, 3 or 4, given 5/,
    ],
    [
      { width: 2, height: 1, channels: 3, data: new Uint8Array(5) },
      /2 × 1 pixels of 3 channels take 6 bytes, 5 are given/,
    ],
  ])('refuses %j', (picture, message) => {
    expect(() => preparePixels(picture as Picture, plain)).toThrow(ShapeError)
    expect(() => preparePixels(picture as Picture, plain)).toThrow(message)
  })

  it('takes a picture of 1 × 1 and one of a million columns', () => {
    const dot = { width: 1, height: 1, channels: 1 as const, data: Uint8Array.of(7) }
    const line = { width: 1_000_000, height: 1, channels: 1 as const, data: new Uint8Array(1_000_000).fill(7) }
    for (const fit of fits) {
      for (const interpolation of interpolations) {
        expect(new Set(preparePixels(dot, { ...plain, fit, interpolation }))).toEqual(new Set([7]))
        const made = preparePixels(line, { ...plain, fit, interpolation })
        expect(made.filter((value) => value === 7)).toHaveLength(fit === 'contain' ? 4 : 16)
      }
    }
  })
})

describe('preprocess', () => {
  it('normalizes by the scale that is said', () => {
    const image = { width: 1, height: 1, channels: 3 as const, data: Uint8Array.of(10, 20, 30) }
    const normalization = { mean: [1, 2, 3], std: [2, 4, 8] }
    const preprocessing: Preprocessing = { ...plain, channels: 3, size: [1, 1], scale: 1, normalization }
    const x = preprocess([image, image], preprocessing)
    expect(x.shape).toEqual([2, 3, 1, 1])
    const each = [4.5, 4.5, 27 / 8]
    x.data().forEach((value, i) => expect(value).toBeCloseTo(each[i % 3]!, 5))
    x.dispose()
    expect(normalizationOf({ scale: 1 / 255, normalization })).toBe(normalization)
  })

  it('refuses none, and what it does not know', () => {
    expect(() => preprocess([], plain)).toThrow('at least one picture is needed')
    expect(() => preprocess([], { ...plain, mean: 0 } as Preprocessing)).toThrow(
      "preprocess: preprocessing: there is no member 'mean'; ",
    )
    expect(() => preprocess([], undefined as unknown as Preprocessing)).toThrow(ShapeError)
  })
})
