/** Descriptions derived once: a model asks for the same few again and again. */
import type { Shape } from '../tensor/shape.js'

/** How many of a kind are remembered. */
const MEMORY = 1024

/** Depth of lists in options: a list of pairs. Deeper ones, and lists that hold themselves, are not valid. */
const DEPTH = 2

/** An option in words that no other value has, or undefined where it is nothing that could be valid. */
function spell(value: unknown, depth = DEPTH): string | undefined {
  if (Array.isArray(value)) {
    const parts = depth > 0 ? value.map((part) => spell(part, depth - 1)) : [undefined]
    return parts.includes(undefined) ? undefined : `[${parts.join()}]`
  }
  if (typeof value === 'string') return `'${value}'`
  return typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null
    ? `${value}`
    : undefined
}

/** Gives what `derive` gave for the same shapes and options, as long as it is remembered: all that decides it. */
export type Remember<T> = (shapes: readonly Shape[], options: readonly unknown[], derive: () => T) => T

export function remembering<T>(): Remember<T> {
  const known = new Map<string, T>()
  // Weights and the results of remembered operations keep their shapes: the last call with one is found by comparing.
  const recent = new WeakMap<Shape, Recent<T>>()
  return (shapes, options, derive) => {
    const owner = shapes.at(-1) as Shape
    const last = recent.get(owner)
    if (last && same(last.shapes, shapes) && same(last.options, options)) return last.description
    const key = spellAll(shapes, options)
    if (key === undefined) return derive()
    let description = known.get(key)
    if (description === undefined) {
      description = derive()
      if (known.size >= MEMORY) known.clear()
      known.set(key, description)
    }
    if (![...shapes, ...options].some(changeable)) recent.set(owner, { shapes, options, description })
    return description
  }
}

interface Recent<T> {
  readonly shapes: readonly Shape[]
  readonly options: readonly unknown[]
  readonly description: T
}

/** Whether it is an array that its owner could change. */
const changeable = (value: unknown): boolean => Array.isArray(value) && !Object.isFrozen(value)

const same = (a: readonly unknown[], b: readonly unknown[]): boolean => {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false
  return a.length === b.length
}

function spellAll(shapes: readonly Shape[], options: readonly unknown[]): string | undefined {
  let key = ''
  for (const shape of shapes) key += `${shape.join()};`
  for (const option of options) {
    const word = spell(option)
    if (word === undefined) return undefined
    key += `${word};`
  }
  return key
}
