/**
 * Options objects: every name in one must be one that is read. Which names there are stands beside the type of the options,
 * as an object that the compiler compares with it: `const names = { stride: 0, padding: 0 } satisfies Names<Windows>`.
 */
import { wrongKind } from './check.js'
import { ArgumentError } from './errors.js'
import { inWords } from './text.js'

/** Every name of an options type, those that may be left out included; what layers make of the values, `OptionRule` says. */
export type Names<Options> = Readonly<Record<keyof Options, unknown>>

/** The length of the longest text that is a part of both, letters left out. */
function shared(a: string, b: string): number {
  let row = new Array<number>(b.length + 1).fill(0)
  for (const letter of a) {
    const next = [0]
    for (let j = 0; j < b.length; j++) {
      next.push(letter === b[j] ? (row[j] as number) + 1 : Math.max(row[j + 1] as number, next[j] as number))
    }
    row = next
  }
  return row[b.length] as number
}

/** How alike two names are, from 0 to 1, and more where one is the other with letters left out, as lr of learningRate. */
function likeness(a: string, b: string): number {
  const common = shared(a, b)
  return common / Math.max(a.length, b.length) + (common === Math.min(a.length, b.length) ? 0.5 : 0)
}

/** The name that was meant by another; undefined where none is like it. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const alike = names.map((name) => [likeness(given.toLowerCase(), name.toLowerCase()), name] as const)
  const [best] = alike.sort(([a], [b]) => b - a)
  return best && best[0] > 0.5 ? best[1] : undefined
}

/** What to say of a name that there is none of, such as an option. */
export function unknownName(kind: string, given: string, names: readonly string[]): string {
  const meant = nearest(given, names)
  const told = meant === undefined ? '; there' : `; did you mean '${meant}'? There`
  return `there is no ${kind} ${inWords(given)}${told} ${names.length === 1 ? 'is' : 'are'} ${names.join(', ') || 'none'}`
}

/**
 * Whether an object is of a kind that has a name, such as a Tensor or a Map, whose members are none that a loop over its keys
 * meets. A module, which may hold options, has its name on its own.
 */
const isOther = (options: object): boolean =>
  Symbol.toStringTag in options && !Object.hasOwn(options, Symbol.toStringTag)

/**
 * Checks that an options object has only names that are known, each in one of the objects; undefined passes. It runs in every
 * call of an operation, in 50 ns, and goes through what is given, not through what there is.
 * @throws ShapeError that tells the nearest name.
 */
export function checkKeys(what: string, options: unknown, names: object, others?: object): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isOther(options)) {
    throw wrongKind(`${what}: the options`, 'an object', options)
  }
  for (const key in options) {
    if (Object.hasOwn(names, key) || (others && Object.hasOwn(others, key))) continue
    throw new ArgumentError(`${what}: ${unknownName('option', key, Object.keys({ ...names, ...others }))}`)
  }
}

/** As `checkKeys`, of options that cannot be left out. @throws ShapeError */
export function needKeys(what: string, options: unknown, names: object, others?: object): void {
  if (options === undefined) {
    throw new ArgumentError(
      `${what}: the options are missing; there are ${Object.keys({ ...names, ...others }).join(', ')}`,
    )
  }
  checkKeys(what, options, names, others)
}

/** The parts of an options object that are set, so that those that are undefined have their defaults. */
export function defined<T extends object>(options: T | undefined): { [key in keyof T]: Exclude<T[key], undefined> } {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as never
}

/** The options of an object that are among `names` and are set. */
export function pick<T extends object, Name extends keyof T>(
  options: T,
  names: Readonly<Record<Name, unknown>>,
): { [key in Name]: Exclude<T[key], undefined> } {
  const picked: { [key in Name]?: T[key] } = {}
  for (const name in names) if (options[name] !== undefined) picked[name] = options[name]
  return picked as never
}

/** Whether an object is made as options are, by braces. */
function isPlain(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  return prototype === null || prototype === Object.prototype
}

/** A surplus argument in words: options by their names. */
const surplusInWords = (given: unknown): string =>
  isPlain(given) ? `{ ${Object.keys(given).join(', ')} }` : inWords(given)

/**
 * `given`: the `arguments` of a function, or a list of them. Those that `list.map` gives are let through: the index and the list.
 * @throws ShapeError where there are more than `most`, which would be ignored
 */
export function checkCount(name: string, most: number, given: ArrayLike<unknown>): void {
  if (given.length <= most) return
  const all = Array.from(given)
  const [value, index, list] = all
  const surplus = all.slice(most).find((more) => more !== undefined)
  const isMapped = all.length === 3 && Array.isArray(list) && list[index as number] === value
  if (surplus === undefined || isMapped) return
  throw new ArgumentError(`${name}: there is no argument ${most + 1}, given ${surplusInWords(surplus)}`)
}

/**
 * @throws ShapeError where something stands behind the last argument of a function, which would be ignored: options, or what other
 * libraries take there, a word, true, a tensor or a function. What goes through a list, a map or a set gives other things there.
 */
function checkSurplus(name: string, arity: number, given: unknown): void {
  const isOptions = isPlain(given) || typeof given === 'string' || given === true
  if (isOptions) {
    throw new ArgumentError(`${name}: there are no options behind argument ${arity}, given ${surplusInWords(given)}`)
  }
  const isThing = typeof given === 'function' || (typeof given === 'object' && !(Symbol.iterator in (given as object)))
  if (isThing) throw new ArgumentError(`${name}: there is no argument ${arity + 1}, given ${inWords(given)}`)
}

/**
 * A function of the package that takes `arity` arguments, four at most, optional ones and options included. It refuses an object
 * of options behind the last of them, as in `relu(x, { inplace: true })`, a word, true, a tensor and a function. What else stands
 * there is ignored, as JavaScript does, so that `list.map(relu)` works, which gives the index and the list too.
 */
/* @__NO_SIDE_EFFECTS__ */
export function withArity<F extends (...given: never[]) => unknown>(name: string, arity: number, call: F): F {
  // Rest parameters would make a list in every call.
  const checked = (a: never, b: never, c: never, d: never, e: never): unknown => {
    const next = arity < 2 ? b : arity < 3 ? c : arity < 4 ? d : e
    if (next) checkSurplus(name, arity, next)
    return call(a, b, c, d)
  }
  return Object.defineProperties(checked, { name: { value: name }, length: { value: call.length } }) as unknown as F
}
