/** What the options of layers must be: they come from programs, and from strangers' files. */
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkInitializer } from './initialize.js'

/** What an option may be that is a number: how it is said, and whether it is so. */
const numberRules = {
  positive: ['a finite number above 0', (value: number) => value > 0 && value < Infinity],
  'from 0': ['a finite number from 0 on', (value: number) => value >= 0 && value < Infinity],
  share: ['a number from 0 to 1', (value: number) => value >= 0 && value <= 1],
} as const

/**
 * What an option of a layer must be: a number of some kind, true or false, an initializer, or one of some names. Options that
 * are shapes or lists are checked where they are used with an input.
 */
export type OptionRule = 'count' | 'positive' | 'from 0' | 'share' | 'flag' | 'initializer' | readonly string[]

/** What some options must be, by name. */
export type OptionRules = Readonly<Record<string, OptionRule>>

/** Checks the options of a layer. @throws ShapeError that names the option. */
export function checkOptions(type: string, options: unknown, rules: OptionRules): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ShapeError(`${type}: the options must be an object, given ${inWords(options)}`)
  }
  for (const [option, rule] of Object.entries(rules)) {
    const value = (options as Record<string, unknown>)[option]
    if (value === undefined) continue
    const wrong = (must: string): ShapeError =>
      new ShapeError(`${type}: ${option} must be ${must}, given ${inWords(value)}`)
    if (rule === 'initializer') checkInitializer(value, `${type}: ${option}`)
    else if (rule === 'flag') {
      if (typeof value !== 'boolean') throw wrong('true or false')
    } else if (rule === 'count') {
      if (typeof value !== 'number') throw wrong('a whole number from 1 on')
      perDirection(value, 1, 1, `${type}: ${option}`)
    } else if (typeof rule === 'string') {
      const [said, holds] = numberRules[rule]
      if (typeof value !== 'number' || !holds(value)) throw wrong(said)
    } else if (!rule.includes(value as string)) throw wrong(`'${rule.join("' or '")}'`)
  }
}

/** What options of layers with a kernel must be. */
export const kernelRules: OptionRules = {
  outChannels: 'count',
  inChannels: 'count',
  groups: 'count',
  bias: 'flag',
  flip: 'flag',
  weightInit: 'initializer',
  biasInit: 'initializer',
  paddingMode: ['zeros', 'reflect', 'replicate', 'circular'],
}
