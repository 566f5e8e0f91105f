/**
 * A pass that is planned once and run again and again. A run makes the calls with the numbers that they had before: what is
 * looked up anew is where inputs and outputs lie, and whether a weight has changed.
 */
import { pack, perform } from '../autodiff/op.js'
import { lookAt, OUT, resolve, runCall, type Call, type CallList } from '../runtime/calls.js'
import { allFinite, allocate, placesForThreads, putIntegers, release } from '../runtime/core.js'
import { empty, keep, scope, type AnyTensor, type Storage, type Tensor } from '../tensor/tensor.js'
import type { Plan, PlacedNode } from './plan.js'
import { resultsOf, type Node, type Value } from './trace.js'

/** Tensors by their names. */
export type Values = ReadonlyMap<string, AnyTensor>

/** A node with the numbers of its calls. */
interface Step extends PlacedNode {
  /** Those of its results that are handed out. */
  readonly handedOut: readonly Value[]
  /** Whether addresses change from run to run: of inputs, of outputs, and of weights that are not packed for good. */
  readonly moves: boolean
  readonly table: number[]
  /** For each call. */
  readonly values: number[][]
}

/** A planned pass. */
export class PlannedProgram {
  readonly #plan: Plan
  readonly #threads = placesForThreads()
  readonly #handedOut: ReadonlySet<Value>
  /** Versions of the whole numbers that were read. */
  readonly #read: readonly number[]
  /** Whether packed weights may be kept. */
  readonly #keeps: boolean
  /** Results that depend on weights alone, and the versions that they are of. */
  readonly #constants = new Map<Value, AnyTensor>()
  readonly #versions: number[] = []
  #records: Tensor | undefined
  #steps: readonly Step[] = []
  /** Where the regions lay when the numbers of the calls were made; none: they are out of date. */
  #bases: readonly number[] = []

  /** Takes over the constants of the plan, which is whole: what was made for it alone has been given back. */
  constructor(plan: Plan, keeps: boolean) {
    this.#plan = plan
    this.#read = plan.traced.read.map(({ version }) => version)
    this.#keeps = keeps
    this.#handedOut = new Set(plan.outputs.map(({ value }) => value))
  }

  /** Whether it was planned for the threads that there are, and for the whole numbers that were read. */
  get current(): boolean {
    const { read } = this.#plan.traced
    return this.#threads === placesForThreads() && read.every(({ version }, index) => version === this.#read[index])
  }

  /** The outputs for inputs of the shapes that were planned for. */
  run(given: Values): Record<string, AnyTensor> {
    // Where a test of a result fails, all is computed again in the other way, which does what the test asks for.
    const results = this.#isRepeated() ? scope(() => this.#runRepeated(given)) : undefined
    if (results) return results
    return scope(() => this.#runOnce(given))
  }

  dispose(): void {
    for (const tensor of this.#plan.traced.constants) tensor.dispose()
    this.#forget()
  }

  /** Gives back what depends on the weights. */
  #forget(): void {
    for (const tensor of this.#constants.values()) tensor.dispose()
    this.#constants.clear()
    this.#records?.dispose()
    this.#records = undefined
    this.#bases = []
  }

  /** Whether a pass was run since a weight has changed, so that what depends on weights is kept. */
  #isRepeated(): boolean {
    const { constants } = this.#plan.traced
    const versions = this.#versions
    let same = versions.length === constants.length
    for (let i = 0; i < constants.length; i++) {
      const { version } = (constants[i] as AnyTensor).storage
      if (versions[i] === version) continue
      versions[i] = version
      same = false
    }
    if (!same) {
      this.#forget()
      return false
    }
    return this.#keeps && this.#plan.arranged().repeats
  }

  /** Weights, or what depends on them alone. */
  #constantOf(value: Value): AnyTensor | undefined {
    return value.constant ?? this.#constants.get(this.#plan.valueOf(value))
  }

  /** Where a value lies that is no part of the arena. */
  #finder(given: Values, made: ReadonlyMap<Value, AnyTensor>): (value: Value) => AnyTensor {
    return (value) => {
      const held = this.#plan.valueOf(value)
      const tensor = held.input === undefined ? (this.#constantOf(held) ?? made.get(held)) : given.get(held.input)
      return tensor as AnyTensor
    }
  }

  #results(tensorOf: (value: Value) => AnyTensor): Record<string, AnyTensor> {
    return Object.fromEntries(
      this.#plan.outputs.map(({ name, value, shape }) => [name, tensorOf(value).reshape(shape)]),
    )
  }

  /** One operation after another, each value only as long as it is needed. */
  #runOnce(given: Values): Record<string, AnyTensor> {
    const made = new Map<Value, AnyTensor>()
    const tensorOf = this.#finder(given, made)
    for (const { node, list, last } of this.#plan.order) {
      compute(node, list, tensorOf, made)
      for (const value of last) made.get(value)?.dispose()
    }
    return this.#results(tensorOf)
  }

  /** The calls as they are noted, in one block of memory; undefined where a test of a result fails. */
  #runRepeated(given: Values): Record<string, AnyTensor> | undefined {
    const { bytes, regions } = this.#plan.arranged()
    const arena = bytes > 0 ? allocate(bytes, 'a forward pass') : 0
    try {
      const made = new Map<Value, AnyTensor>()
      const bases = [arena]
      for (const value of regions) {
        const y = emptyOf(value)
        made.set(value, y)
        bases.push(y.pointer)
      }
      if (bases.some((base, region) => base !== this.#bases[region])) this.#bind(bases)
      const tensorOf = this.#finder(given, made)
      for (const step of this.#steps) {
        for (const value of step.handedOut) if (!made.has(value)) made.set(value, emptyOf(value))
        if (!(step.moves ? this.#runMoved(step, tensorOf) : this.#runStep(step, tensorOf))) return undefined
      }
      return this.#results(tensorOf)
    } finally {
      if (arena > 0) release(arena)
    }
  }

  /** The numbers of the calls for regions that begin at `bases`. What fails leaves no more in memory than before. */
  #bind(bases: readonly number[]): void {
    const isFirst = this.#bases.length === 0
    const packed: { readonly storage: Storage; readonly key: string }[] = []
    try {
      if (isFirst) this.#computeConstants()
      const { recordBytes, placed: nodes } = this.#plan.arranged()
      if (recordBytes > 0) this.#records ??= keep(empty([recordBytes / 4], 'records'))
      const records = this.#records?.pointer ?? 0
      this.#steps = nodes.map((placed): Step => {
        const { node, list, sources } = placed
        let moves = false
        const table = sources.map((source): number => {
          if (source.from === 'arena') return (bases[source.region] as number) + source.offset
          if (source.from === 'records') return records + source.offset
          if (source.from === 'nothing') return 0
          const weights = this.#constantOf(source.from === 'packed' ? source.of : source.value)
          if (weights && source.from === 'value') return weights.pointer
          if (weights && source.from === 'packed') {
            const { pointer, kept, isNew } = pack(source.packed, weights)
            if (kept && isNew) packed.push({ storage: weights.storage, key: source.packed.key })
            if (kept) return pointer
            release(pointer)
          }
          moves = true
          return 0
        })
        const handedOut = resultsOf(node).filter((value) => this.#handedOut.has(value))
        return { node, list, sources, handedOut, moves, table, values: list.calls.map((call) => resolve(call, table)) }
      })
    } catch (error) {
      for (const { storage, key } of packed) storage.drop(key)
      this.#forget()
      throw error
    }
    for (const { list, table } of this.#steps) {
      list.entries.forEach((entry, index) => {
        if (entry.kind === 'integers') putIntegers(entry.values, table[index])
      })
    }
    this.#bases = bases
  }

  /** Computes what depends on weights alone. */
  #computeConstants(): void {
    scope(() => {
      for (const { node, list, last } of this.#plan.constants) {
        const made = new Map<Value, AnyTensor>()
        compute(node, list, (value) => this.#constantOf(value), made)
        for (const [value, y] of made) {
          // Further results that nothing reads.
          if (value !== node.out && last.includes(value)) y.dispose()
          else this.#constants.set(value, keep(y))
        }
      }
    })
  }

  /** Makes the calls of a step after it was told where its tensors lie; false where a result must be computed otherwise. */
  #runMoved(step: Step, tensorOf: (value: Value) => AnyTensor): boolean {
    const { sources, list, table, values } = step
    let lent: number[] | undefined
    try {
      sources.forEach((source, index) => {
        if (source.from === 'value') table[index] = tensorOf(source.value).pointer
        else if (source.from === 'packed') {
          const { pointer, kept } = pack(source.packed, tensorOf(source.of))
          if (!kept) (lent ??= []).push(pointer)
          table[index] = pointer
        }
      })
      list.calls.forEach((call, index) => {
        values[index] = resolve(call, table)
      })
      return this.#runStep(step, tensorOf)
    } finally {
      if (lent) for (const at of lent) release(at)
    }
  }

  #runStep({ node, list, table, values }: Step, tensorOf: (value: Value) => AnyTensor): boolean {
    const { calls } = list
    for (let i = 0; i < calls.length; i++) {
      const call = calls[i] as Call
      if (!call.test) {
        runCall(call, values[i] as number[])
        continue
      }
      const look = lookAt(table, (name) => {
        const value = this.#plan.valueOf(node.inputs.get(name) as Value)
        const weights = this.#constantOf(value)
        if (weights) return weights.storage.isFinite(weights.size)
        const at = list.entries.findIndex((entry) => entry.kind === 'operand' && entry.name === name)
        return allFinite(at < 0 ? tensorOf(value).pointer : (table[at] as number), value.size)
      })
      if (!call.test.holds(look)) return false
    }
    return true
  }
}

/** Memory for a value that a node computes. */
const emptyOf = ({ shape, dtype, node }: Value): AnyTensor => empty(shape, (node as Node).name, dtype)

/** Computes what a node gives at once, and adds it to what was made. */
function compute(
  node: Node,
  list: CallList,
  tensorOf: (value: Value) => AnyTensor | undefined,
  made: Map<Value, AnyTensor>,
): void {
  for (const value of resultsOf(node)) made.set(value, emptyOf(value))
  perform(list, (key) => {
    const result = key === OUT ? node.out : node.further.get(key)
    if (result) return made.get(result)
    const value = node.inputs.get(key)
    return value && tensorOf(value)
  })
}
