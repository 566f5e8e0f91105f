/** Making tensors from values, constants, images and random numbers. */
import { kernels } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkNumber, checkObject, wrongKind } from '../runtime/check.js'
import { inWords, named } from '../runtime/text.js'
import { checkKeys, withArity } from '../runtime/options.js'
import { checkDType, writeElements, type DType } from './dtype.js'
import { checkShape, MOST_AXES, showShape, sizeOf, type Shape } from './shape.js'
import { checkTensor, filled, type Tensor } from './tensor.js'

/** Numbers, or arrays of arrays of numbers with equal lengths at each depth. */
export type NestedArray = number | readonly NestedArray[]
/** The same of numbers, bigints, or true and false, for tensors of other types than float32. */
export type NestedValues = number | bigint | boolean | readonly NestedValues[]
/** Numbers in a row. */
export type FlatArray =
  Float32Array | Float64Array | Int32Array | Uint8Array | Uint8ClampedArray | Int8Array | Int16Array | Uint16Array

/** Options of `tensor`. */
export interface TensorOptions<D extends DType = DType> {
  /** Type of the elements; default 'float32'. */
  readonly dtype?: D | undefined
}

const isBig = (values: unknown): boolean => values instanceof BigInt64Array || values instanceof BigUint64Array

const isFlat = (values: unknown): values is FlatArray => ArrayBuffer.isView(values) && !(values instanceof DataView)

function nestedShape(values: NestedValues): number[] {
  const shape: number[] = []
  for (
    let level: NestedValues | undefined = values;
    Array.isArray(level);
    level = (level as readonly NestedValues[])[0]
  ) {
    shape.push(level.length)
    // An array in itself has no end.
    if (shape.length > MOST_AXES) {
      throw new ShapeError(`tensor: the values are nested more than ${MOST_AXES} deep; give numbers and a shape`)
    }
  }
  return shape
}

function flatten(values: NestedValues, shape: Shape, depth: number, into: unknown[], kinds: readonly string[]): void {
  if (depth === shape.length) {
    if (!kinds.includes(typeof values))
      throw new ArgumentError(`tensor: expected a number at depth ${depth}, found ${typeof values}`)
    into.push(values)
    return
  }
  if (!Array.isArray(values) || values.length !== shape[depth]) {
    throw new ShapeError(
      `tensor: ragged nested array at depth ${depth}: expected ${shape[depth]} entries, found ${Array.isArray(values) ? values.length : typeof values}`,
    )
  }
  for (const item of values) flatten(item as NestedValues, shape, depth + 1, into, kinds)
}

/** Kinds of values that become elements of a type. */
const kindsOf = (dtype: DType): readonly string[] =>
  dtype === 'float32' ? ['number'] : dtype === 'bool' ? ['number', 'bigint', 'boolean'] : ['number', 'bigint']

/** What `tensor` makes of which values. */
export interface MakeTensor {
  /** Of float32. */
  (values: NestedArray | FlatArray, shape?: Shape): Tensor
  /** Of a type. */
  <D extends DType = 'float32'>(
    values: NestedValues | FlatArray | BigInt64Array,
    shape: Shape | undefined,
    options: TensorOptions<D>,
  ): Tensor<D>
}

/**
 * A tensor of nested arrays, or of a flat or typed array with a shape (default: one dimension). Of other types than float32 each
 * value must be one that the type holds: `tensor([3, 1], undefined, { dtype: 'int64' })`, `tensor([[true, false]], [1, 2], { dtype: 'bool' })`.
 * @throws ShapeError when the values do not fill the shape, or one does not fit the type.
 */
export const tensor = withArity('tensor', 3, ((
  values: NestedValues | FlatArray,
  shape?: Shape,
  options: TensorOptions = {},
): Tensor<DType> => {
  checkKeys('tensor', options, { dtype: 0 })
  const { dtype = 'float32' } = options
  checkDType(dtype, 'tensor')
  if (dtype === 'float32' && isBig(values))
    throw new ArgumentError("tensor: the values are bigints; give { dtype: 'int64' } behind the shape")
  let flat: ArrayLike<unknown>
  let natural: number[]
  if (isFlat(values)) {
    flat = values
    natural = [values.length]
  } else {
    natural = nestedShape(values)
    const list: unknown[] = []
    flatten(values, natural, 0, list, kindsOf(dtype))
    flat = list
  }
  const resolved = checkShape(shape ?? natural, 'tensor', 0)
  if (sizeOf(resolved) !== flat.length) {
    throw new ShapeError(
      `tensor: ${flat.length} values do not fill shape ${showShape(resolved)} (${sizeOf(resolved)} elements)`,
    )
  }
  return filled(
    resolved,
    'tensor',
    (y) => {
      writeElements(y.view(), flat, dtype, 'tensor: values')
    },
    dtype,
  )
}) as MakeTensor)

/**
 * A tensor with every element equal to `value`.
 *
 *     full([2, 3], 0.5)
 */
export const full = withArity('full', 2, (shape: Shape, value: number): Tensor => {
  if (typeof value !== 'number') throw wrongKind('full: the value', 'a number', value)
  return filled(checkShape(shape, 'full', 0), 'full', (y) => {
    y.view().fill(value)
  })
})

/**
 * A tensor of zeros.
 *
 *     zeros([2, 3])
 *
 * @throws ShapeError unless every extent is a whole number from 0 on.
 */
export const zeros = withArity('zeros', 1, (shape: Shape): Tensor => full(shape, 0))
/**
 * A tensor of ones.
 *
 *     ones([2, 3])
 *
 * @throws ShapeError as `zeros`.
 */
export const ones = withArity('ones', 1, (shape: Shape): Tensor => full(shape, 1))

/** Options of what is drawn at random. */
export interface RandomOptions {
  /** Whole number from 0 to 2³² − 1: the same seed and stream give the same numbers everywhere. Default 0. */
  readonly seed?: number
  /** Independent sequences of one seed. Default 0. */
  readonly stream?: number
}

/** Checks a seed. @throws ShapeError naming the operation. */
export function checkSeed(seed: number, what: string, kind = 'seed'): number {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new ArgumentError(
      `${named(what)}: a ${named(kind)} is a whole number from 0 to 4294967295, not ${inWords(seed)}`,
    )
  }
  return seed
}

/** Checks the stream of a seed. @throws ShapeError naming the operation. */
export const checkStream = (stream: number, what: string): number => checkSeed(stream, what, 'stream')

/** Makes a function that draws the elements of a tensor by two numbers, named with their defaults in the order of the kernel. */
/* @__NO_SIDE_EFFECTS__ */
function drawing<Name extends string>(
  name: 'uniform' | 'normal',
  defaults: Readonly<Record<Name, number>>,
): (shape: Shape, options?: RandomOptions & { readonly [name in Name]?: number }) => Tensor {
  return withArity(
    name,
    2,
    (shape: Shape, options: RandomOptions & { readonly [name in Name]?: number } = {}): Tensor => {
      checkKeys(name, options, { seed: 0, stream: 0 }, defaults)
      const { seed = 0, stream = 0 } = options
      const [first, second] = (Object.keys(defaults) as Name[]).map((option) => {
        const { [option]: value = defaults[option] } = options
        checkNumber(value, `${name}: ${option}`)
        return value
      }) as [number, number]
      checkSeed(seed, name)
      checkStream(stream, name)
      return filled(checkShape(shape, name, 0), name, ({ pointer, size }) => {
        kernels()[`random_${name}`](pointer, size, seed, stream, first, second)
      })
    },
  )
}

/**
 * Uniform random numbers in [low, high), by default in [0, 1).
 *
 *     uniform([2, 3], { low: -1, high: 1, seed: 7 })
 *
 * @throws ShapeError when the shape or an option does not fit.
 */
export const uniform = drawing('uniform', { low: 0, high: 1 })

/**
 * Normal random numbers of given mean and standard deviation, by default 0 and 1.
 *
 *     normal([2, 3], { mean: 5, std: 0.1, seed: 7 })
 *
 * @throws ShapeError when the shape or an option does not fit.
 */
export const normal = drawing('normal', { mean: 0, std: 1 })

/**
 * (N, H, W, C) values as an (N, C, H, W) tensor.
 *
 *     fromNHWC(pixels, [1, 28, 28, 3])                     // a tensor (1, 3, 28, 28)
 */
export const fromNHWC = withArity(
  'fromNHWC',
  2,
  (values: FlatArray | readonly number[], shape: readonly [N: number, H: number, W: number, C: number]): Tensor => {
    const [N, H, W, C] = checkShape(shape, 'fromNHWC') as [number, number, number, number]
    if (shape.length !== 4 || (values as FlatArray | undefined)?.length !== N * H * W * C) {
      throw new ShapeError(
        `fromNHWC: ${(values as FlatArray | undefined)?.length ?? inWords(values)} values do not fill shape ${showShape(shape)}; give (N, H, W, C)`,
      )
    }
    return filled([N, C, H, W], 'fromNHWC', (y) => {
      const to = y.view()
      for (let n = 0; n < N; n++)
        for (let c = 0; c < C; c++)
          for (let i = 0; i < H * W; i++) to[(n * C + c) * H * W + i] = values[(n * H * W + i) * C + c] as number
    })
  },
)

/**
 * The elements of an (N, C, H, W) tensor in the order (N, H, W, C).
 *
 *     toNHWC(x)                                            // (1, 3, 28, 28): 2352 numbers, three for each pixel
 */
export const toNHWC = withArity('toNHWC', 1, (x: Tensor): Float32Array => {
  checkTensor(x, 'toNHWC', 'x')
  if (x.ndim !== 4) throw new ShapeError(`toNHWC: expected (N, C, H, W), given ${showShape(x.shape)}`)
  const [N, C, H, W] = x.shape as readonly [number, number, number, number]
  const from = x.view()
  const to = new Float32Array(x.size)
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++)
      for (let i = 0; i < H * W; i++) to[(n * H * W + i) * C + c] = from[(n * C + c) * H * W + i] as number
  return to
})

/**
 * Pixels of a canvas (RGBA, 0 to 255) as a (1, 3, H, W) tensor of values 0 to 1; alpha is dropped.
 *
 *     fromImageData(context.getImageData(0, 0, 28, 28))    // a tensor (1, 3, 28, 28)
 */
export const fromImageData = withArity(
  'fromImageData',
  1,
  (image: { readonly data: ArrayLike<number>; readonly width: number; readonly height: number }): Tensor => {
    checkObject(image, 'fromImageData: the image', 'ImageData', ['data', 'width', 'height'])
    const { data, width, height } = image
    const shape = checkShape([1, 3, height, width], 'fromImageData')
    const pixels = width * height
    if (!(data.length === pixels * 4)) {
      throw new ShapeError(
        `fromImageData: ${data.length} bytes are not ${width} × ${height} RGBA pixels (${pixels * 4} bytes)`,
      )
    }
    return filled(shape, 'fromImageData', (y) => {
      const to = y.view()
      for (let c = 0; c < 3; c++)
        for (let i = 0; i < pixels; i++) to[c * pixels + i] = (data[i * 4 + c] as number) / 255
    })
  },
)
