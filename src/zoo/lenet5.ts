/**
 * LeNet-5, the network of LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998,
 * section II.B.
 */
import { ReLU, ScaledTanh, Sigmoid, Softmax, Tanh } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Graph } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import type { Layer } from '../nn/layer.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { ConnectedConv2d } from '../nn/local.js'
import { AvgPool2d, Subsample2d } from '../nn/pool.js'
import { RBF } from '../nn/rbf.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { chain, checkVariant, modelOptions, scaler, type ZooOptions, zooNames, imageShape } from './options.js'

/** A function of one number behind a layer of LeNet-5. 'scaledTanh' is the paper's 1.7159 · tanh(2x / 3). */
export type LeNet5Nonlinearity = 'scaledTanh' | 'tanh' | 'sigmoid' | 'relu' | 'none'

/** What stands behind the layers of LeNet-5, kind by kind; each is 'scaledTanh' where it is left out. */
export interface LeNet5Nonlinearities {
  /** Behind the convolutions C1, C3 and C5. */
  readonly convolution?: LeNet5Nonlinearity
  /** Behind the subsampling S2 and S4. */
  readonly subsampling?: LeNet5Nonlinearity
  /** Behind the fully connected F6. */
  readonly hidden?: LeNet5Nonlinearity
}

/** Options of `lenet5`. */
export interface LeNet5Options extends ZooOptions {
  /**
   * 'lecture' (default): plain averages, C3 connected to all maps, trained codes with an offset. 'paper': trained
   * subsampling, the connections of table I, fixed codes.
   */
  readonly variant?: 'lecture' | 'paper'
  /** Other functions than the paper's behind its layers, such as `{ convolution: 'tanh', subsampling: 'sigmoid' }`. */
  readonly nonlinearities?: LeNet5Nonlinearities
}

const nonlinearities: Readonly<Record<Exclude<LeNet5Nonlinearity, 'none'>, () => Layer>> = {
  scaledTanh: () => new ScaledTanh(),
  tanh: () => new Tanh(),
  sigmoid: () => new Sigmoid(),
  relu: () => new ReLU(),
}

/** Makes what stands behind a layer of some kind, by its name: `c1_tanh`. @throws ShapeError when there is no such function */
function behindLayers(
  options: LeNet5Nonlinearities,
): (of: keyof LeNet5Nonlinearities, name: string) => Record<string, Layer> {
  const kinds = { convolution: 0, subsampling: 0, hidden: 0 } satisfies Names<LeNet5Nonlinearities>
  checkKeys('lenet5: nonlinearities', options, kinds)
  const names = [...Object.keys(nonlinearities), 'none']
  for (const [of, name] of Object.entries(options)) {
    if (name !== undefined) checkVariant('lenet5', name as string, names, `nonlinearities.${of}`)
  }
  return (of, layer) => {
    const { [of]: name = 'scaledTanh' } = options
    // Both kinds of tanh have the name that files of trained models have.
    return name === 'none' ? {} : { [`${layer}_${name === 'scaledTanh' ? 'tanh' : name}`]: nonlinearities[name]() }
  }
}

/** Table I: the maps of S2 that each map of C3 sees. */
const SEEN_BY_C3 = ['012', '123', '234', '345', '045', '015', '0123', '1234', '2345', '0345', '0145', '0125', '0134', '1245', '0235', '012345'] // prettier-ignore

/** Connections of C3 (16 × 6). */
export const lenet5Table: readonly (readonly boolean[])[] = SEEN_BY_C3.map((maps) =>
  Array.from({ length: 6 }, (_, map) => maps.includes(String(map))),
)

/** Pictures of the digits in 12 rows of 7 pixels, drawn after figure 3: what the 84 units of F6 are to show. */
const DIGITS = [
  '..###.. .##.##. ##...## ##...## ##...## ##...## ##...## ##...## .##.##. ..###.. ....... .......',
  '...##.. ..###.. .####.. ...##.. ...##.. ...##.. ...##.. ...##.. ...##.. .###### ....... .......',
  '.#####. ##...## #....## .....## ....##. ...##.. ..##... .##.... ##..... ####### ....... .......',
  '####### .....## ....##. ...##.. ..####. .....## .....## .....## ##...## .#####. ....... .......',
  '##...## ##...## ##...## ##...## ##...## ##...## .###### .....## .....## .....## ....... .......',
  '####### ##..... ##..... ##..... ######. .....## .....## .....## ##...## .#####. ....... .......',
  '..####. .##.... ##..... ##..... ######. ###..## ##...## ##...## ###..## .#####. ....... .......',
  '####### .....## .....## ....##. ...##.. ...##.. ..##... ..##... ..##... ..##... ....... .......',
  '.#####. ##...## ##...## ##...## .#####. ##...## ##...## ##...## ##...## .#####. ....... .......',
  '.#####. ##..### ##...## ##...## ##..### .###### .....## .....## ....##. .####.. ....... .......',
] as const

/** The codes of the ten digits, of 84 marks each. */
export const digitCodes: readonly string[] = DIGITS.map((rows) => rows.replaceAll(' ', ''))

/** Uniform in ±2.4 / fan-in, as the paper draws them. */
const within = (fanIn: number): Initializer => ({ name: 'uniform', low: -2.4 / fanIn, high: 2.4 / fanIn })

/**
 * LeNet-5: conv(5, 6) - avg(2) - conv(5, 16) - avg(2) - conv(5, 120) - fc(84) - RBF(10), for (1, 32, 32); smaller images are
 * padded to that in the first convolution. Over larger ones it is replicated: from C5 on everything stands at each place, and
 * the outputs are (classes, rows, columns), with the same weights. Outputs: `output`, minus the squared distances to the codes,
 * and `softmax`. Train it by `rbfLoss`, or by `crossEntropy`.
 */
export function lenet5(options: LeNet5Options = {}): Graph {
  checkCount('lenet5', 1, arguments)
  checkKeys('lenet5', options, zooNames, { variant: 0, nonlinearities: 0 } satisfies Names<
    Omit<LeNet5Options, keyof ZooOptions>
  >)
  const { input = [1, 32, 32], classes = 10, width, variant = 'lecture', weightInit } = options
  const behind = behindLayers(options.nonlinearities ?? {})
  const paper = variant === 'paper'
  const of = scaler(width)
  if (paper && of(16) !== 16) {
    throw new ShapeError(
      `lenet5: the connections of the paper are for 6 and 16 maps; width must be 1, given ${inWords(width)}`,
    )
  }
  const [, H, W] = imageShape(input, 'lenet5')
  const lacking = [H, W].map((extent) => Math.max(0, Math.ceil((32 - extent) / 2)))
  const padding = lacking.every((zeros) => zeros === 0) ? {} : { padding: lacking }
  // After two convolutions of 5 and halvings, C5 sees 5 × 5 of these.
  const maps = [H, W].map((extent, axis) => Math.floor((extent + 2 * (lacking[axis] as number)) / 4) - 3)
  const everyPlace = maps.some((extent) => extent > 5)
  const init = (fanIn: number): { readonly weightInit: Initializer } => ({ weightInit: weightInit ?? within(fanIn) })
  const subsample = (): Layer => (paper ? new Subsample2d({ kernel: 2 }) : new AvgPool2d({ kernel: 2 }))
  const kernel = 5
  const codes = classes === digitCodes.length && of(84) === 84 ? { codes: digitCodes } : {}
  const layers = {
    c1: new Conv2d({ outChannels: of(6), kernel, ...padding, ...init(25) }),
    ...behind('convolution', 'c1'),
    s2: subsample(),
    ...behind('subsampling', 's2'),
    c3: paper
      ? new ConnectedConv2d({ table: lenet5Table, kernel, ...init(100) })
      : new Conv2d({ outChannels: of(16), kernel, ...init(25 * of(6)) }),
    ...behind('convolution', 'c3'),
    s4: subsample(),
    ...behind('subsampling', 's4'),
    c5: new Conv2d({ outChannels: of(120), kernel, ...init(25 * of(16)) }),
    ...behind('convolution', 'c5'),
    ...(everyPlace ? {} : { flatten: new Flatten() }),
    f6: new Linear({ outFeatures: of(84), ...(everyPlace ? { everyPlace } : {}), ...init(of(120)) }),
    ...behind('hidden', 'f6'),
    output: new RBF({ units: classes, ...codes, trained: !paper, bias: !paper }),
    softmax: new Softmax(),
  }
  return new Graph(chain(layers), { ...modelOptions(options), inputs: { input }, outputs: ['output', 'softmax'] })
}
