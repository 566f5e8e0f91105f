/** The configuration of a layer as the rows read it: every entry that it has must be read by one, so that none is passed over. */
import { FormatError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import { flagOf, isMembers, listOf, member, numberOf, textOf, wholeOf, type Members } from '../json.js'

/** Entries that change nothing here: how weights begin and what training adds to the loss, and what Keras notes about a layer. */
const ignored = new Set(
  (
    'name trainable dtype batch_input_shape batch_shape input_shape batch_size input_dtype input_dim input_length ragged sparse optional ' +
    'autocast quantization_config activity_regularizer kernel_initializer bias_initializer kernel_regularizer bias_regularizer ' +
    'kernel_constraint bias_constraint depthwise_initializer depthwise_regularizer depthwise_constraint pointwise_initializer ' +
    'pointwise_regularizer pointwise_constraint beta_initializer beta_regularizer beta_constraint gamma_initializer gamma_regularizer ' +
    'gamma_constraint moving_mean_initializer moving_variance_initializer alpha_initializer alpha_regularizer alpha_constraint seed ' +
    'synchronized fused lora_rank lora_alpha shared_object_id units filters'
  ).split(' '),
)

/** Reads the entries of a configuration by their names. */
export class Config {
  readonly members: Members
  /** Whether the model is one of Keras 3. */
  readonly isKeras3: boolean
  readonly #known = new Set<string>()

  constructor(members: Members, isKeras3: boolean) {
    this.members = members
    this.isKeras3 = isKeras3
  }

  /** The entry; undefined where there is none, or null. */
  #entry(name: string): unknown {
    this.#known.add(name)
    return member(this.members, name) ?? undefined
  }

  /** Whether there is an entry other than null. */
  has(name: string): boolean {
    return this.#entry(name) !== undefined
  }

  number(name: string, otherwise: number): number {
    const value = this.#entry(name)
    // Keras 3 writes what it takes for tensors as objects with their value.
    const own = isMembers(value) ? member(value, 'value') : value
    return own === undefined ? otherwise : numberOf(own, inWords(name))
  }

  whole(name: string, otherwise: number, least = -Infinity): number {
    const value = this.#entry(name)
    return value === undefined ? otherwise : wholeOf(value, inWords(name), least)
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.#entry(name)
    return value === undefined ? otherwise : flagOf(value, inWords(name))
  }

  /** One of some texts. */
  text<T extends string>(name: string, otherwise: T, allowed: readonly T[]): T {
    const value = this.#entry(name)
    const text = value === undefined ? otherwise : textOf(value, inWords(name))
    if (allowed.includes(text as T)) return text as T
    throw new UnsupportedError(`${name} ${inWords(text)} is not supported; supported are ${allowed.join(', ')}`)
  }

  /** A number for each direction, from one or a list. */
  perDirection(name: string, directions: number, otherwise: number, least = 1): number[] {
    const value = this.#entry(name) ?? otherwise
    const all = Array.isArray(value) ? value : new Array<unknown>(directions).fill(value)
    if (all.length !== directions)
      throw new FormatError(`${name} must have ${directions} numbers, one for each direction, and has ${all.length}`)
    return all.map((each) => wholeOf(each, inWords(name), least))
  }

  /** A list of whole numbers, or one. */
  wholes(name: string, otherwise: readonly number[]): number[] {
    const value = this.#entry(name)
    if (value === undefined) return [...otherwise]
    return (Array.isArray(value) ? value : [value]).map((each) => wholeOf(each, inWords(name)))
  }

  /** Extents of which one may be open, which is −1; TensorFlow.js writes null there. */
  extents(name: string): number[] {
    const value = this.#entry(name)
    return listOf(value, inWords(name)).map((extent) => (extent === null ? -1 : wholeOf(extent, inWords(name), -1)))
  }

  /** Pairs before and behind in each direction: one number, one for each direction, or pairs. */
  pairs(name: string, directions: number): [number, number][] {
    const value = this.#entry(name) ?? 1
    const all = Array.isArray(value) ? (value as unknown[]) : new Array<unknown>(directions).fill(value)
    // In one direction a list of two numbers is the pair.
    const own = directions === 1 && all.length === 2 && !Array.isArray(all[0]) ? [all] : all
    if (own.length !== directions)
      throw new FormatError(`${name} must have ${directions} entries, one for each direction, and has ${own.length}`)
    return own.map((entry): [number, number] => {
      const pair = Array.isArray(entry) ? entry : [entry, entry]
      if (pair.length !== 2) throw new FormatError(`${name} must have pairs, and has ${inWords(entry)}`)
      return [wholeOf(pair[0], inWords(name), 0), wholeOf(pair[1], inWords(name), 0)]
    })
  }

  /** The name of a function, which Keras 3 may write as an object. */
  functionName(name: string, otherwise: string): string {
    let value = this.#entry(name)
    if (isMembers(value)) {
      const kind = member(value, 'class_name')
      const config = member(value, 'config')
      value = kind === 'function' ? config : kind
      if (kind !== 'function' && isMembers(config) && Object.keys(config).some((key) => !ignored.has(key)))
        throw new UnsupportedError(`${name} ${inWords(kind)} with options is not supported; make it a layer`)
    }
    return value === undefined ? otherwise : textOf(value, inWords(name))
  }

  /** Entries that change nothing here. */
  ignore(...names: string[]): void {
    for (const name of names) this.#known.add(name)
  }

  /** Refuses an entry that is set. */
  refuse(name: string): void {
    const value = this.#entry(name)
    const isUnset = value === undefined || value === false || value === 0
    if (!isUnset && !(Array.isArray(value) && listOf(value, name).length === 0))
      throw new UnsupportedError(`${name} ${inWords(value)} is not supported`)
  }

  /** @throws UnsupportedError where an entry was not read */
  end(): void {
    const left = Object.keys(this.members).filter((name) => !this.#known.has(name) && !ignored.has(name))
    const set = left.filter((name) => (member(this.members, name) ?? undefined) !== undefined)
    if (set.length > 0) throw new UnsupportedError(`the option ${set.map(inWords).join(', ')} is not known`)
  }
}
