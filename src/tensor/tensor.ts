/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Tensors: contiguous, (N, C, spatial…), of float32 unless they say otherwise. A tensor is a shape over a storage; `reshape`
 * shares the storage, and the storage returns its memory when the last tensor over it is disposed. Tensors are never
 * changed after they were made, except by optimizers and `assign`.
 */
import { afterFailure, allFinite, allocate, memoryBuffer, release } from '../runtime/core.js'
import {
  ArgumentError,
  CoreError,
  DisposedError,
  ShapeError,
  ToeplitzError,
  UnsupportedError,
} from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkFunction } from '../runtime/check.js'
import type { CallList } from '../runtime/calls.js'
import { arrays, bytesOf, writeElements, type ElementArrays, type DType, type ElementOf } from './dtype.js'
import { checkShape, showShape, sizeOf, type Shape } from './shape.js'
import { checkCount } from '../runtime/options.js'

/** Numbers are asked for that a pass has yet to compute: it is only being planned. Who plans catches it. */
export class UnplannedError extends ToeplitzError {
  constructor() {
    super('UNSUPPORTED', 'the numbers of a tensor are not there while a pass is planned')
  }
}

/** Counted memory. `retain` and `release` are for tapes and views; user code disposes tensors. */
export class Storage {
  readonly #pointer: number | undefined
  /** Whether `withDerived` may keep what was computed. */
  keepsDerived = true
  /** What the mean that it holds is over, where that is not the number of rows: the sum of their factors. */
  counted: number | undefined
  #references = 1
  #version = 0
  /** Version of the last look at whether all is finite, and what it gave. */
  #looked = -1
  #finite = false
  /** Made when something is derived: most storages have nothing. */
  #derived: Map<string, Derived> | undefined

  /** Memory of `bytes` bytes; without them, what a pass that is being planned will compute. */
  constructor(bytes?: number, what?: string) {
    this.#pointer = bytes === undefined ? undefined : allocate(bytes, what)
  }

  /** @throws UnplannedError where there is no memory yet. */
  get pointer(): number {
    if (this.#pointer === undefined) throw new UnplannedError()
    return this.#pointer
  }

  /** Whether there is no memory yet. */
  get isPlanned(): boolean {
    return this.#pointer === undefined
  }

  retain(): this {
    this.#references++
    return this
  }

  release(): void {
    if (--this.#references > 0 || this.#pointer === undefined) return
    this.changed()
    release(this.#pointer)
  }

  /** Goes up whenever the memory is written in place, or given back. */
  get version(): number {
    return this.#version
  }

  /** To be called after the memory was written in place: what was derived from it is out of date. */
  changed(): void {
    this.#version++
    if (!this.#derived) return
    for (const { pointer } of this.#derived.values()) if (pointer !== undefined) release(pointer)
    this.#derived.clear()
  }

  /** Whether none of its first `length` floats is NaN or infinite: looked at once for each version. */
  isFinite(length: number): boolean {
    if (this.#looked !== this.#version) {
      this.#looked = this.#version
      this.#finite = allFinite(this.pointer, length)
    }
    return this.#finite
  }

  /**
   * `bytes` bytes that `fill` computes from this memory, such as weights packed for a kernel. They are computed each time while
   * the memory changes between calls, as in training, and are the caller's to release; from the second call on without a
   * change they are kept until it changes or is freed.
   */
  derive(key: string, bytes: number, fill: (pointer: number) => void): DerivedBytes {
    const known = this.#derived?.get(key)
    if (known?.pointer !== undefined) return { pointer: known.pointer, kept: true, isNew: false }
    const pointer = allocate(bytes, 'packed weights')
    const version = this.#version
    try {
      fill(pointer)
    } catch (error) {
      release(pointer)
      throw error
    }
    const kept = known !== undefined && version === this.#version && this.keepsDerived
    if (kept) known.pointer = pointer
    else (this.#derived ??= new Map()).set(key, { pointer: undefined })
    return { pointer, kept, isNew: true }
  }

  /** Gives back what `derive` has kept. */
  drop(key: string): void {
    const known = this.#derived?.get(key)
    if (known?.pointer === undefined) return
    release(known.pointer)
    known.pointer = undefined
  }
}

/** What was computed from a storage: kept by it, or the caller's to release. */
export interface DerivedBytes {
  readonly pointer: number
  readonly kept: boolean
  /** Whether it was computed now. */
  readonly isNew: boolean
}

/** Memory that was computed from a storage. The first time only its key is noted; from the second time on the memory is kept. */
interface Derived {
  pointer: number | undefined
}

/**
 * Disposes what is unreachable: a safety net, since collection comes late and never within synchronous work. Tensors in
 * a scope need none.
 */
const collected = new FinalizationRegistry<Storage>((storage) => {
  storage.release()
})

/** Older engines lack the symbol; `using` compiled for them looks for this one. */
export const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('Symbol.dispose') as never)

/** What holds tensors that are in no scope, such as those that a gradient needs. */
export interface Holder {
  /** Gives them back; a second call does nothing. */
  dispose(): void
}

/** What was made in a scope. The tensors are a linked list, since a scope with a set of them costs more than a small kernel. */
interface Made {
  newest: AnyTensor | undefined
  holders: Set<Holder> | undefined
}

/** Those of each open scope, innermost last. */
const scopes: Made[] = []

/** Notes operations, instead of computing them, while a pass is planned. */
export interface Planner {
  /** What is noted now is part of it: the name of a layer's node. */
  owner: string
  /** Gives the tensors that the operation will give. */
  note(operation: PlannedOperation): Noted
  /** Numbers of a tensor are read: what follows may depend on them. @throws UnplannedError where they may change */
  read(tensor: AnyTensor): void
}

/** The tensors that an operation will give. */
export interface Noted {
  readonly y: AnyTensor
  /** Its further results. */
  readonly further: Readonly<Record<string, Tensor>>
}

/** What is called while a pass is planned. */
export interface PlannedOperation {
  readonly name: string
  readonly inputs: PlannedInputs
  /** What `infer` of its definition made of shapes and options. */
  readonly described: unknown
  readonly list: CallList
  readonly shape: Shape
  readonly dtype: DType
  /** Shapes of its further results by the names of operands: what the caller asks for, and what its kernels need besides. */
  readonly further: ReadonlyMap<string, Shape>
  /** The calls with relu as part of the operation, if it can. */
  rectified: (() => CallList) | undefined
  /** What it does to each channel of the input that is left out, if that is a factor and a number that is added, of the others. */
  readonly affine?: ((inputs: PlannedInputs) => Affine | undefined) | undefined
  /** The same operation with its result multiplied and added to, channel by channel, if its weights can take that up. */
  readonly scaled?: ((inputs: PlannedInputs, by: Affine) => Tensor) | undefined
}

/** Tensors by the names of operands. */
export type PlannedInputs = Readonly<Record<string, AnyTensor | undefined>>

/** y = scale · x + shift, each (C), or without one of them. */
export interface Affine {
  readonly scale?: Tensor
  readonly shift?: Tensor
}

let planner: Planner | undefined

/** Who plans a pass at present. */
export const openPlanner = (): Planner | undefined => planner

/** Runs `use` with every operation noted. */
export function planning<T>(open: Planner, use: () => T): T {
  const before = planner
  planner = open
  try {
    return use()
  } finally {
    planner = before
  }
}

/** Elements that `toString` shows; of more than these, so many from the beginning and the end. */
const MOST_SHOWN = 8
const FIRST = 5
const LAST = 3

/** Another tensor over a storage. */
const over = <D extends DType>(storage: Storage, shape: Shape, dtype: D): Tensor<D> =>
  new Tensor(storage.retain(), shape, dtype)

/** `size` elements of a type at an address. The view dies when memory grows: use it at once and drop it. */
export const elementsAt = <D extends DType>(pointer: number, size: number, dtype: D): ElementArrays[D] =>
  new arrays[dtype](memoryBuffer(), pointer, size)

const isTensor = (value: unknown): value is AnyTensor => value instanceof Tensor

/*
 * No class of the package names itself inside of its body: esbuild would call it _Tensor then, and so would consoles, which
 * show the name that the class has in its source.
 */
/**
 * An array of numbers of one type in linear memory, in row-major order; float32 unless it says otherwise. Not seen by the garbage
 * collector: dispose it, or make it in a `scope`.
 */
export class Tensor<D extends DType = 'float32'> {
  readonly #dtype: D
  readonly #shape: Shape
  readonly #size: number
  readonly #storage: Storage
  #disposed = false
  #watched = false
  /** The scope that the tensor belongs to, and its neighbours in its list. */
  #made: Made | undefined
  #older: AnyTensor | undefined
  #newer: AnyTensor | undefined

  /** Takes over one reference to the storage. Use `tensor`, `zeros`, … to make tensors. @internal */
  constructor(storage: Storage, shape: Shape, dtype: D) {
    if (!(storage instanceof Storage)) throw new ArgumentError('Tensor: make one with tensor(), zeros() and the like')
    this.#storage = storage
    this.#dtype = dtype
    this.#shape = Object.isFrozen(shape) ? shape : Object.freeze([...shape])
    this.#size = sizeOf(shape)
    this.enter(scopes.at(-1))
  }

  /** Whether a value is a tensor itself: no proxy of one, and no object that inherits from one. @internal */
  static [Symbol.hasInstance](value: unknown): value is AnyTensor {
    return typeof value === 'object' && value !== null && #storage in value
  }

  /** Type of the elements. */
  get dtype(): D {
    return this.#dtype
  }

  /** Extents, outermost first; `[]` for a scalar. They never change: kernels rely on them. */
  get shape(): Shape {
    return this.#shape
  }

  /** Number of elements. */
  get size(): number {
    return this.#size
  }

  /** Makes the tensor belong to a scope; outside of every scope it is watched. @internal */
  enter(made: Made | undefined): void {
    if (!made) {
      this.watch()
      return
    }
    const { newest } = made
    this.#made = made
    this.#older = newest
    if (newest) newest.#newer = this
    made.newest = this
  }

  /** Takes the tensor out of its scope. @internal */
  leave(): void {
    const made = this.#made
    if (!made) return
    if (this.#newer) this.#newer.#older = this.#older
    else made.newest = this.#older
    if (this.#older) this.#older.#newer = this.#newer
    this.#made = this.#older = this.#newer = undefined
  }

  /** Whether the tensor belongs to a scope. @internal */
  isOf(made: Made): boolean {
    return this.#made === made
  }

  /** Gives the memory back when the tensor becomes unreachable: outside of every scope. @internal */
  watch(): void {
    if (this.#watched || this.#disposed) return
    this.#watched = true
    collected.register(this, this.#storage, this)
  }

  /** Number of axes. */
  get ndim(): number {
    return this.shape.length
  }

  /** Whether its memory has been given back; every use is a DisposedError then. */
  get disposed(): boolean {
    return this.#disposed
  }

  /** @throws DisposedError when the tensor has been disposed. */
  assertLive(): void {
    if (this.#disposed) {
      throw new DisposedError(
        `a tensor of shape ${showShape(this.shape)} was used after it was disposed; return it from its scope() or dispose it later`,
      )
    }
  }

  /** The memory under the tensor. @throws DisposedError @internal */
  get storage(): Storage {
    this.assertLive()
    return this.#storage
  }

  /** Address of the first element in linear memory. @throws DisposedError @internal */
  get pointer(): number {
    return this.storage.pointer
  }

  /** A copy of the elements in row-major order: a Float32Array, or that of another type; of bools bytes that are 0 or 1. */
  data(): ElementArrays[D] {
    if (arguments.length > 0) checkCount('data', 0, arguments)
    planner?.read(this)
    return this.view().slice() as ElementArrays[D]
  }

  /** The elements where they lie. The view dies when memory grows: use it at once and drop it. @internal */
  view(): ElementArrays[D] {
    return elementsAt(this.pointer, this.size, this.#dtype)
  }

  /** The only element. @throws ShapeError when there are more. */
  item(): ElementOf<D> {
    if (arguments.length > 0) checkCount('item', 0, arguments)
    if (this.size !== 1)
      throw new ShapeError(`item: a tensor of shape ${showShape(this.shape)} has ${this.size} elements, not 1`)
    planner?.read(this)
    return this.view()[0] as ElementOf<D>
  }

  /** The same elements in another shape; one extent may be -1. Shares memory, and gradients flow through. */
  reshape(shape: Shape): Tensor<D> {
    if (arguments.length > 1) checkCount('reshape', 1, arguments)
    const { storage } = this
    const resolved = resolveShape('reshape', this.shape, shape)
    return over(storage, resolved, this.#dtype)
  }

  /** Another handle on the same elements, disposed on its own. */
  alias(): Tensor<D> {
    return over(this.storage, this.shape, this.#dtype)
  }

  /** Overwrites the elements in place: for loading weights. Never use it on a tensor whose gradient is pending. */
  assign(values: ArrayLike<ElementOf<D>>): void {
    if (arguments.length > 1) checkCount('assign', 1, arguments)
    const given = (values as ArrayLike<unknown> | undefined | null)?.length
    if (given !== this.size) {
      throw new ShapeError(
        `assign: ${given ?? inWords(values)} values do not fill shape ${showShape(this.shape)} (${this.size} elements)`,
      )
    }
    writeElements(this.view(), values, this.#dtype, 'assign: values')
    this.#storage.changed()
  }

  /** Returns the memory. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#watched) collected.unregister(this)
    this.leave()
    this.#storage.release()
  }

  /** For `using`: as `dispose`. */
  [disposeSymbol](): void {
    this.dispose()
  }

  /**
   * Shape, type and elements, of many the first and the last: what Node, Deno and Bun print of a tensor. A browser's console asks for
   * no text; log `String(tensor)` there.
   */
  toString(): string {
    const what = `Tensor ${showShape(this.shape)}`
    if (this.#disposed) return `${what} (disposed)`
    if (this.#storage.isPlanned) return `${what} ${this.#dtype} (not computed yet)`
    planner?.read(this)
    const all = this.view()
    const shown = (from: number, to: number): string[] =>
      Array.from<number | bigint, string>(all.subarray(from, to) as Float32Array, (value) =>
        String(typeof value === 'bigint' ? value : this.#dtype === 'float32' ? Number(value.toPrecision(5)) : value),
      )
    const { size } = this
    const values = size > MOST_SHOWN ? [...shown(0, FIRST), '…', ...shown(size - LAST, size)] : shown(0, size)
    return `${what} ${this.#dtype} [${values.join(', ')}]`
  }

  static {
    // Node and Bun ask for the first of the methods, Deno for the second.
    const inspect = {
      value(this: unknown): string {
        return isTensor(this) ? this.toString() : 'Tensor {}'
      },
    }
    Object.defineProperties(this.prototype, {
      [Symbol.toStringTag]: { value: 'Tensor' },
      [Symbol.for('nodejs.util.inspect.custom')]: inspect,
      [Symbol.for('Deno.customInspect')]: inspect,
    })
    // Browsers ask for no method: their consoles preview own properties, which would cost every tensor. Chrome and Firefox
    // take what pages list here, where their setting "custom formatters" is on.
    const page = globalThis as { document?: unknown; devtoolsFormatters?: unknown }
    if (page.document) {
      const header = (value: unknown): unknown => (isTensor(value) ? ['span', {}, value.toString()] : null)
      page.devtoolsFormatters = ([] as unknown[]).concat(page.devtoolsFormatters ?? [], {
        header,
        hasBody: () => false,
      })
    }
  }
}

/** A tensor of any type. */
export type AnyTensor = Tensor<DType>

/** Whether a value is a tensor of float32. */
export const isFloats = (value: unknown): value is Tensor => value instanceof Tensor && value.dtype === 'float32'

/** The types of an operation that is told of none. */
const floats: readonly DType[] = ['float32']

/** Checks that an argument is a live tensor of one of the types. @throws ShapeError, DisposedError */
export function checkTensor<D extends DType = 'float32'>(
  value: unknown,
  name: string,
  argument: string,
  types: readonly D[] = floats as readonly D[],
): asserts value is Tensor<D> {
  if (!(value instanceof Tensor)) throw new ArgumentError(`${name}: ${argument} must be a Tensor, ${notATensor(value)}`)
  value.assertLive()
  if (types.includes(value.dtype as D)) return
  throw new ArgumentError(
    `${name}: ${argument} must be of ${types.join(' or ')}, given ${value.dtype}; convert it with cast(${argument}, '${types[0]}')`,
  )
}

/** What was given in place of a tensor, and what would be right. */
function notATensor(value: unknown): string {
  if (value !== null && typeof value === 'object' && 'shape' in value) {
    return 'not an object like one, such as a clone or the tensor of another copy of this package; make one of its data() with tensor()'
  }
  return `not ${inWords(value)}; make one with tensor()`
}

/** The extents of `shape` for the elements of `from`: -1 is what the others leave. @throws ShapeError when they do not fit */
export function resolveShape(name: string, from: Shape, shape: Shape): number[] {
  const wild = Array.isArray(shape) ? shape.indexOf(-1) : -1
  if (wild >= 0 && shape.includes(-1, wild + 1))
    throw new ShapeError(`${name}: one extent can be -1, given ${showShape(shape)}; give the others`)
  const known = checkShape(wild < 0 ? shape : shape.filter((_, axis) => axis !== wild), name, 0)
  const size = sizeOf(known)
  const all = sizeOf(from)
  const missing = all / size
  // Beside an extent of 0 any number would do for −1: 0 / 0 is none. Beside infinitely many elements 0 would not.
  if (wild < 0 ? size === all : Number.isInteger(missing) && missing * size === all) {
    return shape.map((extent, axis) => (axis === wild ? missing : extent))
  }
  throw new ShapeError(`${name}: ${showShape(from)} has ${all} elements, which do not fit ${showShape(shape)}`)
}

/** The tensor that a pass which is being planned will compute. */
export const planned = <D extends DType>(shape: Shape, dtype: D): Tensor<D> => new Tensor(new Storage(), shape, dtype)

/** A tensor whose elements are not set yet: every caller must write all of them. */
export function empty(shape: Shape, what?: string): Tensor
export function empty<D extends DType>(shape: Shape, what: string, dtype: D): Tensor<D>
export function empty(shape: Shape, what = 'a tensor', dtype: DType = 'float32'): AnyTensor {
  return new Tensor(new Storage(sizeOf(shape) * bytesOf(dtype), what), shape, dtype)
}

/** A new tensor all of whose elements `fill` writes; if that fails, nothing stays in memory. */
export function filled<D extends DType = 'float32'>(
  shape: Shape,
  what: string,
  fill: (y: Tensor<D>) => void,
  dtype = 'float32' as D,
): Tensor<D> {
  const y = empty(shape, what, dtype)
  try {
    fill(y)
  } catch (error) {
    y.dispose()
    throw afterFailure(what, error)
  }
  return y
}

/** Runs `use`, which changes tensors in place; if it fails they get their values back. */
export function restoring<T>(changed: readonly AnyTensor[], use: () => T): T {
  const before = changed.map((tensor) => tensor.data())
  try {
    return use()
  } catch (error) {
    // Of a core that is gone nothing can be read, and nothing written.
    if (!(error instanceof CoreError)) changed.forEach((tensor, index) => tensor.assign(before[index] as never))
    throw error
  }
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Calls `found` for every tensor and every other object in a value: itself, in arrays or in properties of plain objects. */
function visit(value: unknown, found: (item: object) => void, seen = new Set<unknown>()): void {
  if (value === null || typeof value !== 'object' || seen.has(value)) return
  seen.add(value)
  found(value)
  if (Array.isArray(value)) for (const item of value) visit(item, found, seen)
  else if (isPlain(value)) for (const item of Object.values(value)) visit(item, found, seen)
}

/** Lets the innermost scope dispose what holds tensors, unless the scope returns it. Without a scope nothing happens. */
export function enterScope(holder: Holder): void {
  const made = scopes.at(-1)
  if (made) (made.holders ??= new Set()).add(holder)
}

/** Takes a holder out of every scope. */
export function leaveScope(holder: Holder): void {
  for (const { holders } of scopes) holders?.delete(holder)
}

/** The tensor itself where the innermost scope is to dispose it; a handle of its own on a tensor that is somebody else's. */
export function owned<D extends DType>(tensor: Tensor<D>): Tensor<D> {
  const made = scopes.at(-1)
  return made && tensor.isOf(made) ? tensor : tensor.alias()
}

/**
 * Runs `use` and disposes every tensor made in it, except those it returns (alone, in arrays or in plain objects),
 * which then belong to the scope around it, and what `vjp` keeps, unless its pullback is returned. Tensors that were there
 * before stay. Synchronous: tensors made after an `await` would be missed.
 *
 *     const y = scope(() => relu(conv2d(x, w)))            // y stays, what conv2d gave is freed
 *
 * @throws UnsupportedError when the function is asynchronous.
 */
export function scope<T>(use: () => T): T {
  if (arguments.length > 1) checkCount('scope', 1, arguments)
  checkFunction(use, 'scope: its argument')
  const made: Made = { newest: undefined, holders: undefined }
  scopes.push(made)
  try {
    const value = use()
    if (value instanceof Tensor) hand(value, made)
    else if (value !== null && typeof value === 'object') {
      if (value instanceof Promise) {
        // The rest of the function meets tensors that are gone: of that is told here.
        value.catch(() => undefined)
        throw new UnsupportedError(
          'scope: the function is asynchronous; make it synchronous, or dispose tensors yourself',
        )
      }
      visit(value, (item) => hand(item, made))
    }
    return value
  } finally {
    scopes.pop()
    if (made.holders) for (const holder of made.holders) holder.dispose()
    while (made.newest) made.newest.dispose()
  }
}

/** Gives a tensor or a holder that belongs to the innermost scope to the one around it. */
function hand(item: object, made: Made): void {
  const outer = scopes.at(-2)
  if (item instanceof Tensor) {
    if (!item.isOf(made)) return
    item.leave()
    item.enter(outer)
  } else if (made.holders?.delete(item as Holder) && outer) (outer.holders ??= new Set()).add(item as Holder)
}

/** What a function made, out of every scope until `dispose`. */
export interface Lent<T> {
  readonly value: T
  /** Gives it back; a second call does nothing. */
  readonly dispose: () => void
}

/** Runs `use` in a scope, and keeps those tensors that it made and returns until `dispose`; others in what it returns stay. */
export function lend<T>(use: () => T): Lent<T> {
  const made: AnyTensor[] = []
  const value = scope(() => {
    const given = use()
    const own = scopes[scopes.length - 1] as Made
    visit(given, (item) => {
      if (item instanceof Tensor && item.isOf(own)) made.push(item)
    })
    for (const tensor of made) keep(tensor)
    return given
  })
  const dispose = (): void => {
    for (const tensor of made) tensor.dispose()
  }
  return { value, dispose }
}

/** Takes a tensor out of every open scope: it lives until it is disposed. For parameters and optimizer state. */
export function keep<T extends AnyTensor>(tensor: T): T {
  tensor.leave()
  tensor.watch()
  return tensor
}
