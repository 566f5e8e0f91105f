/**
 * Seeded initializers. fanIn and fanOut are the products of a weight's extents that feed one output and are fed by
 * one input: for w (K, C, R, S), C·R·S and K·R·S.
 */
import { wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { full, normal, uniform } from '../tensor/create.js'
import { checkShape, sizeOf, type Shape } from '../tensor/shape.js'
import { filled, type Tensor } from '../tensor/tensor.js'

/** A distribution and its parameters; what is left out has the default of its paper. */
export interface InitializerOptions {
  /** `constant`: the value. */
  readonly value?: number
  /** `normal`: the mean. Default 0. */
  readonly mean?: number
  /** `normal`: the standard deviation. Default 0.01. */
  readonly std?: number
  /** `uniform`: the lower end. Default −0.05. */
  readonly low?: number
  /** `uniform`: the upper end. Default 0.05. */
  readonly high?: number
  /** `glorot he lecun`: which distribution of that variance. Default 'normal'. */
  readonly distribution?: 'normal' | 'uniform'
  /** `glorot he lecun orthogonal`: factor on the standard deviation. Default 1. */
  readonly gain?: number
}

/** Distributions that weights can be drawn from. */
export type InitializerName = 'zeros' | 'constant' | 'normal' | 'uniform' | 'glorot' | 'he' | 'lecun' | 'orthogonal'
/** A name, or a name with its options. */
export type Initializer = InitializerName | ({ readonly name: InitializerName } & InitializerOptions)

const names: readonly InitializerName[] = [
  ...(['zeros', 'constant', 'normal', 'uniform', 'glorot', 'he', 'lecun', 'orthogonal'] as const),
]
const numbers = ['value', 'mean', 'std', 'low', 'high', 'gain'] as const

const initializerNames = {
  name: 0,
  value: 0,
  mean: 0,
  std: 0,
  low: 0,
  high: 0,
  distribution: 0,
  gain: 0,
} satisfies Names<InitializerOptions & { name: InitializerName }>

/** An initializer with its options, checked. @throws ShapeError that says what it is for, and what there is. */
export function checkInitializer(
  initializer: unknown,
  what: string,
): { readonly name: InitializerName } & InitializerOptions {
  const given = typeof initializer === 'string' ? { name: initializer } : initializer
  const options = (typeof given === 'object' && given !== null ? given : {}) as {
    name: InitializerName
  } & InitializerOptions
  checkKeys(`${what}: initializer`, options, initializerNames)
  if (!names.includes(options.name)) {
    throw new ArgumentError(
      `${what}: initializer ${inWords(options.name ?? initializer)} does not exist; use ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`,
    )
  }
  for (const option of numbers) {
    const value = options[option]
    if (value !== undefined && !Number.isFinite(value)) {
      throw wrongKind(`${what}: ${option} of initializer ${options.name}`, 'a number', value)
    }
  }
  const { distribution = 'normal' } = options
  if (distribution !== 'normal' && distribution !== 'uniform') {
    throw wrongKind(`${what}: distribution`, "'normal' or 'uniform'", distribution)
  }
  return options
}

/** Where random numbers come from: a seed and one stream for each parameter. */
export interface Source {
  /** Seed of the generator. */
  readonly seed: number
  /** Streams of one seed are independent of each other. */
  readonly stream: number
}

function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const [outputs = 1, inputs = 1, ...kernel] = shape
  return { fanIn: inputs * sizeOf(kernel), fanOut: outputs * sizeOf(kernel) }
}

/** A tensor of zero mean and the variance given: normal, or uniform in ±√(3·variance). */
function ofVariance(shape: Shape, variance: number, options: InitializerOptions, source: Source): Tensor {
  const std = Math.sqrt(variance) * (options.gain ?? 1)
  if (options.distribution === 'uniform') {
    const bound = std * Math.sqrt(3)
    return uniform(shape, { ...source, low: -bound, high: bound })
  }
  return normal(shape, { ...source, std })
}

/** Rows (or columns) orthonormal: Gram-Schmidt, twice, on a normal matrix (outputs, fanIn), in float64. */
function orthogonal(shape: Shape, gain: number, source: Source): Tensor {
  const rows = shape[0] ?? 1
  const columns = sizeOf(shape) / rows
  const transposed = rows > columns
  const count = Math.min(rows, columns)
  const length = Math.max(rows, columns)
  const random = normal(shape, source)
  const values = Float64Array.from(random.data())
  random.dispose()
  const vectors = Array.from({ length: count }, (_, i) => values.subarray(i * length, (i + 1) * length))
  vectors.forEach((vector, i) => {
    for (let round = 0; round < 2; round++) {
      for (const other of vectors.slice(0, i)) {
        let dot = 0
        for (let j = 0; j < length; j++) dot += (vector[j] as number) * (other[j] as number)
        for (let j = 0; j < length; j++) vector[j] = (vector[j] as number) - dot * (other[j] as number)
      }
      let square = 0
      for (const value of vector) square += value * value
      const norm = Math.sqrt(square)
      for (let j = 0; j < length; j++) vector[j] = (vector[j] as number) / norm
    }
  })
  const elements = new Float32Array(rows * columns)
  vectors.forEach((vector, i) => {
    // A vector is a column of the matrix where it has more rows than columns.
    const [first, step] = transposed ? [i, columns] : [i * columns, 1]
    for (let j = 0; j < length; j++) elements[first + j * step] = gain * (vector[j] as number)
  })
  return filled(shape, 'a weight', (result) => {
    result.assign(elements)
  })
}

/**
 * A new tensor filled by an initializer. he: variance 2/fanIn (He et al. 2015); glorot: 2/(fanIn + fanOut) (Glorot &
 * Bengio 2010); lecun: 1/fanIn (LeCun et al. 1998).
 *
 *     initialize([16, 3, 3, 3], 'he', { seed: 0, stream: 4 })
 *     initialize([100, 100], { name: 'orthogonal', gain: 2 }, { seed: 0, stream: 5 })
 *
 * @throws ShapeError for an unknown name, or options that are no numbers.
 */
export function initialize(shape: Shape, initializer: Initializer, source: Source): Tensor {
  checkCount('initialize', 3, arguments)
  const options = checkInitializer(initializer, 'initialize')
  const { fanIn, fanOut } = fans(checkShape(shape, 'initialize'))
  switch (options.name) {
    case 'zeros':
      return full(shape, 0)
    case 'constant':
      return full(shape, options.value ?? 0)
    case 'normal':
      return normal(shape, { ...source, mean: options.mean ?? 0, std: options.std ?? 0.01 })
    case 'uniform':
      return uniform(shape, { ...source, low: options.low ?? -0.05, high: options.high ?? 0.05 })
    case 'glorot':
      return ofVariance(shape, 2 / (fanIn + fanOut), options, source)
    case 'he':
      return ofVariance(shape, 2 / fanIn, options, source)
    case 'lecun':
      return ofVariance(shape, 1 / fanIn, options, source)
    case 'orthogonal':
      return orthogonal(shape, options.gain ?? 1, source)
  }
}
