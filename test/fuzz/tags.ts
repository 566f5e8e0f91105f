/** What stands for values in arguments that are written down as JSON; `values.ts` makes the values. */
import type { Json } from './mutate.js'

/** A tensor of small random numbers, or of whole ones. */
export const t = (...shape: number[]): Json => ({ $: 'tensor', shape })
/** A list of bytes, or of numbers. */
export const bytes = (count: number, value = 7): Json => ({
  $: 'Uint8Array',
  values: new Array<number>(count).fill(value),
})
export const tag = ($: string, rest: { [key: string]: Json } = {}): Json => ({ $, ...rest })
