/**
 * Parsers for the values of command-line options. Each takes the text that was typed and returns a value, or throws
 * commander's InvalidArgumentError saying what would be right; commander puts the name of the option before it.
 */

import { statSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'
import type { Augmentation } from '../data/augment.js'
import type { Initializer } from '../nn/initialize.js'
import { fits } from '../io/planar.js'
import { largestInput } from '../io/preprocessing.js'
import type { SearchRange } from '../train/trials.js'
import { codeOf, readingProblem } from '../node/reading.js'
import { architectures, nearestNames } from '../zoo/registry.js'
import { dataNames } from './data.js'
import { isModelFile, optimizerNames, scheduleNames, storedTypes, type RunSettings } from './settings.js'

/** Sizes travel to the core as 32-bit signed integers. */
const largestInteger = 2 ** 31 - 1
const largestSeed = 2 ** 32 - 1
/** As many as the core takes. */
const mostThreads = 64

/** Decimal notation only: `Number` alone would also take '', ' 1', '0x10' and 'Infinity'. */
const decimalPattern = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** A parser that takes the whole numbers of a range. */
const integers =
  (smallest: number, largest: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= smallest && value <= largest) return value
    throw new InvalidArgumentError(`It must be a whole number from ${smallest} to ${largest}.`)
  }

export const parsePositiveInteger = integers(1, largestInteger)
export const parseNonNegativeInteger = integers(0, largestInteger)
/** A count that does not travel to the core. */
export const parseCount = integers(1, Number.MAX_SAFE_INTEGER)
export const parseThreads = integers(1, mostThreads)
export const parseSeed = integers(0, largestSeed)

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

/** A parser that takes the numbers from 0 to `most`. */
const numbersTo =
  (most: number) =>
  (text: string): number => {
    const value = parseFloat32(text)
    if (value >= 0 && value <= most) return value
    throw new InvalidArgumentError(`It must be a number from 0 to ${most}.`)
  }

/** Adds to a list what an option is given each time that it is typed. */
export const collect = (text: string, before: readonly string[]): string[] => {
  if (text === '') throw new InvalidArgumentError('It must not be empty.')
  return [...before, text]
}

/** Numbers between commas, such as 0.485,0.456,0.406. */
export function parseNumbers(text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (numbers.every(Number.isFinite)) return numbers
  throw new InvalidArgumentError(`It must be a number, or one for each channel between commas, such as 0.5,0.5,0.5.`)
}

/** Names of inputs and their extents. */
export type NamedShapes = Readonly<Record<string, readonly number[]>>

/** Extents, as in 1,3,224,224, or with the name of an input before them, as in image=1,3,224,224; '' stands for the only one. */
export function collectShapes(text: string, before: NamedShapes = {}): NamedShapes {
  const [, name = '', extents = ''] = /^(?:(.*)=)?([\d,]+)$/.exec(text) ?? []
  const shape = extents.split(',').map((part) => (part === '' ? Number.NaN : Number(part)))
  if (extents === '' || !shape.every((extent) => Number.isSafeInteger(extent)))
    throw new InvalidArgumentError('It must be extents between commas, such as 1,3,224,224 or image=1,3,224,224.')
  return { ...before, [name]: shape }
}

export function parsePath(text: string): string {
  if (text.trim() === '' || text.includes('\0')) throw new InvalidArgumentError('It must be the path of a folder.')
  return text
}

/** A parser that takes one of the names, or the path of a folder. */
export function choiceOrFolder(names: readonly string[]): (text: string) => string {
  return (text) => {
    if (names.includes(text)) return text
    let problem = ''
    try {
      if (statSync(text, { throwIfNoEntry: false })?.isDirectory() === true) return text
    } catch (error) {
      problem = ` The folder cannot be looked at: ${readingProblem(codeOf(error), text)}.`
    }
    throw new InvalidArgumentError(`It must be one of ${names.join(', ')}, or a folder of pictures.${problem}`)
  }
}

/** The architectures that have one label for a picture, as the data sets have that the commands know. */
export const modelNames: readonly string[] = Object.entries(architectures)
  .filter(([, { labels }]) => labels !== 'pixels')
  .map(([name]) => name)

/** The name of an architecture of the zoo, or a file with one. */
export function parseModel(text: string): string {
  if (isModelFile(text)) return text
  if (!modelNames.includes(text)) {
    if (Object.hasOwn(architectures, text))
      throw new InvalidArgumentError('It labels every pixel, and the data have a label for each picture.')
    const near = nearestNames(text).filter((name) => modelNames.includes(name))
    throw new InvalidArgumentError(
      near.length > 0
        ? `Did you mean ${near.join(' or ')}?`
        : `It must be one of ${modelNames.join(', ')}, or a .json file with one.`,
    )
  }
  return text
}

/** A parser that takes one of the names. */
export function choiceOf<Name extends string>(names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const name = names.find((known) => known === text)
    if (name === undefined) {
      const allowed = names.length === 1 ? names.join('') : `one of ${names.join(', ')}`
      throw new InvalidArgumentError(`It must be ${allowed}.`)
    }
    return name
  }
}

/** What a search tries: a range in log space, or a list. */
export type Values = SearchRange | readonly number[]

/** A range such as 1e-4..1e-1, or a list such as 0.01,0.03. */
export function parseValues(text: string): Values {
  const [low, high, ...rest] = text.split('..')
  try {
    if (high === undefined) return text.split(',').map(parseNonNegativeNumber)
    const range = { low: parsePositiveNumber(low ?? ''), high: parsePositiveNumber(high) }
    if (rest.length === 0 && range.low < range.high) return range
  } catch {
    // Explained below.
  }
  throw new InvalidArgumentError('It must be a range, such as 1e-4..1e-1, or a list, such as 0.01,0.03.')
}

/** Augmentations that are numbers: what they must be, and how they are typed. */
const augmentations = {
  crop: { parse: parsePositiveInteger, example: 'crop=24' },
  shift: { parse: parsePositiveInteger, example: 'shift=4' },
  brightness: { parse: parseFraction, example: 'brightness=0.2' },
  contrast: { parse: parseFraction, example: 'contrast=0.2' },
  saturation: { parse: parseFraction, example: 'saturation=0.2' },
  hue: { parse: numbersTo(0.5), example: 'hue=0.05' },
  grey: { parse: numbersTo(1), example: 'grey=0.1' },
  rotate: { parse: numbersTo(180), example: 'rotate=15' },
  zoom: { parse: parseFraction, example: 'zoom=0.1' },
  shear: { parse: numbersTo(60), example: 'shear=10' },
  blur: { parse: numbersTo(16), example: 'blur=1' },
  cutout: { parse: parsePositiveInteger, example: 'cutout=8' },
} as const

/** The augmentation that a text such as `flip,shift=4` stands for; undefined for `none`. */
export function augmentationOf(text: string): Augmentation | undefined {
  if (text === 'none') return undefined
  const values = Object.fromEntries(
    text.split(',').map((part): [string, boolean | number] => {
      const [name = '', value] = part.split('=', 2)
      if (name === 'flip' && value === undefined) return [name, true]
      if (value === undefined || !Object.hasOwn(augmentations, name)) {
        const known = ['flip', ...Object.values(augmentations).map(({ example }) => example)].join(', ')
        throw new InvalidArgumentError(`It must be none, or a list of ${known}, joined by commas.`)
      }
      try {
        return [name, augmentations[name as keyof typeof augmentations].parse(value)]
      } catch (error) {
        throw new InvalidArgumentError(`${name}: ${(error as Error).message}`)
      }
    }),
  ) as { crop?: number } & Omit<Augmentation, 'crop'>
  const { crop, ...rest } = values
  return crop === undefined ? rest : { ...rest, crop: [crop, crop] }
}

/** The initializer that a text such as `he` or `gaussian=0.01` stands for; undefined for `default`. */
export function initializerOf(text: string): Initializer | undefined {
  if (text === 'default') return undefined
  if (text === 'he' || text === 'glorot' || text === 'lecun') return text
  const sigma = Number(/^gaussian=(.+)$/.exec(text)?.[1] ?? Number.NaN)
  if (sigma > 0 && Number.isFinite(sigma)) return { name: 'normal', std: sigma }
  throw new InvalidArgumentError('It must be default, he, glorot, lecun, or gaussian=<sigma>, such as gaussian=0.01.')
}

/** A parser that checks a text, and gives it back. */
const checked =
  (read: (text: string) => unknown) =>
  (text: string): string => {
    read(text)
    return text
  }

/** @throws InvalidArgumentError when a text is no pattern */
function checkPattern(text: string): void {
  try {
    new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError(
      `It must be a pattern of names of layers, such as '^conv' (${(error as Error).message}).`,
    )
  }
  if (text === '') throw new InvalidArgumentError('It must be a pattern of names of layers, such as "^conv".')
}

/** A switch, as a checkpoint says it. */
function parseSwitch(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError('It must be true or false.')
}

export const parsePattern = checked(checkPattern)
export const parseAugmentation = checked(augmentationOf)
export const parseInitializer = checked(initializerOf)

/** What each setting of a run may be: from its text on the command line, or as a checkpoint says it. */
export const settingParsers: { readonly [Name in keyof RunSettings]: (text: string) => RunSettings[Name] } = {
  model: parseModel,
  data: choiceOrFolder(dataNames),
  from: parsePath,
  freeze: parsePattern,
  headOnly: parseSwitch,
  unfreeze: parseSwitch,
  lrHead: parseNonNegativeNumber,
  imageSize: integers(0, Math.sqrt(largestInput)),
  fit: choiceOf(fits),
  maxPixels: parseCount,
  maxBytes: parseCount,
  epochs: parsePositiveInteger,
  batchSize: parsePositiveInteger,
  optimizer: choiceOf(optimizerNames),
  lr: parsePositiveNumber,
  schedule: choiceOf(scheduleNames),
  momentum: parseFraction,
  weightDecay: parseNonNegativeNumber,
  init: parseInitializer,
  augment: parseAugmentation,
  permutePixels: (text) => (text === 'none' ? text : String(parseSeed(text))),
  clipNorm: parseNonNegativeNumber,
  accumulate: parsePositiveInteger,
  parts: parsePositiveInteger,
  earlyStopping: parseNonNegativeInteger,
  seed: parseSeed,
  dtype: choiceOf(storedTypes),
}

/** NaN for text that is no number, or one that a 32-bit float cannot hold. */
function parseFloat32(text: string): number {
  const value = decimalPattern.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(Math.fround(value)) ? value : Number.NaN
}
