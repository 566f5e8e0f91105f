/** What the options of layers must be: they come from programs, and from strangers' files. */
import { perDirection, type PerDirection } from '../plan/window.js'
import { wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { checkInitializer, type Initializer } from './initialize.js'

/** What an option may be that is a number: how it is said, and whether it is so. */
const numberRules = {
  positive: ['a finite number above 0', (value: number) => value > 0 && value < Infinity],
  'from 0': ['a finite number from 0 on', (value: number) => value >= 0 && value < Infinity],
  share: ['a number from 0 to 1', (value: number) => value >= 0 && value <= 1],
} as const

/**
 * What an option of a layer must be: a number of some kind, true or false, an initializer, or one of some names. 0: whatever
 * the layer makes of it, as with shapes and lists, which are checked where they are used with an input.
 */
export type OptionRule = 0 | 'count' | 'positive' | 'from 0' | 'share' | 'flag' | 'initializer' | readonly string[]

/** What options must be, by name. */
export type OptionRules = Readonly<Record<string, OptionRule>>

/** The rules of every option of a type. */
export type RulesOf<Options> = Readonly<Record<keyof Options, OptionRule>>

/** The rules of layers that have no options. */
export const noRules: OptionRules = {}

/** Checks the options of a layer; undefined rules allow every name. @throws ShapeError that names the option. */
export function checkOptions(type: string, options: unknown, rules: OptionRules | undefined): void {
  checkKeys(type, options, rules ?? (options as object))
  if (options === undefined || !rules) return
  for (const [option, rule] of Object.entries(rules)) {
    const value = (options as Record<string, unknown>)[option]
    if (value === undefined || rule === 0) continue
    const wrong = (must: string): ShapeError => wrongKind(`${type}: ${option}`, must, value)
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

/** Options of layers with a kernel. */
export interface KernelOptions {
  /** Number of feature maps. */
  readonly outChannels: number
  /** Extents of the kernel: one number, or one for each direction. */
  readonly kernel: PerDirection
  /** Inferred from the input when left out. */
  readonly inChannels?: number
  /** Default true: one bias for each feature map. */
  readonly bias?: boolean
  /** Default 'he'. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/** Rules of the options that every layer with a kernel has but for its number of maps, and with that number. */
export const mapRules = {
  kernel: 0,
  inChannels: 'count',
  bias: 'flag',
  weightInit: 'initializer',
  biasInit: 'initializer',
} as const satisfies RulesOf<Omit<KernelOptions, 'outChannels'>>
/** The rules of the options that every layer with a kernel has. */
export const kernelRules: OptionRules = Object.assign({ outChannels: 'count' as const }, mapRules)

/** Options of every model. */
export interface ModelOptions {
  /** Seed of the initial weights and of dropout. Default 0. */
  readonly seed?: number
  /**
   * Whether repeated forward passes keep weights packed for the fast algorithms: faster, and as much memory as
   * `summary().total.memory.packed` says. Small models, of at most 1 MiB of values and workspace, keep these too, and repeat
   * the kernel calls of an earlier pass. Default true.
   */
  readonly keepPacked?: boolean
}

/** Names of the options of every model. */
export const modelNames = { seed: 0, keepPacked: 0 } satisfies Names<ModelOptions>
