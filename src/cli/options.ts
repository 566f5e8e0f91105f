/**
 * Parsers for the values of command-line options. Each takes the text that was typed and returns a value, or throws
 * commander's InvalidArgumentError saying what would be right; commander puts the name of the option before it.
 */

import { InvalidArgumentError } from 'commander'

/** Sizes travel to the core as 32-bit signed integers. */
const largestInteger = 2 ** 31 - 1
const largestSeed = 2 ** 32 - 1

/** Decimal notation only: `Number` alone would also take '', ' 1', '0x10' and 'Infinity'. */
const decimalPattern = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

export function parsePositiveInteger(text: string): number {
  return parseInteger(text, 1, largestInteger)
}

export function parseSeed(text: string): number {
  return parseInteger(text, 0, largestSeed)
}

export function parsePositiveNumber(text: string): number {
  const value = parseFloat32(text)
  if (!(Math.fround(value) > 0)) throw new InvalidArgumentError('It must be a number above 0, such as 0.01.')
  return value
}

export function parseNonNegativeNumber(text: string): number {
  const value = parseFloat32(text)
  if (!(value >= 0)) throw new InvalidArgumentError('It must be 0 or a number above it, such as 0.0005.')
  return value
}

/** A number in [0, 1). */
export function parseFraction(text: string): number {
  const value = parseFloat32(text)
  if (!(value >= 0 && Math.fround(value) < 1)) {
    throw new InvalidArgumentError('It must be a number from 0 up to, but not including, 1, such as 0.9.')
  }
  return value
}

export function parsePath(text: string): string {
  if (text.trim() === '' || text.includes('\0')) throw new InvalidArgumentError('It must be the path of a folder.')
  return text
}

/** A parser that takes one of the names. */
export function choiceOf(names: readonly string[]): (text: string) => string {
  return (text) => {
    if (!names.includes(text)) {
      const allowed = names.length === 1 ? names.join('') : `one of ${names.join(', ')}`
      throw new InvalidArgumentError(`It must be ${allowed}.`)
    }
    return text
  }
}

function parseInteger(text: string, smallest: number, largest: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= smallest && value <= largest)) {
    throw new InvalidArgumentError(`It must be a whole number from ${smallest} to ${largest}.`)
  }
  return value
}

/** NaN for text that is no number, or one that a 32-bit float cannot hold. */
function parseFloat32(text: string): number {
  const value = decimalPattern.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(Math.fround(value)) ? value : Number.NaN
}
