/** The table of layers, by the names of Keras' classes. */
import { FormatError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import { elu, relu } from '../../../ops/activation.js'
import { cast } from '../../../ops/cast.js'
import { greater, maximum, minimum } from '../../../ops/choice.js'
import { dropout } from '../../../ops/dropout.js'
import { add, clamp, div, mul, neg, sqrt, square, sub } from '../../../ops/elementwise.js'
import { broadcastTo, concat, pad, slice, transpose } from '../../../ops/layout.js'
import { linear } from '../../../ops/linear.js'
import { batchNorm } from '../../../ops/norm.js'
import { max, mean, sum } from '../../../ops/reduce.js'
import { softmax } from '../../../ops/softmax.js'
import { normal, ones, tensor } from '../../../tensor/create.js'
import { checkAxis, showShape, sizeOf } from '../../../tensor/shape.js'
import { scope, type Tensor } from '../../../tensor/tensor.js'
import type { NodeContext } from '../../imported.js'
import { leaky, sloped } from '../../functions.js'
import { resized } from '../../resizing.js'
import { product } from '../../sums.js'
import { standardized } from '../../../ops/standardize.js'
import { averaged, maxima, spatial, type Pairs } from '../../windows.js'
import { activations, hardSigmoidOf, type ActivationOf } from '../activations.js'
import { convolved, convolvedBack, depthwise, zerosOf, type Windows } from '../convolutions.js'
import { axisFirst, channelsFirst, channelsLast, laidFirst } from '../values.js'
import type { Config } from './config.js'
import { each, needWeight, row, type LayerReader, type Lowered, type Row, type Rows, type Step } from './row.js'

/** Names that are spelled in two ways. */
const otherNames: Readonly<Record<string, string>> = {
  hardSigmoid: 'hard_sigmoid',
  logSoftmax: 'log_softmax',
  leakyRelu: 'leaky_relu',
  leakyrelu: 'leaky_relu',
  hard_silu: 'hard_swish',
}

/** The function of an entry `activation`. */
function readActivation(config: Config): ActivationOf {
  const given = config.functionName('activation', 'linear')
  const name = otherNames[given] ?? given
  if (name === 'hard_sigmoid') return hardSigmoidOf(config.isKeras3)
  if (name === 'hard_swish') {
    const gate = hardSigmoidOf(true)
    return (x, channels) => scope(() => mul(x, gate(x, channels)))
  }
  if (!Object.hasOwn(activations, name)) {
    const supported = [...Object.keys(activations), 'hard_sigmoid', 'hard_swish'].join(', ')
    throw new UnsupportedError(`the activation ${inWords(given)} is not supported; supported are ${supported}`)
  }
  return activations[name] as ActivationOf
}

/** Whether a layer of maps has its channels last. */
const isLast = (config: Config): boolean =>
  config.text('data_format', 'channels_last', ['channels_last', 'channels_first']) === 'channels_last'

/** A layer of maps: computed channels first, which in a model with `channels_first` is how the file has it. */
const ofMaps = (config: Config, step: Step): Lowered => ({ readsFirst: isLast(config), step })

/** Checks the number of directions, because a step would take any. */
function checkMaps(x: Tensor, directions: number): void {
  if (x.ndim !== directions + 2)
    throw new ShapeError(
      `it takes maps of ${directions + 2} axes, given ${showShape(channelsLast(x).shape)} with channels last`,
    )
}

function readWindows(
  config: Config,
  directions: number,
  canBeCausal: boolean,
): { readonly windows: Windows; readonly isCausal: boolean } {
  const padding = config.text('padding', 'valid', ['valid', 'same', ...(canBeCausal ? (['causal'] as const) : [])])
  return {
    windows: {
      stride: config.perDirection('strides', directions, 1),
      dilation: config.perDirection('dilation_rate', directions, 1),
      padding: padding === 'causal' ? 'valid' : padding,
    },
    isCausal: padding === 'causal',
  }
}

/** The entries that convolutions have besides their windows. */
interface Ending {
  readonly bias: number | undefined
  readonly activation: ActivationOf
}

function readEnding(layer: LayerReader): Ending {
  const { config } = layer
  return {
    bias: config.flag('use_bias', true) ? layer.weight('bias') : undefined,
    activation: readActivation(config),
  }
}

/** Where channels lie while a layer of maps is computed: an activation of all of them together asks. */
const channelsOf = (config: Config): number => (isLast(config) ? 1 : -1)

const convolution = (directions: number, of: typeof convolved, kernels: readonly [string, ...string[]]): Row =>
  row((layer) => {
    const { config } = layer
    const { windows, isCausal } = readWindows(config, directions, directions === 1)
    const extents = config.perDirection('kernel_size', directions, 1)
    config.ignore('groups', 'depth_multiplier', 'rank')
    const kernel = layer.weight(...kernels)
    const { bias, activation } = readEnding(layer)
    const channels = channelsOf(config)
    return ofMaps(config, ([x], weights) => {
      checkMaps(x as Tensor, directions)
      const reach = isCausal ? (windows.dilation[0] as number) * ((extents[0] as number) - 1) : 0
      const padding: Windows['padding'] = isCausal ? [[reach, 0]] : windows.padding
      const w = needWeight(weights, kernel)
      return scope(() =>
        activation(
          of(x as Tensor, w, { ...windows, padding }, bias === undefined ? undefined : weights[bias]),
          channels,
        ),
      )
    })
  })

const separable = (directions: number): Row =>
  row((layer) => {
    const { config } = layer
    const { windows } = readWindows(config, directions, false)
    config.ignore('kernel_size', 'depth_multiplier', 'groups', 'rank')
    const [each, all] = [layer.weight('depthwise_kernel'), layer.weight('pointwise_kernel')]
    const { bias, activation } = readEnding(layer)
    const channels = channelsOf(config)
    const ones = new Array<number>(directions).fill(1)
    const points: Windows = { stride: ones, dilation: ones, padding: 'valid' }
    return ofMaps(config, ([x], weights) => {
      checkMaps(x as Tensor, directions)
      return scope(() => {
        const y = depthwise(x as Tensor, needWeight(weights, each), windows)
        return activation(
          convolved(y, needWeight(weights, all), points, bias === undefined ? undefined : weights[bias]),
          channels,
        )
      })
    })
  })

const transposedConvolution = (directions: number): Row =>
  row((layer) => {
    const { config } = layer
    const { windows } = readWindows(config, directions, false)
    config.ignore('kernel_size', 'groups', 'rank')
    const extra = config.has('output_padding') ? config.perDirection('output_padding', directions, 0, 0) : undefined
    const kernel = layer.weight('kernel')
    const { bias, activation } = readEnding(layer)
    const channels = channelsOf(config)
    return ofMaps(config, ([x], weights) => {
      checkMaps(x as Tensor, directions)
      const more = bias === undefined ? undefined : weights[bias]
      return scope(() =>
        activation(
          convolvedBack(x as Tensor, needWeight(weights, kernel), windows, {
            ...(more && { bias: more }),
            ...(extra && { extra }),
          }),
          channels,
        ),
      )
    })
  })

const Dense = row((layer) => {
  const kernel = layer.weight('kernel')
  const { bias, activation } = readEnding(layer)
  return {
    step: ([x], weights) =>
      scope(() => {
        const [given, w] = [x as Tensor, needWeight(weights, kernel)]
        const added = bias === undefined ? undefined : weights[bias]
        if (given.ndim === 2 && given.size > 0) return activation(linear(given, transpose(w, [1, 0]), added), -1)
        const y = product(given, w)
        return activation(added ? add(y, added) : y, -1)
      }),
  }
})

const pool = (directions: number, of: (x: Tensor, kernel: number[], stride: number[], padding: Pairs) => Tensor): Row =>
  row(({ config }) => {
    const kernel = config.perDirection('pool_size', directions, 2)
    const stride = config.has('strides') ? config.perDirection('strides', directions, 1) : kernel
    const padding = config.text('padding', 'valid', ['valid', 'same'])
    const windows: Windows = { stride, dilation: kernel.map(() => 1), padding }
    return ofMaps(config, ([x]) => {
      checkMaps(x as Tensor, directions)
      return of(x as Tensor, kernel, stride, zerosOf(spatial(x as Tensor), kernel, windows))
    })
  })

const mostOf = (x: Tensor, kernel: number[], stride: number[], padding: Pairs): Tensor =>
  maxima(x, kernel, stride, padding)
const meanOf = (x: Tensor, kernel: number[], stride: number[], padding: Pairs): Tensor =>
  averaged(x, kernel, stride, padding)

const globalPool = (directions: number, of: typeof mean): Row =>
  row(({ config }) => {
    const keepDims = config.flag('keepdims', false)
    const isChannelsLast = isLast(config)
    return {
      readsFirst: isChannelsLast,
      givesFirst: isChannelsLast && keepDims,
      step: ([x]) => {
        checkMaps(x as Tensor, directions)
        return of(
          x as Tensor,
          Array.from({ length: directions }, (_, axis) => axis + 2),
          { keepDims },
        )
      },
    }
  })

const zeroPadding = (directions: number): Row =>
  row(({ config }) => {
    const pairs = config.pairs('padding', directions)
    return ofMaps(config, ([x]) => {
      checkMaps(x as Tensor, directions)
      return pad(x as Tensor, [[0, 0], [0, 0], ...pairs])
    })
  })

const cropping = (directions: number): Row =>
  row(({ config }) => {
    const pairs = config.pairs('cropping', directions)
    return ofMaps(config, ([x]) => {
      checkMaps(x as Tensor, directions)
      const { shape } = x as Tensor
      return slice(x as Tensor, {
        begin: [0, 0, ...pairs.map(([lo]) => lo)],
        end: shape.map((extent, axis) => extent - (pairs[axis - 2]?.[1] ?? 0)),
      })
    })
  })

/** Pixels are repeated, or interpolated from the corner on, as TensorFlow.js does; Keras does it from the centres of pixels. */
const upSampling = (directions: number): Row =>
  row(({ config }) => {
    const size = config.perDirection('size', directions, 2)
    const mode = directions === 2 ? config.text('interpolation', 'nearest', ['nearest', 'bilinear']) : 'nearest'
    return ofMaps(config, ([x]) => {
      checkMaps(x as Tensor, directions)
      const axes = size.map((factor, i) => ({
        axis: i + 2,
        size: ((x as Tensor).shape[i + 2] as number) * factor,
        scale: factor,
      }))
      return resized(x as Tensor, axes, {
        mode: mode === 'bilinear' ? 'linear' : 'nearest',
        transformation: 'asymmetric',
        nearest: 'floor',
        cubicCoefficient: -0.75,
        excludeOutside: false,
        antialias: false,
        extrapolation: 0,
      }) as Tensor
    })
  })

/** Tensors that are laid over each other: channels first where one of them is computed so. */
const merge = (of: (tensors: readonly Tensor[]) => Tensor, most = Infinity): Row => ({
  inputs: [most === 2 ? 2 : 1, most],
  lower: ({ firsts }) => {
    const isFirst = firsts.includes(true)
    return {
      readsFirst: firsts,
      step: (inputs) =>
        scope(() => {
          const ndim = Math.max(...inputs.map((x) => x.ndim))
          return of(inputs.map((x, i) => alike(x, ndim, firsts[i] === true, isFirst))).alias()
        }),
    }
  },
})

/** A tensor of `ndim` axes: those that it has not are of 1 and stand behind the batch, as merging layers say. */
function alike(x: Tensor, ndim: number, isFirst: boolean, becomesFirst: boolean): Tensor {
  if (x.ndim === ndim && isFirst === becomesFirst) return x
  const last = isFirst ? channelsLast(x) : x
  const [N, ...others] = last.shape as [number, ...number[]]
  const whole = last.reshape([N, ...new Array<number>(ndim - last.ndim).fill(1), ...others])
  return (becomesFirst ? channelsFirst(whole) : whole) as Tensor
}

const folded =
  (of: (a: Tensor, b: Tensor) => Tensor) =>
  (tensors: readonly Tensor[]): Tensor => {
    const [first, ...others] = tensors as [Tensor, ...Tensor[]]
    return others.reduce(of, first)
  }

const Concatenate: Row = {
  inputs: [1, Infinity],
  lower: ({ config, firsts }) => {
    const axis = config.whole('axis', -1)
    const isFirst = firsts.includes(true)
    return {
      readsFirst: isFirst,
      step: (inputs) => {
        const { ndim } = inputs[0] as Tensor
        const own = checkAxis(axis, ndim, 'axis')
        return concat(inputs, isFirst ? axisFirst(own, ndim) : own)
      },
    }
  },
}

/** Sums of products along an axis of each of two tensors, for each example. */
const Dot: Row = {
  inputs: [2, 2],
  lower: ({ config }) => {
    const given = config.wholes('axes', [-1])
    const [left, right = left] = given as [number, number?]
    if (given.length > 2) throw new FormatError(`axes must be one or two, and are ${showShape(given)}`)
    const isNormalized = config.flag('normalize', false)
    return {
      step: ([a, b]) =>
        scope(() => {
          const [x, y] = [
            [a as Tensor, left],
            [b as Tensor, right],
          ].map(([z, axis]) => lastAxis(z as Tensor, axis as number, isNormalized)) as [Tensor, Tensor]
          const [N, K] = [x.shape[0] as number, x.shape.at(-1) as number]
          if (y.shape[0] !== N || y.shape.at(-1) !== K)
            throw new ShapeError(
              `${showShape((a as Tensor).shape)} and ${showShape((b as Tensor).shape)} have no sums of products in common`,
            )
          const [rows, columns] = [x.shape.slice(1, -1), y.shape.slice(1, -1)]
          const sums = product(
            x.reshape([N, sizeOf(rows), K]),
            transpose(y.reshape([N, sizeOf(columns), K]), [0, 2, 1]),
          )
          return sums.reshape(rows.length + columns.length === 0 ? [N, 1] : [N, ...rows, ...columns])
        }),
    }
  },
}

function lastAxis(x: Tensor, given: number, isNormalized: boolean): Tensor {
  const axis = checkAxis(given, x.ndim, 'axes')
  if (axis === 0) throw new ShapeError('examples have no sums of products with each other: axes count from 1')
  const own = isNormalized ? div(x, sqrt(maximumOf(sum(square(x), axis, { keepDims: true }), 1e-12))) : x
  return transpose(own, [...x.shape.map((_, i) => i).filter((i) => i !== axis), axis])
}

const maximumOf = (x: Tensor, least: number): Tensor => clamp(x, { min: least })

const Flatten = row(({ config }) => {
  const isChannelsLast = isLast(config)
  return {
    step: ([x]) =>
      scope(() => {
        // What Keras flattens has its channels last, whatever the model has.
        const last = isChannelsLast ? (x as Tensor) : (channelsLast(x as Tensor) as Tensor)
        return last.reshape([last.shape[0] as number, sizeOf(last.shape.slice(1))])
      }),
  }
})

const Reshape = row(({ config }) => {
  const shape = config.extents('target_shape')
  return { step: ([x]) => (x as Tensor).reshape([(x as Tensor).shape[0] as number, ...shape]) }
})

const Permute = row(({ config }) => {
  const dims = config.wholes('dims', [])
  return { step: ([x]) => transpose(x as Tensor, [0, ...dims]) }
})

const RepeatVector = row(({ config }) => {
  const count = config.whole('n', 1, 1)
  return {
    step: ([x]) => {
      const { shape } = x as Tensor
      if (shape.length !== 2) throw new ShapeError(`it takes (N, C), given ${showShape(shape)}`)
      const [N, C] = shape as unknown as [number, number]
      return scope(() => broadcastTo((x as Tensor).reshape([N, 1, C]), [N, count, C]))
    },
  }
})

const BatchNormalization = row((layer) => {
  const { config } = layer
  const [axis = -1, ...more] = config.wholes('axis', [-1])
  if (more.length > 0) throw new UnsupportedError('statistics over two axes are not supported')
  config.refuse('renorm')
  config.refuse('virtual_batch_size')
  config.refuse('adjustment')
  const eps = config.number('epsilon', 1e-3)
  const momentum = config.number('momentum', 0.99)
  const gamma = config.flag('scale', true) ? layer.weight('gamma') : undefined
  const beta = config.flag('center', true) ? layer.weight('beta') : undefined
  const [average, variance] = [layer.statistic('moving_mean'), layer.statistic('moving_variance')]
  // The axis 1 is that of channels first in the file, and of vectors.
  const readsFirst = axis !== 1
  return {
    readsFirst,
    step: ([x], weights, { training }) => {
      const { ndim } = x as Tensor
      if (readsFirst && checkAxis(axis, ndim, 'axis') !== ndim - 1)
        throw new UnsupportedError(`axis ${axis} of ${ndim} is not supported; supported are the last and 1`)
      return batchNorm(
        x as Tensor,
        gamma === undefined ? undefined : weights[gamma],
        beta === undefined ? undefined : weights[beta],
        {
          ...{ training, eps, momentum: 1 - momentum },
          ...{ runningMean: needWeight(weights, average), runningVar: needWeight(weights, variance) },
        },
      )
    },
  }
})

const LayerNormalization = row((layer) => {
  const { config } = layer
  const axes = config.wholes('axis', [-1])
  const eps = config.number('epsilon', 1e-3)
  config.refuse('rms_scaling')
  const gamma = config.flag('scale', true) ? layer.weight('gamma') : undefined
  const beta = config.flag('center', true) ? layer.weight('beta') : undefined
  return {
    step: ([x], weights) =>
      scope(() => {
        const { shape, ndim } = x as Tensor
        const own = axes.map((axis) => checkAxis(axis, ndim, 'axis'))
        const { y } = standardized(x as Tensor, own, eps)
        const over = (w: Tensor): Tensor => w.reshape(shape.map((extent, axis) => (own.includes(axis) ? extent : 1)))
        const scaled = gamma === undefined ? y : mul(y, over(needWeight(weights, gamma)))
        return (beta === undefined ? scaled : add(scaled, over(needWeight(weights, beta)))).alias()
      }),
  }
})

const Activation = row((layer) => {
  const activation = readActivation(layer.config)
  return each(layer, (x) => activation(x, layer.allFirst ? 1 : -1))
})

const ReLU = row((layer) => {
  const { config } = layer
  const most = config.has('max_value') ? config.number('max_value', Infinity) : Infinity
  const slope = config.number('negative_slope', config.number('alpha', 0))
  const threshold = config.number('threshold', 0)
  config.ignore('alpha')
  return each(layer, (x) =>
    scope(() => {
      if (threshold === 0 && slope === 0)
        return most === Infinity ? relu(x) : clamp(x, { min: 0, max: Math.max(0, most) })
      // Above the threshold x, below it slope · (x − threshold).
      const above = mul(x, cast(greater(x, tensor([threshold], [])), 'float32'))
      const y = slope === 0 ? above : threshold === 0 ? leaky(x, slope) : add(maskedBelow(x, threshold, slope), above)
      return most === Infinity ? y.alias() : clamp(y, { max: most })
    }),
  )
})

const maskedBelow = (x: Tensor, threshold: number, slope: number): Tensor => mul(relu(add(neg(x), threshold)), -slope)

const LeakyReLU = row((layer) => {
  const { config } = layer
  const slope = config.number('alpha', config.number('negative_slope', 0.3))
  config.ignore('negative_slope')
  return each(layer, (x) => leaky(x, slope))
})

const PReLU = row((layer) => {
  layer.config.ignore('shared_axes')
  const alpha = layer.weight('alpha')
  return {
    readsFirst: layer.allFirst,
    step: ([x], weights) =>
      scope(() => {
        const slope = needWeight(weights, alpha)
        return sloped(x as Tensor, layer.allFirst ? (laidFirst(slope, (x as Tensor).ndim) as Tensor) : slope)
      }),
  }
})

const ELU = row((layer) => {
  const alpha = layer.config.number('alpha', 1)
  if (!(alpha >= 0)) throw new UnsupportedError(`alpha ${alpha} is not supported; it must be from 0 on`)
  return each(layer, (x) => elu(x, { alpha }))
})

const Softmax = row(({ config, allFirst }) => {
  const axis = config.whole('axis', -1)
  return {
    readsFirst: allFirst,
    step: ([x]) => {
      const { ndim } = x as Tensor
      const own = checkAxis(axis, ndim, 'axis')
      return softmax(x as Tensor, allFirst ? axisFirst(own, ndim) : own)
    },
  }
})

const ThresholdedReLU = row((layer) => {
  const theta = layer.config.number('theta', 1)
  return each(layer, (x) => scope(() => mul(x, cast(greater(x, tensor([theta], [])), 'float32'))))
})

/** What draws numbers in training, and else changes nothing. */
const inTraining = (read: (config: Config) => (x: Tensor, context: NodeContext) => Tensor): Row =>
  row((layer) => {
    const { config } = layer
    config.refuse('noise_shape')
    const noisy = read(config)
    return each(layer, (x, context) => (context.training ? noisy(x, context) : x.alias()))
  })

const Dropout = inTraining((config) => {
  const p = config.number('rate', 0.5)
  return (x, { seed, stream }) => dropout(x, { p, seed, stream })
})

/** Whole maps are dropped. */
const spatialDropout: Row = row((layer) => {
  const { config } = layer
  const p = config.number('rate', 0.5)
  const isChannelsLast = isLast(config)
  return {
    readsFirst: isChannelsLast,
    step: ([x], _, { training, seed, stream }) => {
      if (!training) return (x as Tensor).alias()
      const [N, C, ...others] = (x as Tensor).shape as [number, number, ...number[]]
      return scope(() => mul(x as Tensor, dropout(ones([N, C, ...others.map(() => 1)]), { p, seed, stream })))
    },
  }
})

const GaussianNoise = inTraining((config) => {
  const std = config.number('stddev', 1)
  return (x, { seed, stream }) => scope(() => add(x, normal(x.shape, { seed, stream, std })))
})

const GaussianDropout = inTraining((config) => {
  const rate = config.number('rate', 0.5)
  if (!(rate >= 0 && rate < 1)) throw new FormatError(`rate must be from 0 on and below 1, given ${rate}`)
  const std = Math.sqrt(rate / (1 - rate))
  return (x, { seed, stream }) => scope(() => mul(x, normal(x.shape, { seed, stream, mean: 1, std })))
})

const Rescaling = row((layer) => {
  const [scale, offset] = [layer.config.number('scale', 1), layer.config.number('offset', 0)]
  return each(layer, (x) => scope(() => add(mul(x, scale), offset)))
})

const same: Row = row((layer) => {
  layer.config.ignore('l1', 'l2', 'function')
  return each(layer, (x) => x.alias())
})

const most = (a: Tensor, b: Tensor): Tensor => maximum(a, b) as Tensor
const least = (a: Tensor, b: Tensor): Tensor => minimum(a, b) as Tensor

export const rows: Rows = {
  Activation,
  ActivityRegularization: same,
  Add: merge(folded(add)),
  Average: merge((tensors) => div(folded(add)(tensors), tensors.length)),
  AveragePooling1D: pool(1, meanOf),
  AveragePooling2D: pool(2, meanOf),
  AveragePooling3D: pool(3, meanOf),
  BatchNormalization,
  Concatenate,
  Conv1D: convolution(1, convolved, ['kernel']),
  Conv1DTranspose: transposedConvolution(1),
  Conv2D: convolution(2, convolved, ['kernel']),
  Conv2DTranspose: transposedConvolution(2),
  Conv3D: convolution(3, convolved, ['kernel']),
  Conv3DTranspose: transposedConvolution(3),
  Cropping1D: cropping(1),
  Cropping2D: cropping(2),
  Cropping3D: cropping(3),
  Dense,
  DepthwiseConv1D: convolution(1, depthwise, ['depthwise_kernel', 'kernel']),
  DepthwiseConv2D: convolution(2, depthwise, ['depthwise_kernel', 'kernel']),
  Dot,
  Dropout,
  ELU,
  Flatten,
  GaussianDropout,
  GaussianNoise,
  GlobalAveragePooling1D: globalPool(1, mean),
  GlobalAveragePooling2D: globalPool(2, mean),
  GlobalAveragePooling3D: globalPool(3, mean),
  GlobalMaxPooling1D: globalPool(1, max),
  GlobalMaxPooling2D: globalPool(2, max),
  GlobalMaxPooling3D: globalPool(3, max),
  Identity: same,
  LayerNormalization,
  LeakyReLU,
  MaxPooling1D: pool(1, mostOf),
  MaxPooling2D: pool(2, mostOf),
  MaxPooling3D: pool(3, mostOf),
  Maximum: merge(folded(most)),
  Minimum: merge(folded(least)),
  Multiply: merge(folded(mul)),
  PReLU,
  Permute,
  ReLU,
  RepeatVector,
  Rescaling,
  Reshape,
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Softmax,
  SpatialDropout1D: spatialDropout,
  SpatialDropout2D: spatialDropout,
  SpatialDropout3D: spatialDropout,
  Subtract: merge(folded(sub), 2),
  ThresholdedReLU,
  UpSampling1D: upSampling(1),
  UpSampling2D: upSampling(2),
  UpSampling3D: upSampling(3),
  ZeroPadding1D: zeroPadding(1),
  ZeroPadding2D: zeroPadding(2),
  ZeroPadding3D: zeroPadding(3),
}
