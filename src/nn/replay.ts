/**
 * Forward passes that are captured once and then repeated, kernel by kernel: of LeNet-5 on one image, deciding what to call
 * takes longer than the kernels.
 */
import { capture, copyFloats, type Captured } from '../runtime/core.js'
import { sameShape, type Shape } from '../tensor/shape.js'
import { empty, scope, type Storage, type Tensor } from '../tensor/tensor.js'
import type { Layer } from './layer.js'

/** Bytes of values and workspace up to which a pass is captured: they stay, and larger passes gain next to nothing. */
export const CAPTURED_BYTES = 1_048_576

/** Whether a layer's class says that its passes can be repeated; classes derived from it have to say so themselves. */
export const isRepeatable = ({ constructor }: Layer): boolean =>
  Object.hasOwn(constructor, 'repeatable') && (constructor as typeof Layer).repeatable

/** Where a value of the pass lies. */
interface Place {
  readonly name: string
  readonly shape: Shape
  readonly size: number
  readonly pointer: number
}

const placeOf = (name: string, { shape, size, pointer }: Tensor): Place => ({ name, shape, size, pointer })

/** What a pass read besides its inputs, as it was then. */
interface Read {
  readonly storage: Storage
  readonly version: number
}

/** The tensors of a pass by name. */
export type Values = ReadonlyMap<string, Tensor>

/** A captured forward pass. */
export class Replay {
  readonly #captured: Captured
  readonly #inputs: readonly Place[]
  readonly #outputs: readonly Place[]
  readonly #reads: readonly Read[]

  private constructor(captured: Captured, inputs: readonly Place[], outputs: readonly Place[], reads: readonly Read[]) {
    this.#captured = captured
    this.#inputs = inputs
    this.#outputs = outputs
    this.#reads = reads
  }

  /** Captures `pass` on copies of the tensors given; undefined where kernels alone do not repeat it. */
  static of(given: Values, weights: readonly Tensor[], pass: (inputs: Values) => Values): Replay | undefined {
    const places = (values: Values): Place[] => [...values].map(([name, value]) => placeOf(name, value))
    let inputs: Place[] = []
    let outputs: Place[] = []
    const captured = capture(() => {
      scope(() => {
        const copies = new Map([...given].map(([name, { shape }]) => [name, empty(shape)]))
        inputs = places(copies)
        for (const { name, pointer, size } of inputs) copyFloats(pointer, (given.get(name) as Tensor).pointer, size)
        outputs = places(pass(copies))
      })
    })
    if (!captured) return undefined
    const reads = weights.map(({ storage }) => ({ storage, version: storage.version }))
    return new Replay(captured, inputs, outputs, reads)
  }

  /** Whether nothing that the pass read has changed since. */
  get current(): boolean {
    return this.#captured.current && this.#reads.every(({ storage, version }) => storage.version === version)
  }

  /** Whether these are inputs and outputs as they were captured. */
  fits(given: Values, wanted: readonly string[]): boolean {
    return (
      wanted.length === this.#outputs.length &&
      this.#outputs.every(({ name }, index) => name === wanted[index]) &&
      given.size === this.#inputs.length &&
      this.#inputs.every(({ name, shape }) => sameShape(shape, given.get(name)?.shape ?? []))
    )
  }

  /** The outputs for live tensors that fit; undefined where a kernel's result is one that must be computed otherwise. */
  run(given: Values): Record<string, Tensor> | undefined {
    for (const { name, pointer, size } of this.#inputs) copyFloats(pointer, (given.get(name) as Tensor).pointer, size)
    if (!this.#captured.replay()) return undefined
    const values: Record<string, Tensor> = {}
    try {
      for (const { name, shape, pointer, size } of this.#outputs) {
        const y = (values[name] = empty(shape))
        copyFloats(y.pointer, pointer, size)
      }
    } catch (error) {
      for (const y of Object.values(values)) y.dispose()
      throw error
    }
    return values
  }

  dispose(): void {
    this.#captured.dispose()
  }
}
