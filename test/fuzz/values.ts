/**
 * Arguments of calls as JSON: what JSON cannot say is an object with the key `$`. So a call with wrong arguments can be
 * written down, and made again from what is written.
 */
import { modelFromJSON } from '../../src/nn/registry.js'
import { Conv2d } from '../../src/nn/conv.js'
import { Linear } from '../../src/nn/linear.js'
import { SGD } from '../../src/optim/sgd.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import type { DType } from '../../src/tensor/dtype.js'
import { Tensor } from '../../src/tensor/tensor.js'
import { maxPool2dWithIndices } from '../../src/ops/pool/index.js'
import { convMatrix } from '../../src/ops/convMatrix.js'
import { oddJson, type Json } from './mutate.js'
import { tag } from './tags.js'
import type { Random } from './random.js'

type Tagged = { readonly $: string } & { readonly [key: string]: Json }

const isTagged = (value: Json): value is Tagged & { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && typeof value['$'] === 'string'

const classifier = {
  type: 'Sequential',
  input: [1, 4, 4],
  layers: [{ type: 'Conv2d', outChannels: 2, kernel: 3 }, { type: 'Flatten' }, { type: 'Linear', outFeatures: 3 }],
}

/** What an encoded value stands for. Everything that holds memory is put into `made`. */
export function decodeValue(value: Json, made: { dispose(): void }[]): unknown {
  const keep = <T extends { dispose(): void }>(item: T): T => {
    made.push(item)
    return item
  }
  if (Array.isArray(value)) return value.map((item) => decodeValue(item, made))
  if (typeof value !== 'object' || value === null) return value
  if (!isTagged(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decodeValue(item, made)]))
  }
  const numbers = Array.isArray(value['values']) ? (value['values'] as number[]) : []
  switch (value.$) {
    case 'tensor':
      return keep(normal(value['shape'] as number[], { seed: 3 }))
    case 'positive':
      return keep(uniform(value['shape'] as number[], { low: 0.1, high: 2, seed: 3 }))
    case 'typed': {
      const shape = value['shape'] as number[]
      const zerosAndOnes = Array.from({ length: shape.reduce((size, n) => size * n, 1) }, (_, i) => i % 2)
      return keep(tensor(zerosAndOnes, shape, { dtype: value['dtype'] as DType }))
    }
    case 'labels':
      return keep(tensor(numbers))
    case 'disposed': {
      const gone = zeros(value['shape'] as number[])
      gone.dispose()
      return gone
    }
    case 'tensor-like':
      return { shape: value['shape'], size: 4, ndim: 2, pointer: 64, data: () => new Float32Array(4) }
    case 'model':
      return keep(modelFromJSON(classifier))
    case 'layer':
      return new Linear({ outFeatures: 3 })
    case 'convolution':
      return new Conv2d({ outChannels: 2, kernel: 3 })
    case 'sgd':
      return keep(new SGD([keep(zeros([2, 3]))], { lr: 0.1, momentum: 0.9 }))
    case 'indices': {
      const { y, indices } = maxPool2dWithIndices(keep(normal([2, 2, 6, 6])), { kernel: 2 })
      keep(y)
      return keep(indices)
    }
    case 'matrix':
      return convMatrix(keep(normal([2, 1, 3])), [5])
    case 'Uint8Array':
      return Uint8Array.from(numbers)
    case 'Float32Array':
      return Float32Array.from(numbers)
    case 'Int32Array':
      return Int32Array.from(numbers)
    case 'BigInt64Array':
      return BigInt64Array.from(numbers, (number) => BigInt(Math.trunc(number)))
    case 'DataView':
      return new DataView(new ArrayBuffer(8))
    case 'ArrayBuffer':
      return new ArrayBuffer(8)
    case 'identity':
      return (x: unknown) => x
    case 'scalar':
      return (x: Tensor) => x.data().length
    case 'function':
      return () => undefined
    case 'promise':
      return Promise.resolve(1)
    case 'async':
      return async () => Promise.resolve(1)
    case 'score':
      return ({ lr }: { lr: number }) => lr
    case 'undefined':
      return undefined
    case 'number':
      return Number(value['of'])
    case 'bigint':
      return 3n
    case 'symbol':
      return Symbol('odd')
    case 'map':
      return new Map([['a', 1]])
    case 'date':
      return new Date(0)
    case 'null-prototype':
      return Object.create(null)
    case 'holes':
      return new Array<number>(3)
    case 'cycle': {
      const cycle: unknown[] = []
      cycle.push(cycle)
      return cycle
    }
    default:
      return { $: value.$ }
  }
}

/** A value that fits nowhere, or nearly. */
export function oddValue(random: Random): Json {
  if (random.chance(0.4)) return oddJson(random)
  return random.pick<() => Json>([
    () => tag('undefined'),
    () => tag('undefined'),
    () => tag('number', { of: random.pick(['NaN', 'Infinity', '-Infinity', '-0']) }),
    () =>
      tag(
        random.pick(['bigint', 'symbol', 'map', 'date', 'null-prototype', 'holes', 'cycle', 'DataView', 'ArrayBuffer']),
      ),
    () =>
      tag(
        random.pick([
          'function',
          'async',
          'promise',
          'identity',
          'model',
          'layer',
          'sgd',
          'indices',
          'matrix',
          'BigInt64Array',
        ]),
      ),
    () => tag('tensor-like', { shape: [2, 2] }),
    () => tag('disposed', { shape: [2, 2] }),
    () => tag('tensor', { shape: random.list(random.below(6), () => random.between(1, 5)) }),
    () =>
      tag(random.pick(['Float32Array', 'Int32Array', 'Uint8Array']), {
        values: random.list(random.below(9), () => random.below(300)),
      }),
    () => random.pick(['1', '-1', 'NaN', 'same', 'relu', '__proto__', 'constructor', 'toString', 'hasOwnProperty']),
    () => random.list(random.below(4), () => random.list(random.below(3), () => random.size())),
  ])()
}

interface Place {
  readonly parent: Json[] | { [key: string]: Json }
  readonly key: string | number
}

/** Places of the arguments; a tagged object is one, and so are the extents of a tensor. */
function placesOf(value: Json, found: Place[]): Place[] {
  if (typeof value !== 'object' || value === null) return found
  for (const [key, item] of Object.entries(value)) {
    if (key === '$') continue
    found.push({ parent: value, key: Array.isArray(value) ? Number(key) : key })
    placesOf(item, found)
  }
  return found
}

/** The arguments with one to three wrong; `within`: only what lies in them, such as the values of options. */
export function mutateArguments(given: readonly Json[], random: Random, within: boolean): Json[] {
  const args = structuredClone(given) as Json[]
  for (let left = random.pick([1, 1, 1, 2, 3]); left > 0; left--) {
    const places = placesOf(args, []).filter(({ parent }) => !within || parent !== args)
    if (places.length === 0 && within) return args
    if (places.length === 0 || (!within && random.chance(0.05))) {
      args.push(oddValue(random))
      continue
    }
    const { parent, key } = random.pick(places)
    // The shapes of tensors stay whole: wrong ones are refused when the tensor is made, not by what is called.
    const ofTensor = (!Array.isArray(parent) && isTagged(parent)) || (Array.isArray(parent) && isShapeOf(args, parent))
    if (ofTensor) {
      if (Array.isArray(parent) && random.chance(0.7)) parent[key as number] = random.between(1, 6)
      else if (Array.isArray(parent)) parent.splice(key as number, random.below(2), random.between(1, 3))
      continue
    }
    switch (random.below(8)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(key as number, 1)
        else Reflect.deleteProperty(parent, key)
        break
      case 1:
        if (Array.isArray(parent)) parent.splice(key as number, 0, oddValue(random))
        else parent[random.pick(['extra', 'kernel', 'size', 'x'])] = oddValue(random)
        break
      case 2:
        ;(parent as { [key: string]: Json })[key] = [structuredClone((parent as { [key: string]: Json })[key] as Json)]
        break
      default:
        ;(parent as { [key: string]: Json })[key] = oddValue(random)
    }
  }
  return args
}

/** Whether a list is the extents, or the values, of something tagged. */
function isShapeOf(root: Json, list: Json[]): boolean {
  if (typeof root !== 'object' || root === null) return false
  if (!Array.isArray(root) && isTagged(root) && (root['shape'] === list || root['values'] === list)) return true
  return Object.values(root).some((item) => isShapeOf(item, list))
}
