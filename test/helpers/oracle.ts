/**
 * Recorded results of PyTorch (float64, stored as float32) in test/fixtures/<name>.safetensors. The metadata entry
 * `cases` lists them as JSON; the tensors of case 007 are called `007.x`, `007.y`, `007.dy`, `007.dx`, …
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { decodeSafetensors } from '../../src/formats/safetensors.js'
import { difference } from './reference.js'

export interface OracleTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array | Int32Array
}

export type OracleTensors = ReadonlyMap<string, OracleTensor>

export interface OracleCase {
  readonly id: string
  readonly op: string
  readonly options: Readonly<Record<string, unknown>>
  /** By argument: `x`, `w`, `bias`. */
  readonly inputs: OracleTensors
  /** By name: `y`. */
  readonly outputs: OracleTensors
  /** What the pullback was given; undefined where nothing was differentiated or y is a scalar. */
  readonly dy: OracleTensor | undefined
  /** By the input's name: `x` holds the file's `dx`. */
  readonly gradients: OracleTensors
}

interface Listed {
  readonly id: string
  readonly op: string
  readonly options: Record<string, unknown>
  readonly inputs: string[]
  readonly outputs: string[]
  readonly grads?: string[]
}

const pathOf = (name: string): string => join(import.meta.dirname, '..', 'fixtures', `${name}.safetensors`)

/** Whether PyTorch's results of a name are recorded. */
export const isRecorded = (name: string): boolean => existsSync(pathOf(name))

/** The cases of test/fixtures/<name>.safetensors, in order. */
export function oracleCases(name: string): OracleCase[] {
  const path = pathOf(name)
  const { tensors, metadata } = decodeSafetensors(readFileSync(path), path)
  const find = (key: string): OracleTensor | undefined => {
    const found = tensors.get(key)
    if (!found) return undefined
    const { shape, data } = found
    if (data instanceof Float32Array || data instanceof Int32Array) return { shape, data }
    throw new Error(`${path}: ${key} is neither F32 nor I32`)
  }
  const listed = JSON.parse(metadata['cases'] ?? '[]') as Listed[]
  return listed.map(({ id, op, options, inputs, outputs, grads = [] }) => {
    const pick = (names: readonly string[], prefix = ''): OracleTensors =>
      new Map(
        names.map((key) => {
          const found = find(`${id}.${prefix}${key}`)
          if (!found) throw new Error(`${path}: ${id}.${prefix}${key} is missing`)
          return [key, found]
        }),
      )
    return {
      id,
      op,
      options,
      inputs: pick(inputs),
      outputs: pick(outputs),
      dy: find(`${id}.dy`),
      gradients: pick(
        grads.map((key) => key.slice(1)),
        'd',
      ),
    }
  })
}

/** Expects |error| ≤ 1e-4 · max |reference| + 1e-6. */
export function expectClose(actual: ArrayLike<number>, reference: ArrayLike<number>): void {
  const { error, scale } = difference(actual, reference)
  expect(error).toBeLessThanOrEqual(1e-4 * scale + 1e-6)
}
