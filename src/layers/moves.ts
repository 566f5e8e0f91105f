/** Layers that reshape an example, or take a part of it. */
import { LoweredLayer, type OptionRules } from '../nn/layer.js'
import type { RulesOf } from '../nn/options.js'
import { wholeWindow, type Window } from '../nn/receptive.js'
import { slice, sliceNames, sliceOf, type SliceOptions } from '../ops/layout.js'
import { perDirection } from '../plan/window.js'
import { checkList } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { showShape, type Shape } from '../tensor/shape.js'
import { resolveShape, type Tensor } from '../tensor/tensor.js'

/** Options of `Reshape`. */
export interface ReshapeOptions {
  /** Extents of one output; one of them may be −1, which is what the others leave. */
  readonly shape: readonly number[]
}

/** The same values under another shape: `new Reshape({ shape: [16, 4, -1] })`. */
export class Reshape extends LoweredLayer<ReshapeOptions> {
  static override readonly rules: OptionRules = { shape: 0 } satisfies RulesOf<ReshapeOptions>
  readonly type = 'Reshape'

  constructor(...given: [options: ReshapeOptions]) {
    super(...given)
    checkList(this.options.shape, 'Reshape: shape', 'a list of extents')
  }

  outputShape(input: Shape): number[] {
    return resolveShape('Reshape', input, this.options.shape)
  }

  protected lower(x: Tensor): Tensor {
    return x.reshape([x.shape[0] as number, ...this.outputShape(x.shape.slice(1))])
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }

  describe(): string {
    return `reshape(${this.options.shape.join('×')})`
  }
}

/**
 * The part of each example with begin ≤ index < end along each axis, from the channels on: as the function `slice`, without the
 * batch. `new Slice({ begin: [0, 2, 2], end: [3, -2, -2] })` takes the first three channels and leaves out a border of 2.
 */
export class Slice extends LoweredLayer<SliceOptions> {
  static override readonly rules: OptionRules = sliceNames
  readonly type = 'Slice'

  outputShape(input: Shape): number[] {
    const { inner } = sliceOf(this.type, input, this.options)
    if (inner.includes(0)) {
      throw new ShapeError(`Slice: nothing is left of ${showShape(input)}; begin must lie before end`)
    }
    return [...inner]
  }

  protected lower(x: Tensor): Tensor {
    const { begin = [], end = [] } = this.options
    const [N = 1] = x.shape
    return slice(x, { begin: [0, ...begin], end: [N, ...end] })
  }

  override window(input: Shape): Window {
    const begin = sliceOf(this.type, input, this.options).begin.slice(1)
    const ones = begin.map(() => 1)
    return { reach: ones, stride: ones, lo: begin.map((first) => -first) }
  }

  describe(): string {
    const { begin = [], end = [] } = this.options
    return `slice(${begin.join('×') || '0'} → ${end.join('×') || 'end'})`
  }
}

/** Options of `Split`. */
export interface SplitOptions {
  /** Into how many equal parts the channels are split. */
  readonly parts: number
  /** Which of them the layer gives, from 0. */
  readonly part: number
}

/**
 * One of equal parts of the channels: (C, …) -> (C / parts, …). A node for each part splits a branch:
 * `{ name: 'left', layer: new Split({ parts: 2, part: 0 }), inputs: ['x'] }`.
 */
export class Split extends LoweredLayer<SplitOptions> {
  static override readonly rules: OptionRules = { parts: 'count', part: 0 } satisfies RulesOf<SplitOptions>
  readonly type = 'Split'

  constructor(...given: [options: SplitOptions]) {
    super(...given)
    const { parts, part } = this.options
    perDirection(parts, 1, 1, 'Split: parts')
    if (!Number.isInteger(part) || part < 0 || part >= parts) {
      throw new ArgumentError(`Split: part must be a whole number from 0 to ${parts - 1}, given ${inWords(part)}`)
    }
  }

  outputShape([C = 0, ...places]: Shape): number[] {
    const { parts } = this.options
    if (C % parts !== 0 || C === 0) {
      throw new ShapeError(`Split: ${C} channels cannot be split into ${parts} equal parts`)
    }
    return [C / parts, ...places]
  }

  protected lower(x: Tensor): Tensor {
    const { parts, part } = this.options
    const [N = 1, C = 1] = x.shape
    const size = C / parts
    return slice(x, { begin: [0, part * size], end: [N, (part + 1) * size] })
  }

  describe(): string {
    return `split(${this.options.part + 1}/${this.options.parts})`
  }
}
