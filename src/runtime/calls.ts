/**
 * Calls of kernels as data: which kernels an operation calls, on which memory, and what it needs besides its tensors. A list
 * is made once for a problem; it is run at once where an operation is called, and its calls are made again and again by an
 * executor. What memory a pass will take is read off it.
 *
 * A call names memory by places in a table of addresses: operands, which the caller fills in, blocks of workspace, records of
 * integers, and weights packed for a kernel.
 */
import { blockOf } from './memory.js'
import {
  allFinite,
  allocate,
  callKernel,
  fillFloats,
  mark,
  placesForThreads,
  putIntegers,
  release,
  rewind,
  type AnyKernels,
  type RangeKernel,
} from './core.js'

/** Memory that calls name: an entry of the table, and bytes from its beginning. */
export interface Place {
  readonly entry: number
  readonly offset: number
}

/** A tensor, by its name in the operation; address 0 where it is left out. */
export interface Operand {
  readonly kind: 'operand'
  readonly name: string
}

/** Workspace of so many bytes, or of so many for each thread. */
export interface Block {
  readonly kind: 'block'
  readonly bytes: number
  readonly each: boolean
}

/** Integers, or the bits of floats, that kernels read. */
export interface Integers {
  readonly kind: 'integers'
  readonly values: Int32Array
}

/** What is computed from an operand alone and kept while it does not change: weights packed for a kernel. */
export interface Packed {
  readonly kind: 'packed'
  /** Name of the operand. */
  readonly from: string
  /** Says what it is: the same words, the same bytes. */
  readonly key: string
  readonly bytes: number
  /** Makes it: operands are `packed` and `w`. */
  readonly list: CallList
}

/** What an entry of the table of addresses is. */
export type Entry = Operand | Block | Integers | Packed

/** What a test may ask of the calls before it. */
export interface Look {
  /** Whether none of an operand's numbers is NaN or infinite: looked at once for each version of it. */
  isFinite(operand: string): boolean
  /** Whether none of `length` floats at a place is. */
  isFiniteAt(at: Place, length: number): boolean
}

/** A test of results: where it fails, the calls of another list are made instead of those that follow. */
export interface Test {
  holds(look: Look): boolean
  otherwise(look: Look): CallList
}

/** What is computed in JavaScript: it is given the addresses of its places, 0 for a tensor that is left out. */
export type Routine = (...addresses: number[]) => void

/** One call, or a test. */
export interface Call {
  /** The kernel; '' writes the number `values[2]` into `values[1]` floats at the first place. */
  readonly name: string
  /** What is called instead of a kernel. */
  readonly routine?: Routine
  /** Number of independent items by which the call is divided among threads; undefined where it is made once. */
  readonly items: number | undefined
  /** Time that one item takes, in ns. */
  readonly work: number
  /** For each argument its entry of the table, −1 for a number. */
  readonly entries: readonly number[]
  /** The number, or the bytes from the entry's beginning. */
  readonly values: readonly number[]
  /** For each argument the bytes of the part that each thread has of its own; 0 where threads share it. */
  readonly steps: readonly number[]
  /** Set where this is no call. */
  readonly test?: Test
}

/** Kernels that return nothing. */
type Procedure = {
  [name in keyof AnyKernels]: ReturnType<AnyKernels[name]> extends void ? name : never
}[keyof AnyKernels]
/** An argument of a call. */
type Argument = number | boolean | Place
type Arguments<T extends unknown[]> = { [i in keyof T]: Argument }
type Leading<F extends (...args: never[]) => unknown> =
  Parameters<F> extends [...infer Rest, number, number] ? Arguments<Rest> : never

/** Name of the operand that is the result. */
export const OUT = 'out'

/** The calls of one pass of one operation. */
export class CallList {
  /** What stands in the table of addresses. */
  readonly entries: Entry[] = []
  readonly calls: Call[] = []
  readonly #operands = new Map<string, Place>()
  /** Blocks that no call listed so far will read again, and the blocks in use in the present call of `within`. */
  readonly #free: Place[] = []
  #used: Place[] | undefined

  /** What the operation gives. */
  get out(): Place {
    return this.operand(OUT)
  }

  /** A tensor by its name. */
  operand(name: string): Place {
    let place = this.#operands.get(name)
    if (!place) this.#operands.set(name, (place = this.#add({ kind: 'operand', name })))
    return place
  }

  /** Workspace; 0 where it takes no bytes. */
  block(bytes: number): Place | 0 {
    return bytes > 0 ? this.#block(bytes, false) : 0
  }

  /** Workspace of which every thread has its own; 0 where it takes no bytes. */
  perThread(bytes: number): Place | 0 {
    return bytes > 0 ? this.#block(bytes, true) : 0
  }

  /** Lists calls whose workspace is free when they are done: later ones take it. */
  within(listCalls: () => void): void {
    const before = this.#used
    this.#used = []
    listCalls()
    this.#free.push(...this.#used)
    this.#used = before
  }

  #block(bytes: number, each: boolean): Place {
    const found = this.#free.findIndex(({ entry }) => {
      const block = this.entries[entry] as Block
      return block.bytes === bytes && block.each === each
    })
    const [place = this.#add({ kind: 'block', bytes, each })] = found < 0 ? [] : this.#free.splice(found, 1)
    this.#used?.push(place)
    return place
  }

  /** A record of integers: one for all that are equal. */
  integers(values: readonly number[] | Int32Array): Place {
    const entry = this.entries.findIndex(
      (known) =>
        known.kind === 'integers' &&
        known.values.length === values.length &&
        known.values.every((value, i) => value === values[i]),
    )
    if (entry >= 0) return { entry, offset: 0 }
    return this.#add({ kind: 'integers', values: values instanceof Int32Array ? values : Int32Array.from(values) })
  }

  /** Floats, as their bits. */
  floats(values: Float32Array): Place {
    return this.integers(new Int32Array(values.buffer, values.byteOffset, values.length))
  }

  /** `bytes` bytes that `fill` computes from an operand alone; `key` tells them from others of the same operand. */
  packed(from: string, key: string, bytes: number, fill: (list: CallList, packed: Place, w: Place) => void): Place {
    const list = new CallList()
    fill(list, list.operand('packed'), list.operand('w'))
    return this.#add({ kind: 'packed', from, key, bytes, list })
  }

  /** A kernel that is called over its items, 0 to `items`; `work` is the time that one takes, in ns. */
  call<Name extends RangeKernel>(name: Name, items: number, work: number, ...args: Leading<AnyKernels[Name]>): void {
    this.#call(name, items, work, args)
  }

  /** A kernel that is called once. */
  once<Name extends Procedure>(name: Name, ...args: Arguments<Parameters<AnyKernels[Name]>>): void {
    this.#call(name, undefined, 0, args)
  }

  /**
   * A function of JavaScript, given the addresses of places: for what no kernel does, on other types than float32. It must use what
   * gives the same bits in every engine, and write nothing else.
   */
  routine(routine: Routine, ...places: readonly Place[]): void {
    this.#call('', undefined, 0, places, routine)
  }

  /** `length` floats at a place become `value`. */
  fill(at: Place, length: number, value: number): void {
    this.#call('', undefined, 0, [at, length, value])
  }

  /** A look at what the calls so far gave. */
  test(test: Test): void {
    this.calls.push({ name: '', items: undefined, work: 0, entries: [], values: [], steps: [], test })
  }

  #add(entry: Entry): Place {
    this.entries.push(entry)
    return { entry: this.entries.length - 1, offset: 0 }
  }

  #call(name: string, items: number | undefined, work: number, args: readonly Argument[], routine?: Routine): void {
    const entries: number[] = []
    const values: number[] = []
    const steps: number[] = []
    for (const argument of args) {
      const isPlace = typeof argument === 'object'
      const entry = isPlace ? this.entries[argument.entry] : undefined
      entries.push(isPlace ? argument.entry : -1)
      values.push(isPlace ? argument.offset : Number(argument))
      steps.push(entry?.kind === 'block' && entry.each ? blockOf(entry.bytes) : 0)
    }
    this.calls.push({ name, items, work, entries, values, steps, ...(routine && { routine }) })
  }
}

/** The place so many bytes behind another. */
export const after = ({ entry, offset }: Place, bytes: number): Place => ({ entry, offset: offset + bytes })

/** Bytes of a block for the threads that there are. */
export const blockBytes = ({ bytes, each }: Block): number => blockOf(bytes) * (each ? placesForThreads() : 1)

/**
 * Makes the calls, up to a test that fails: gives the list that takes over then, of the same operands. `table` has the
 * addresses of operands and packed weights; those of blocks and records are put into it.
 */
export function makeCalls(
  { entries, calls }: CallList,
  table: number[],
  isFinite?: Look['isFinite'],
): CallList | undefined {
  const before = mark()
  let blocks: number[] | undefined
  try {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry
      if (entry.kind === 'integers') {
        let at = putIntegers(entry.values)
        if (at === 0) {
          ;(blocks ??= []).push((at = allocate(4 * entry.values.length, 'a record')))
          putIntegers(entry.values, at)
        }
        table[i] = at
      } else if (entry.kind === 'block') {
        const at = allocate(blockBytes(entry), 'workspace')
        ;(blocks ??= []).push(at)
        table[i] = at
      }
    }
    for (const call of calls) {
      if (!call.test) runCall(call, resolve(call, table))
      else {
        const look = lookAt(table, isFinite as Look['isFinite'])
        if (!call.test.holds(look)) return call.test.otherwise(look)
      }
    }
    return undefined
  } finally {
    if (blocks) for (const block of blocks) release(block)
    rewind(before)
  }
}

/** What a test may ask of memory whose addresses stand in a table. */
export const lookAt = (table: readonly number[], isFinite: Look['isFinite']): Look => ({
  isFinite,
  isFiniteAt: ({ entry, offset }, length) => allFinite((table[entry] as number) + offset, length),
})

/** Numbers for the arguments of a call. */
export function resolve({ entries, values, items }: Call, table: readonly number[]): number[] {
  const length = entries.length
  const resolved = new Array<number>(items === undefined ? length : length + 2)
  for (let i = 0; i < length; i++) {
    const entry = entries[i] as number
    const address = entry < 0 ? 0 : (table[entry] as number)
    // An operand that is left out has no address, wherever in it a kernel would look.
    resolved[i] = entry < 0 || address !== 0 ? address + (values[i] as number) : 0
  }
  return resolved
}

/** Makes a call with the numbers of its arguments. */
export function runCall({ name, routine, items, work, steps }: Call, values: number[]): void {
  if (routine) routine(...values)
  else if (name === '') fillFloats(values[0] as number, values[1] as number, values[2] as number)
  else callKernel(name, items, work, values, steps)
}
