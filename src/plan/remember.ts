/** Descriptions derived once: a model asks for the same few again and again. */
import type { Shape } from '../tensor/shape.js'

/** How many of a kind are remembered. */
const MEMORY = 1024

/** An option in words that no other value has, or undefined where it is nothing that could be valid. */
function spell(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    const parts = value.map(spell)
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
  return (shapes, options, derive) => {
    let key = ''
    for (const shape of shapes) key += `${shape.join()};`
    for (const option of options) {
      const word = spell(option)
      if (word === undefined) return derive()
      key += `${word};`
    }
    let description = known.get(key)
    if (description === undefined) {
      description = derive()
      if (known.size >= MEMORY) known.clear()
      known.set(key, description)
    }
    return description
  }
}
