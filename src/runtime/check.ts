/** Checks that what a caller gives is of the kind that is due, where the language would say that something is undefined. */
import { ArgumentError, ShapeError } from './errors.js'
import { inWords } from './text.js'

/** What is said of an argument of another kind than is due. */
export const wrongKind = (what: string, due: string, given: unknown): ShapeError =>
  new ArgumentError(`${what} must be ${due}, given ${inWords(given)}`)

/** @throws ShapeError unless it is a finite number, not below `from` */
export function checkNumber(value: unknown, what: string, from = -Infinity): void {
  if (Number.isFinite(value) && (value as number) >= from) return
  throw wrongKind(what, `a finite number${from === 0 ? ' from 0 on' : ''}`, value)
}

/** Gives a whole number back. @throws ShapeError unless it is one, neither below `from` nor above `most` */
export function checkWhole(value: unknown, what: string, from = 1, most = Infinity): number {
  if (Number.isInteger(value) && (value as number) >= from && (value as number) <= most) return value as number
  throw wrongKind(what, `a whole number from ${from} ${most < Infinity ? `to ${most}` : 'on'}`, value)
}

/** `what` names the function and the argument, as `fit: loss`. @throws ShapeError unless it is a function */
export function checkFunction(value: unknown, what: string, due = 'a function'): void {
  if (typeof value !== 'function') throw wrongKind(what, due, value)
}

/** As `checkFunction`, of what may be left out. @throws ShapeError */
export function checkCallback(value: unknown, what: string, due?: string): void {
  if (value !== undefined && value !== null) checkFunction(value, what, due)
}

/** @throws ShapeError unless it is true or false, or is left out */
export function checkSwitch(value: unknown, what: string): void {
  if (value !== undefined && typeof value !== 'boolean') throw wrongKind(what, 'true or false', value)
}

/**
 * A controller in place of its signal would end nothing, and say nothing.
 * @throws ShapeError unless it is a signal, or is left out
 */
export function checkSignal(value: unknown, what: string): void {
  if (value === undefined || value === null) return
  if (typeof (value as { readonly aborted?: unknown }).aborted !== 'boolean')
    throw wrongKind(what, 'an AbortSignal, such as the signal of an AbortController', value)
}

/** `what` names the function and the argument. @throws ShapeError unless it is the path of a file or a folder */
export function checkPath(value: unknown, what: string): void {
  if (typeof value !== 'string') throw wrongKind(what, 'a path', value)
}

/** @throws ShapeError unless it is a list */
export function checkList(value: unknown, what: string, due = 'a list'): void {
  if (!Array.isArray(value)) throw wrongKind(what, due, value)
}

/** @throws ShapeError unless it is a model of this library: one that has nodes and weights */
export function checkModel(value: unknown, what: string): void {
  checkObject(value, what, 'a Sequential or a Graph', ['nodes', 'namedState'])
}

/** @throws ShapeError unless it is an object, no list, with all of the members that are named */
export function checkObject(value: unknown, what: string, due = 'an object', members: readonly string[] = []): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise)
  if (!isObject) throw wrongKind(what, due, value)
  const missing = members.find((member) => ((value as Record<string, unknown>)[member] ?? undefined) === undefined)
  if (missing !== undefined) throw new ArgumentError(`${what} must be ${due}; it has no ${missing}`)
}
