/** What PyTorch says of the zoo's networks with torchvision's names, and the weights and images that it said it of. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeSafetensors, type SafetensorsInput } from '../../src/formats/safetensors.js'
import { sizeOf, type Shape } from '../../src/tensor/shape.js'

/** One network of test/fixtures/torchvision.json. */
export interface TorchvisionNetwork {
  /** Shapes of the state dict by name; a number stands for a batch normalization of so many maps. */
  readonly shapes: Readonly<Record<string, number | readonly number[]>>
  /** The factor on its maps for which PyTorch computed the logits. */
  readonly width: number
  /** Rows and columns of the two images. */
  readonly size: readonly [H: number, W: number]
  /** Ten for each image. */
  readonly logits: readonly number[]
}

const path = join(import.meta.dirname, '../fixtures/torchvision.json')
const { about, ...networks } = JSON.parse(readFileSync(path, 'utf8')) as {
  readonly about: { readonly weightSeed: number; readonly imageSeed: number }
} & Readonly<Record<string, TorchvisionNetwork>>

export const torchvision: Readonly<Record<string, TorchvisionNetwork>> = networks

const parts = ['weight', 'bias', 'running_mean', 'running_var']

/** Names and shapes as PyTorch lists them, without the counts of batches. */
export function stateShapes({ shapes }: TorchvisionNetwork): [name: string, shape: Shape][] {
  return Object.entries(shapes).flatMap(([name, shape]): [string, Shape][] =>
    typeof shape === 'number' ? parts.map((part) => [`${name}.${part}`, [shape]]) : [[name, shape]],
  )
}

/** Numbers from `low` to `low + range`, as `uniform` of test/torchvision/networks.py makes them. */
function uniform(count: number, seed: number, low: number, range: number, factor = 1): Float32Array {
  const numbers = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    let h = (seed + i) >>> 0
    h ^= h >>> 16
    h = Math.imul(h, 0x7feb352d)
    h ^= h >>> 15
    h = Math.imul(h, 0x846ca68b)
    h ^= h >>> 16
    numbers[i] = (low + range * ((h >>> 8) / 2 ** 24)) * factor
  }
  return numbers
}

/** The tensor of a name, as `number` of test/torchvision/networks.py makes it. */
function numbered(name: string, shape: Shape, seed: number): SafetensorsInput {
  const count = sizeOf(shape)
  const from = (low: number, range: number, factor?: number): SafetensorsInput => ({
    shape: [...shape],
    data: uniform(count, seed, low, range, factor),
  })
  if (name.endsWith('running_var')) return from(0.5, 1)
  if (shape.length > 1) return from(-1, 2, Math.sqrt(6 / (count / shape[0]!)))
  return name.endsWith('weight') ? from(0.5, 1) : from(-0.1, 0.2)
}

/** A state dict of the names and shapes given, in PyTorch's order. */
export function stateDict(shapes: readonly (readonly [name: string, shape: Shape])[]): Uint8Array {
  let seed = about.weightSeed
  const tensors: Record<string, SafetensorsInput> = {}
  for (const [name, shape] of shapes) {
    tensors[name] = numbered(name, shape, seed)
    seed += sizeOf(shape)
  }
  return encodeSafetensors(tensors)
}

/** Two images, from −1 to 1. */
export const images = (size: readonly [H: number, W: number]): Float32Array =>
  uniform(6 * size[0] * size[1], about.imageSeed, -1, 2)
