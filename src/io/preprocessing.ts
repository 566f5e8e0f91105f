/**
 * What becomes of a picture before a model sees it, as a value that is stored with the model. Training, tests and every later
 * use go by the same value and through the same function, `preparePixels`, so that a model sees what it was trained with.
 */
import { ArgumentError, FormatError, ShapeError } from '../runtime/errors.js'
import { checkList } from '../runtime/check.js'
import { checkCount, unknownName } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { interpolations, type Interpolation } from './grayscale.js'
import { fits, isLightGround, placePlanes, type Fit } from './planar.js'
import type { PngImage } from '../formats/png.js'

/** Pixels become (pixel / 255 − mean) / std; one number for all channels, or one for each. */
export interface Normalization {
  /** Mean of the pixels divided by 255: one number, or one for each channel. */
  readonly mean: number | readonly number[]
  /** Standard deviation of the pixels divided by 255: one number, or one for each channel. */
  readonly std: number | readonly number[]
}

/** From a picture of any size and kind to the input of a model. The steps are in the order of the members. */
export interface Preprocessing {
  /** 1 for grey (luma), 3 for colours. What is transparent lies over white. */
  readonly channels: 1 | 3
  /** The order of three channels. */
  readonly order: 'rgb' | 'bgr'
  /**
   * `light-background` inverts a picture with a light border, above 127 on average, so that what is drawn is light on dark, as
   * in MNIST.
   */
  readonly invert: 'never' | 'light-background'
  /**
   * What the picture is brought to first, of which the middle is taken: a height and a width, as `fit` says, or the length of
   * its shorter side, with fit 'cover'. Left out, it is `size`.
   */
  readonly resize?: number | readonly [height: number, width: number]
  /** Height and width of the model's input. */
  readonly size: readonly [height: number, width: number]
  /** `cover` fills the size and cuts what is beyond, `contain` leaves black at two sides, `stretch` distorts. */
  readonly fit: Fit
  /** How pixels of another size are made. */
  readonly interpolation: Interpolation
  /** The factor that brings pixels 0..255 to the scale of `normalization`: 1/255 nearly always. */
  readonly scale: number
  /** The model's input is (pixel · scale − mean) / std. */
  readonly normalization: Normalization
}

/** What a preprocessing does with bytes. */
export type PixelPreprocessing = Omit<Preprocessing, 'scale' | 'normalization'>

/** A picture in memory: rows of pixels from the top, each of its channels side by side. */
export interface Picture {
  /** Bytes, 0..255. */
  readonly data: Uint8Array | Uint8ClampedArray
  /** Columns. */
  readonly width: number
  /** Rows. */
  readonly height: number
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA (the default, as in ImageData). */
  readonly channels?: 1 | 2 | 3 | 4
}

/** A member of a preprocessing: how what it must be is said, and whether it is so. */
type Rule = readonly [must: string, holds: (value: unknown) => boolean]

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1
/** Pixels of a size: a GiB as numbers. */
export const largestInput = 2 ** 28
const isSize = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every(isCount) && value.reduce((a, b) => a * b) <= largestInput
const isFinite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const listed = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value])
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const oneOf = (values: readonly (string | number)[]): Rule => [
  `one of ${values.join(', ')}`,
  (value) => values.includes(value as string),
]

const rules: Readonly<Record<keyof Preprocessing, Rule>> = {
  channels: oneOf([1, 3]),
  order: oneOf(['rgb', 'bgr']),
  invert: oneOf(['never', 'light-background']),
  resize: [
    'a whole number of pixels, or a height and a width',
    (value) => value === undefined || isSize(value) || isSize([value, value]),
  ],
  size: [`a height and a width of whole numbers from 1 on, and at most ${largestInput} pixels`, isSize],
  fit: oneOf(fits),
  interpolation: oneOf(interpolations),
  scale: ['a finite number above 0', (value) => isFinite(value) && value > 0],
  normalization: [
    'a finite mean and a std above 0, or a list of one for each channel',
    (value) =>
      isObject(value) &&
      listed(value['mean']).every(isFinite) &&
      listed(value['std']).every((std) => isFinite(std) && std > 0),
  ],
}

function checkMembers(
  value: unknown,
  name: string,
  Failure: typeof FormatError | typeof ShapeError,
  members: readonly (keyof Preprocessing)[],
): asserts value is Record<string, unknown> {
  if (!isObject(value)) throw new Failure(`${name} must be an object, given ${inWords(value)}`)
  for (const member of members) {
    const [must, holds] = rules[member]
    if (holds(value[member])) continue
    const given = value[member] === undefined ? 'it is missing' : `given ${inWords(value[member])}`
    throw new Failure(`${name}.${member} must be ${must}; ${given}`)
  }
}

/** What of a preprocessing decides on the pixels before they are normalized. */
const pixelMembers = ['channels', 'order', 'invert', 'resize', 'size', 'fit', 'interpolation'] as const

/**
 * Checks a preprocessing that a file or a program gives.
 *
 * @param name what errors call it
 * @param Failure the error of what is wrong
 * @throws Failure that names the member which is missing, unknown, wrong, or contradicts another
 */
export function checkPreprocessing(
  value: unknown,
  name: string,
  Failure: typeof FormatError | typeof ShapeError = ShapeError,
): Preprocessing {
  checkMembers(value, name, Failure, Object.keys(rules) as (keyof Preprocessing)[])
  const unknown = Object.keys(value).find((member) => !Object.hasOwn(rules, member))
  if (unknown !== undefined) {
    throw new Failure(`${name}: ${unknownName('member', unknown, Object.keys(rules))}`)
  }
  const checked = value as unknown as Preprocessing
  const contradiction = contradictionIn(checked)
  if (contradiction !== undefined) throw new Failure(`${name}: ${contradiction}`)
  return checked
}

/** Checks a normalization that stands for itself. @throws FormatError */
export function checkNormalization(value: unknown, name: string): void {
  const [must, holds] = rules.normalization
  if (!holds(value)) throw new FormatError(`${name}: normalization must have ${must}`)
}

/** What of a preprocessing cannot be meant together with something else of it. */
function contradictionIn({ channels, order, resize, size, fit, normalization }: Preprocessing): string | undefined {
  for (const member of ['mean', 'std'] as const) {
    const values = normalization[member]
    if (typeof values !== 'number' && values.length !== channels) {
      return `normalization.${member} has ${values.length} numbers, but there are ${channels} channels`
    }
  }
  if (channels === 1 && order === 'bgr') return "order is 'bgr', but there is one channel; take 'rgb'"
  if (resize === undefined) return undefined
  if (typeof resize === 'number' && fit !== 'cover') {
    return `resize is one number, the shorter side, which goes with fit 'cover', not '${fit}'`
  }
  const [height, width] = typeof resize === 'number' ? [resize, resize] : resize
  if (height >= size[0] && width >= size[1]) return undefined
  return `resize ${inWords(resize)} is smaller than size [${size.join(', ')}], which is cut out of it`
}

/** A preprocessing that only brings pictures to a size: the middle that covers it. */
export const plainPixels = ([channels, ...size]: readonly [1 | 3, number, number]): PixelPreprocessing => ({
  channels,
  order: 'rgb',
  invert: 'never',
  size,
  fit: 'cover',
  interpolation: 'area',
})

/** The same, and normalizes them, unchecked. */
export const normalizedPixels = (
  shape: readonly [1 | 3, number, number],
  normalization: Normalization,
): Preprocessing => ({ ...plainPixels(shape), scale: 1 / 255, normalization })

/** The same, checked. @throws ShapeError when the shape or the normalization is none of pictures */
export function plainPreprocessing(
  shape: readonly [1 | 3, number, number],
  normalization: Normalization,
): Preprocessing {
  checkCount('plainPreprocessing', 2, arguments)
  checkList(shape, 'plainPreprocessing: the shape', '(C, H, W) of a picture')
  return checkPreprocessing(normalizedPixels(shape, normalization), 'plainPreprocessing: preprocessing')
}

/** A preprocessing of which another size is the middle, as that of a model which was trained on windows of its pictures. */
export function cropped(preprocessing: Preprocessing, size: readonly [number, number]): Preprocessing {
  return size.join() === preprocessing.size.join()
    ? preprocessing
    : { ...preprocessing, resize: preprocessing.size, size }
}

/** How MNIST is to be used: digits may be dark on light, and are not cut. */
export const digitPictures = { invert: 'light-background', fit: 'contain' } as const satisfies Partial<Preprocessing>

/** Checks that a picture is what it says. @throws ShapeError */
export function checkPicture(image: Picture, name: string): PngImage {
  if (!isObject(image)) throw new ArgumentError(`${name}: a picture must be an object, given ${inWords(image)}`)
  const { data, width, height, channels = 4 } = image
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new ArgumentError(`${name}: data of a picture must be bytes (Uint8Array), given ${inWords(data)}`)
  }
  if (!isCount(width) || !isCount(height)) {
    const size = `${inWords(width)} × ${inWords(height)} pixels`
    throw new ArgumentError(`${name}: a picture has ${size}; both must be whole numbers from 1 on`)
  }
  if (![1, 2, 3, 4].includes(channels)) {
    throw new ArgumentError(`${name}: channels of a picture must be 1, 2, 3 or 4, given ${inWords(channels)}`)
  }
  const expected = width * height * channels
  if (data.length !== expected) {
    throw new ShapeError(
      `${name}: ${width} × ${height} pixels of ${channels} channels take ${expected} bytes, ${data.length} are given`,
    )
  }
  return { width, height, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
}

/**
 * The bytes of a picture as a model takes them before they are normalized: (channels, height, width) of `size`, row-major.
 *
 * @throws ShapeError when the picture is not what it says
 */
export function preparePixels(image: Picture, preprocessing: PixelPreprocessing): Uint8Array {
  checkCount('preparePixels', 2, arguments)
  const checked = checkPicture(image, 'preparePixels')
  checkMembers(preprocessing, 'preparePixels: preprocessing', ShapeError, pixelMembers)
  const { channels, order, invert } = preprocessing
  const inverted = invert === 'light-background' && isLightGround(checked)
  return placePlanes(checked, { channels, order, inverted }, preprocessing).data
}
