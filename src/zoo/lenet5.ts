/**
 * LeNet-5, the network of LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998,
 * section II.B.
 */
import { ScaledTanh, Softmax } from '../nn/activation.js'
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
import { chain, modelOptions, scaler, type ZooOptions, zooNames, imageShape } from './options.js'

/** Options of `lenet5`. */
export interface LeNet5Options extends ZooOptions {
  /**
   * 'lecture' (default): plain averages, C3 connected to all maps, trained codes with an offset. 'paper': trained
   * subsampling, the connections of table I, fixed codes.
   */
  readonly variant?: 'lecture' | 'paper'
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
  checkKeys('lenet5', options, zooNames, { variant: 0 } satisfies Names<Omit<LeNet5Options, keyof ZooOptions>>)
  const { input = [1, 32, 32], classes = 10, width, variant = 'lecture', weightInit } = options
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
    c1_tanh: new ScaledTanh(),
    s2: subsample(),
    s2_tanh: new ScaledTanh(),
    c3: paper
      ? new ConnectedConv2d({ table: lenet5Table, kernel, ...init(100) })
      : new Conv2d({ outChannels: of(16), kernel, ...init(25 * of(6)) }),
    c3_tanh: new ScaledTanh(),
    s4: subsample(),
    s4_tanh: new ScaledTanh(),
    c5: new Conv2d({ outChannels: of(120), kernel, ...init(25 * of(16)) }),
    c5_tanh: new ScaledTanh(),
    ...(everyPlace ? {} : { flatten: new Flatten() }),
    f6: new Linear({ outFeatures: of(84), ...(everyPlace ? { everyPlace } : {}), ...init(of(120)) }),
    f6_tanh: new ScaledTanh(),
    output: new RBF({ units: classes, ...codes, trained: !paper, bias: !paper }),
    softmax: new Softmax(),
  }
  return new Graph(chain(layers), { ...modelOptions(options), inputs: { input }, outputs: ['output', 'softmax'] })
}
