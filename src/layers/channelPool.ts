/** Pooling over some channels, which leaves the others as they are. */
import { LoweredLayer, type OptionRules } from '../nn/layer.js'
import type { RulesOf } from '../nn/options.js'
import { checkPool } from '../ops/pool/clusters.js'
import { concat } from '../ops/layout.js'
import { gather } from '../ops/places.js'
import { max, mean } from '../ops/reduce.js'
import { checkList, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { tensor } from '../tensor/create.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** Options of `ChannelPool`. */
export interface ChannelPoolOptions {
  /** The channels that are pooled together, one list for each pooled channel; none may come twice. */
  readonly groups: readonly (readonly number[])[]
  /** What is taken of a group: its largest value or its mean. Default 'max'. */
  readonly pool?: 'max' | 'mean'
}

/**
 * Groups of channels, each replaced by its largest value or its mean at each place; channels that are in no group stay. The pooled
 * channels come first, in the order of the groups, and behind them the others in theirs: (C, …) -> (groups + others, …). `Maxout`
 * is the case of equal groups of all channels.
 *
 *     new ChannelPool({ groups: [[0, 1, 2], [5, 7]] })             // (8, 12, 12) -> (5, 12, 12)
 */
export class ChannelPool extends LoweredLayer<ChannelPoolOptions> {
  static override readonly rules: OptionRules = { groups: 0, pool: 0 } satisfies RulesOf<ChannelPoolOptions>
  readonly type = 'ChannelPool'

  constructor(...given: [options: ChannelPoolOptions]) {
    super(...given)
    const { groups, pool = 'max' } = this.options
    checkPool(pool, 'ChannelPool')
    checkList(groups, 'ChannelPool: groups', 'a list of lists of channels')
    if (groups.length === 0) throw new ArgumentError('ChannelPool: give at least one group of channels')
    const seen = new Set<number>()
    groups.forEach((group, index) => {
      checkList(group, `ChannelPool: group ${index}`, 'a list of channels')
      if (group.length === 0) throw new ArgumentError(`ChannelPool: group ${index} has no channels`)
      for (const channel of group) {
        checkWhole(channel, `ChannelPool: a channel of group ${index}`, 0, 2 ** 31 - 1)
        if (seen.has(channel)) throw new ArgumentError(`ChannelPool: channel ${channel} is in the groups twice`)
        seen.add(channel)
      }
    })
  }

  /** The channels that are in no group. @throws ShapeError when the input has too few */
  #others(input: Shape): number[] {
    const C = input[0]
    if (C === undefined) throw new ShapeError(`ChannelPool: the input must be (C, …), given ${showShape(input)}`)
    const pooled = new Set(this.options.groups.flat())
    const beyond = [...pooled].find((channel) => channel >= C)
    if (beyond !== undefined)
      throw new ShapeError(`ChannelPool: there is no channel ${beyond} in an input ${showShape(input)}`)
    return Array.from({ length: C }, (_, channel) => channel).filter((channel) => !pooled.has(channel))
  }

  outputShape(input: Shape): number[] {
    const others = this.#others(input)
    return [this.options.groups.length + others.length, ...input.slice(1)]
  }

  protected lower(x: Tensor): Tensor {
    const others = this.#others(x.shape.slice(1))
    const { groups, pool = 'max' } = this.options
    const reduce = pool === 'max' ? max : mean
    return scope(() => {
      const taken = (channels: readonly number[]): Tensor =>
        gather(x, tensor(Int32Array.from(channels), [channels.length], { dtype: 'int32' }), 1)
      const pooled = groups.map((group) => reduce(taken(group), 1, { keepDims: true }))
      return concat(others.length > 0 ? [...pooled, taken(others)] : pooled, 1)
    })
  }

  /** Every pooling reads its input once. */
  override operations(input: Shape): number {
    return sizeOf(input)
  }

  describe(): string {
    return `pool(${this.options.groups.length} of channels)`
  }
}
