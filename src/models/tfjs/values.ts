/**
 * The nodes of a program that is made of a TensorFlow.js model, whose tensors have their channels last: (N, H, W, C). The package's
 * operations have them first: (N, C, H, W). A value may be computed in either form. The name of the file always stands for the tensor
 * with channels last; a value that is computed channels first has a hidden name for that form, and a transposition between the two.
 * A program computes what is read alone, so that in a chain of convolutions, activations and sums no tensor is transposed but at
 * the ends.
 */
import { transpose } from '../../ops/layout.js'
import type { AnyTensor } from '../../tensor/tensor.js'
import type { Compute, ImportedNode } from '../imported.js'

/** A value that a node gives. */
export interface Given {
  readonly name: string
  /** Whether it is computed channels first. */
  readonly isFirst: boolean
  /** Axes of it, where that is known. */
  readonly ndim?: number | undefined
}

/** x (N, …, C) as (N, C, …). A map of one pixel or of one channel lies in memory as it is. */
export function channelsFirst(x: AnyTensor): AnyTensor {
  if (x.ndim < 3) return x.alias()
  const [N, ...others] = x.shape as [number, ...number[]]
  const C = others.pop() as number
  const shape = [N, C, ...others]
  if (C === 1 || others.every((extent) => extent === 1)) return x.reshape(shape)
  return transpose(x, [0, x.ndim - 1, ...others.map((_, axis) => axis + 1)])
}

/** x (N, C, …) as (N, …, C). */
export function channelsLast(x: AnyTensor): AnyTensor {
  if (x.ndim < 3) return x.alias()
  const [N, C, ...others] = x.shape as [number, number, ...number[]]
  const shape = [N, ...others, C]
  if (C === 1 || others.every((extent) => extent === 1)) return x.reshape(shape)
  return transpose(x, [0, ...others.map((_, axis) => axis + 2), 1])
}

/** An operand that is laid over a tensor (N, …, C) of `ndim` axes, so that it can be laid over the same channels first. */
export function laidFirst(x: AnyTensor, ndim: number): AnyTensor {
  if (x.size === 1 && x.ndim <= ndim) return x.reshape([])
  return channelsFirst(x.ndim < ndim ? x.reshape([...new Array<number>(ndim - x.ndim).fill(1), ...x.shape]) : x)
}

/** An axis of a tensor (N, …, C) of `ndim` axes, from 0 on, as that of the same channels first. */
export const axisFirst = (axis: number, ndim: number): number => {
  if (ndim < 3 || axis === 0) return axis
  return axis === ndim - 1 ? 1 : axis + 1
}

/** Collects nodes in the order in which they are computed. */
export class Values {
  readonly nodes: ImportedNode[] = []
  /** Hidden names of values channels first, by the names of the file. */
  readonly #first = new Map<string, string>()
  /** Those that are computed so, with the number of their axes. */
  readonly #held = new Map<string, number | undefined>()
  readonly #taken: Set<string>

  /** `taken` are the names of inputs and constants. */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken)
  }

  /** A name that no other value has, nor will have. */
  unique(name: string): string {
    let own = name
    for (let count = 2; this.#taken.has(own); count++) own = `${name} (${count})`
    this.#taken.add(own)
    return own
  }

  /** Whether a value is computed channels first. */
  isFirst(name: string): boolean {
    return this.#held.has(name)
  }

  /** The axes of a value that is computed channels first, where their number is known. */
  ndim(name: string): number | undefined {
    return this.#held.get(name)
  }

  /** The name of a value channels first. */
  first(name: string): string {
    const known = this.#first.get(name)
    if (known !== undefined) return known
    const hidden = this.#hide(name)
    this.nodes.push({
      name: hidden,
      operator: 'Transpose',
      inputs: [name],
      outputs: [hidden],
      compute: ([x]) => [channelsFirst(x as AnyTensor)],
    })
    return hidden
  }

  #hide(name: string): string {
    const hidden = this.unique(`${name} (channels first)`)
    this.#first.set(name, hidden)
    return hidden
  }

  /** Adds a node. `name` must be one that no other node has. */
  add(name: string, operator: string, inputs: readonly string[], outputs: readonly Given[], compute: Compute): void {
    const held = outputs.filter(({ isFirst }) => isFirst)
    this.nodes.push({
      name,
      operator,
      inputs,
      outputs: outputs.map((output) => (output.isFirst ? this.#hide(output.name) : output.name)),
      compute,
    })
    for (const { name: value, ndim } of held) {
      this.#held.set(value, ndim)
      this.nodes.push({
        name: this.unique(`${value} (channels last)`),
        operator: 'Transpose',
        inputs: [this.#first.get(value) as string],
        outputs: [value],
        compute: ([x]) => [channelsLast(x as AnyTensor)],
      })
    }
  }
}
