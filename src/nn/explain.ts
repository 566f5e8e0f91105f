/** Which algorithm computes each pass of a convolutional layer, and what each would cost: estimates of src/plan/. */
import { candidatesFor, type Candidate, type ConvAlgorithm, type ConvPass } from '../plan/conv.js'
import { perDirection } from '../plan/window.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkObject } from '../runtime/check.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { visible } from '../runtime/text.js'
import { checkShape, showShape, type Shape } from '../tensor/shape.js'
import type { Layer, LayerConvolution } from './layer.js'

/** One pass of one layer. */
export interface PassExplanation {
  /** Which pass: the outputs, or the gradient of the inputs or of the weights. */
  readonly pass: 'forward' | 'input gradient' | 'weight gradient'
  /** The algorithm that computes it. */
  readonly chosen: ConvAlgorithm
  /** The chosen one, then the others by their estimates, then those that cannot do the pass. */
  readonly candidates: readonly Candidate[]
}

/** The passes of one layer. */
export interface LayerExplanation {
  /** The layer in the notation of the lecture, such as `conv(5, 32)`. */
  readonly layer: string
  /** Name of the node in its model; empty outside of one. */
  readonly name: string
  /** Extents of one input, without the batch. */
  readonly input: readonly number[]
  /** Its forward pass and its gradients. */
  readonly passes: readonly PassExplanation[]
}

/** An {@link Explanation} as data. */
export interface ExplanationData {
  /** The convolutional layers, in the order of the model. */
  readonly layers: readonly LayerExplanation[]
  /** Inputs that are computed together. */
  readonly batch: number
}

/** The passes of a convolution by what they are to a layer, and to one that is a convolution's adjoint. */
const passes: readonly (readonly [PassExplanation['pass'], plain: ConvPass, transposed: ConvPass])[] = [
  ['forward', 'fwd', 'dx'],
  ['input gradient', 'dx', 'fwd'],
  ['weight gradient', 'dw', 'dw'],
]

/** `layer` is its notation; `input` has no batch. */
export function explainLayer(
  name: string,
  layer: string,
  input: Shape,
  { problem, algorithm, transposed }: LayerConvolution,
): LayerExplanation {
  return {
    layer,
    name,
    input,
    passes: passes.map(([pass, plain, adjoint]) => {
      const candidates = candidatesFor(problem, transposed ? adjoint : plain, algorithm)
      return { pass, chosen: candidates[0].algorithm, candidates }
    }),
  }
}

/**
 * Which algorithm computes the passes of a layer for `batch` inputs of these extents, what the others would cost, and why
 * some cannot be. `toString()` is a table.
 *
 *     console.log(String(explain(new Conv2d({ outChannels: 64, kernel: 5 }), [32, 12, 12], { batch: 128 })))
 *
 * @throws ShapeError when the input does not fit, or the layer is no convolution.
 */
export function explain(layer: Layer, input: Shape, options: { readonly batch?: number } = {}): Explanation {
  checkCount('explain', 3, arguments)
  checkKeys('explain', options, { batch: 0 })
  const { batch = 1 } = options
  const [N] = perDirection(batch, 1, 1, 'explain: batch') as [number]
  checkObject(layer, 'explain: the layer', 'a layer, such as new Conv2d(…)', ['check', 'convolution'])
  layer.check([checkShape(input, 'explain: the input')])
  const convolution = layer.convolution(N, input)
  if (!convolution) {
    throw new ArgumentError(`explain: ${layer.describe()} has one algorithm; give a convolutional layer`)
  }
  return new Explanation([explainLayer('', layer.describe(), input, convolution)], N)
}

/** What {@link explain} tells: data, and with `toString()` a table for each layer. */
export class Explanation implements ExplanationData {
  constructor(
    /** The convolutional layers, in the order of the model. */
    readonly layers: readonly LayerExplanation[],
    /** Inputs that are computed together. */
    readonly batch: number,
  ) {}

  /** The data, without methods. */
  toJSON(): ExplanationData {
    return { layers: this.layers, batch: this.batch }
  }

  /** A table for each layer. */
  toString(): string {
    const tables = this.layers.map(({ layer, name, input, passes }) => {
      const title = `${name === '' ? '' : `${visible(name)}: `}${layer} of ${showShape([this.batch, ...input])}`
      const rows = passes.flatMap(({ pass, candidates }) =>
        candidates.map(({ algorithm, variant, milliseconds, reason }, index) => [
          index === 0 ? pass : '',
          variant === 'rows' ? `${algorithm} by rows` : algorithm,
          milliseconds === null ? '–' : showTime(milliseconds),
          index === 0 ? 'chosen' : (reason ?? ''),
        ]),
      )
      return [title, ...align([['pass', 'algorithm', 'ms', ''], ...rows])].join('\n')
    })
    return [...tables, 'Times are estimates for one thread.'].join('\n\n')
  }
}

/** Three digits, never with an exponent. */
const showTime = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3)

/** Cells under each other; the third column is numbers, which stand at the right. */
function align(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number): number =>
    rows.reduce((most, row) => Math.max(most, (row[column] as string).length), 0)
  const widths = [0, 1, 2].map(width)
  return rows.map(([pass = '', algorithm = '', time = '', note = '']) =>
    [pass.padEnd(widths[0] as number), algorithm.padEnd(widths[1] as number), time.padStart(widths[2] as number), note]
      .join('  ')
      .trimEnd(),
  )
}
