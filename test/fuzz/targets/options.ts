/** Calls of everything that is exported, with arguments that are wrong: of other types, NaN, infinite, huge, negative, missing. */
import { vjp } from '../../../src/autodiff/vjp.js'
import * as layers from '../../../src/layers/index.js'
import * as data from '../../../src/data/index.js'
import * as classifier from '../../../src/classifier/index.js'
import * as core from '../../../src/index.js'
import * as io from '../../../src/io/index.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import { ones } from '../../../src/tensor/create.js'
import { Tensor } from '../../../src/tensor/tensor.js'
import * as audio from '../../../src/audio/index.js'
import * as features from '../../../src/features/index.js'
import * as priors from '../../../src/priors/index.js'
import * as quant from '../../../src/quant/index.js'
import * as segmentation from '../../../src/segmentation/index.js'
import * as training from '../../../src/training/index.js'
import * as vision from '../../../src/vision/index.js'
import * as volumes from '../../../src/volumes/index.js'
import * as onnx from '../../../src/models/onnx/index.js'
import * as tfjs from '../../../src/models/tfjs/index.js'
import * as zoo from '../../../src/zoo/index.js'
import { readModel } from '../../helpers/layers.js'
import { calls } from '../calls.js'
import type { Json } from '../mutate.js'
import type { Random } from '../random.js'
import { accepted, defineTarget, expect, type Outcome } from '../target.js'
import { decodeValue, mutateArguments } from '../values.js'

export const exported: Readonly<Record<string, unknown>> = {
  ...core,
  ...data,
  ...io,
  ...vision,
  ...features,
  ...priors,
  ...quant,
  ...segmentation,
  ...training,
  ...audio,
  ...volumes,
  ...zoo,
  ...classifier,
  ...onnx,
  ...tfjs,
  ...layers,
}

interface Call {
  readonly call: string
  readonly args: Json[]
  /** Whether the gradient is asked for too, where there is one. */
  readonly gradient: boolean
}

type Function = (...args: unknown[]) => unknown

/** What a name of the table stands for. */
function resolve(name: string): Function {
  const [first = '', second] = name.split(' ')
  if (first === 'layer') {
    // A model of the one layer, run on an input of the shape that the second argument gives.
    return (...args) => {
      const input = args.at(-1)
      const options = args.length > 1 ? args[0] : undefined
      const model = readModel({ type: 'Sequential', input, layers: [{ ...(options as object), type: second }] })
      try {
        const x = ones([2, ...(input as number[])])
        try {
          return model.forward(x)
        } finally {
          x.dispose()
        }
      } finally {
        model.dispose()
      }
    }
  }
  if (first === 'new') {
    const Class = exported[second as string] as new (...args: unknown[]) => unknown
    return (...args) => new Class(...args)
  }
  if (name === 'fit') return fitFor
  const [owner = '', method] = name.split('.')
  if (method === undefined) return exported[name] as Function
  if (owner === 'schedule') return (core.schedule as unknown as Record<string, Function>)[method] as Function
  const { prototype } = exported[owner] as { prototype: Record<string, Function> }
  return (self, ...args) => (prototype[method] as Function).call(self, ...args)
}

/** A short training with these options; what is not a number comes from here. */
async function fitFor(options: unknown): Promise<void> {
  const { Sequential, Linear, SGD, crossEntropy, fit } = core
  const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3] })
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  const examples = {
    size: 5,
    batch: (indices: Int32Array) => ({ x: ones([indices.length, 3]), target: indices.map((index) => index % 2) }),
  }
  const rest = { loss: crossEntropy, optimizer, validation: examples }
  try {
    let events = 0
    for await (const _ of fit(model, examples, { ...rest, ...(options as core.FitOptions<Int32Array>) }))
      if (++events > 5) break
  } finally {
    optimizer.dispose()
    model.dispose()
  }
}

function disposeAll(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null || depth > 3) return
  if ('dispose' in value && typeof value.dispose === 'function') {
    ;(value as { dispose(): void }).dispose()
    if ('value' in value) disposeAll(value.value, depth + 1)
  } else if (!ArrayBuffer.isView(value)) for (const item of Object.values(value)) disposeAll(item, depth + 1)
}

/** That what a call gives is what such calls give. */
function examineResult(value: unknown, name: string): void {
  if (!(value instanceof Tensor) || value.disposed) return
  expect(
    value.shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0),
    () => `${name} gives a tensor of shape (${value.shape.map(String).join(', ')})`,
  )
  expect(
    value.data().length === value.size,
    () => `${name} gives ${value.size} elements and holds ${value.data().length}`,
  )
}

async function check(given: Json): Promise<Outcome> {
  const { call, args: encoded, gradient } = given as unknown as Call
  const run = resolve(call)
  const made: { dispose(): void }[] = []
  let result: unknown
  try {
    const args = encoded.map((arg) => decodeValue(arg, made))
    const [first] = args
    if (gradient && first instanceof Tensor && !first.disposed) {
      const { value, pullback, dispose } = vjp((x) => run(x, ...args.slice(1)) as Tensor, first as Tensor)
      try {
        examineResult(value, call)
        const dy = ones(value.shape)
        made.push(dy)
        disposeAll(pullback(dy))
      } finally {
        dispose()
        value.dispose()
      }
      return accepted()
    }
    result = run(...args)
    if (result instanceof Promise) result = await result
    examineResult(result, call)
    return accepted()
  } catch (error) {
    // What came from where is told by the call, since many share their checks.
    if (error instanceof Error && !(error instanceof ToeplitzError)) error.message = `${call}: ${error.message}`
    throw error
  } finally {
    disposeAll(result)
    for (const item of made.reverse()) item.dispose()
  }
}

/** Functions whose first argument is a tensor that the result depends on. */
const differentiable = (args: readonly Json[]): boolean => {
  const [first] = args
  return typeof first === 'object' && first !== null && !Array.isArray(first) && first['$'] === 'tensor'
}

export default defineTarget<Json>({
  about: 'wrong arguments for every function, class and method that is exported',
  cases: 3000,
  make(random: Random) {
    const call = random.pick(Object.keys(calls))
    const args = random.pick(calls[call] as readonly (readonly Json[])[])
    const gradient = differentiable(args) && !call.includes('.') && random.chance(0.3)
    // What a method belongs to stays, and so does the input of a layer.
    const [before, after] = call.startsWith('layer') ? [0, 1] : [/^[A-Z].*\./.test(call) ? 1 : 0, 0]
    // Whether an argument as a whole may be of another kind, or only what lies in them.
    const within = random.chance(0.7)
    const open = args.slice(before, args.length - after)
    const changed = [
      ...args.slice(0, before),
      ...mutateArguments(open, random, within),
      ...args.slice(args.length - after),
    ]
    return { call, args: random.chance(0.05) ? [...args] : changed, gradient }
  },
  check,
})
