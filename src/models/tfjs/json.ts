/** Values of a model.json: each is checked where it is read, because a file may hold anything. */
import { FormatError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'

/** An object of a file. */
export type Members = Readonly<Record<string, unknown>>

const wrong = (what: string, due: string, value: unknown): FormatError =>
  new FormatError(`${what} must be ${due}, ${value === undefined ? 'and is missing' : `and is ${inWords(value)}`}`)

/** Whether a value is an object and no list. */
export const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A member of its own, which no prototype gives. */
export const member = (object: Members, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined

/** @throws FormatError unless the value is an object */
export function objectOf(value: unknown, what: string): Members {
  if (!isMembers(value)) throw wrong(what, 'an object', value)
  return value
}

/** @throws FormatError unless the value is a list */
export function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(what, 'a list', value)
  return value
}

/** @throws FormatError unless the value is a text */
export function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw wrong(what, 'a text', value)
  return value
}

/** @throws FormatError unless the value is a finite number */
export function numberOf(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(what, 'a finite number', value)
  return value
}

/** @throws FormatError unless the value is a whole number from `least` on */
export function wholeOf(value: unknown, what: string, least = -Infinity): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least)
    throw wrong(what, least === -Infinity ? 'a whole number' : `a whole number from ${least} on`, value)
  return value
}

/** Extents from 0 on. */
export const extentsOf = (value: unknown, what: string): number[] =>
  listOf(value, what).map((extent, axis) => wholeOf(extent, `${what}[${axis}]`, 0))

/** @throws FormatError unless the value is true or false */
export function flagOf(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw wrong(what, 'true or false', value)
  return value
}
