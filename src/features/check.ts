/** Checks that the functions of toeplitz/features share. */
import { wrongKind } from '../runtime/check.js'

/** The most rounds, epochs and steps that are taken: what is beyond was not meant. */
export const MOST_ROUNDS = 10_000

/** @throws ArgumentError unless the value is a finite number above 0. */
export function checkPositive(value: unknown, what: string): number {
  if (Number.isFinite(value) && (value as number) > 0) return value as number
  throw wrongKind(what, 'a finite number above 0', value)
}

/** @throws ArgumentError unless the value is a number above 0 and below 1. */
export function checkShare(value: unknown, what: string): number {
  if (typeof value === 'number' && value > 0 && value < 1) return value
  throw wrongKind(what, 'a number above 0 and below 1', value)
}

/** @throws ArgumentError unless the value is a list of at least one finite number, each above 0 where `positive` says so. */
export function checkNumbers(value: unknown, what: string, positive: boolean): readonly number[] {
  const isRight = (item: unknown): boolean => Number.isFinite(item) && (!positive || (item as number) > 0)
  if (Array.isArray(value) && value.length > 0 && value.every(isRight)) return value as readonly number[]
  throw wrongKind(what, `a list of finite numbers${positive ? ' above 0' : ''}, at least one`, value)
}
