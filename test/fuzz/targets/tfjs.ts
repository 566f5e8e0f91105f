/** Models of TensorFlow.js whose JSON or weights are changed anywhere. */
import { loadTfjs } from '../../../src/models/tfjs/index.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import {
  bytesOf,
  functional,
  graphModel,
  layer3,
  layersModel,
  numbers,
  placeholder,
  text,
  texts,
  whole,
  wholes,
  type LayerOf,
  type Weight,
} from '../../helpers/tfjs.js'
import { mutateJson, oddJsonText, type Json } from '../mutate.js'
import type { Random } from '../random.js'
import { runSmall } from '../programs.js'
import { accepted, defineTarget, expect, type Outcome } from '../target.js'

/** A convolution with what is fused, shapes that are computed, parts, and a product. */
function graph(): Json {
  const weights: Weight[] = [
    { name: 'w', shape: [3, 3, 2, 4], values: numbers(72) },
    { name: 'b', shape: [4], values: numbers(4) },
    { name: 'axis', shape: [], values: [3], dtype: 'int32' },
    { name: 'zero', shape: [1], values: [0], dtype: 'int32' },
    { name: 'one', shape: [1], values: [1], dtype: 'int32' },
    { name: 'rest', shape: [], values: [-1], dtype: 'int32' },
    { name: 'size', shape: [2], values: [2, 2], dtype: 'int32' },
    { name: 'm', shape: [8, 3], values: numbers(24) },
  ]
  const window = { strides: wholes(1, 2, 2, 1), padding: text('SAME'), data_format: text('NHWC') }
  return graphModel(
    [
      placeholder('x', [-1, 4, 4, 2]),
      {
        name: 'c',
        op: '_FusedConv2D',
        input: ['x', 'w', 'b'],
        attr: { ...window, fused_ops: texts('BiasAdd', 'Relu6') },
      },
      { name: 'p', op: 'MaxPool', input: ['c'], attr: { ...window, ksize: wholes(1, 2, 2, 1) } },
      { name: 'r', op: 'ResizeBilinear', input: ['p', 'size'], attr: { half_pixel_centers: { b: true } } },
      { name: 'both', op: 'ConcatV2', input: ['r', 'c', 'axis'], attr: { N: whole(2) } },
      { name: 'parts', op: 'Split', input: ['axis', 'both'], attr: { num_split: whole(4) } },
      { name: 'sum', op: 'AddV2', input: ['parts', 'parts:3'] },
      { name: 's', op: 'Shape', input: ['sum'] },
      { name: 'n', op: 'StridedSlice', input: ['s', 'zero', 'one', 'one'], attr: { shrink_axis_mask: whole(1) } },
      { name: 'target', op: 'Pack', input: ['n', 'rest'] },
      { name: 'flat', op: 'Reshape', input: ['sum', 'target'] },
      { name: 'y', op: 'MatMul', input: ['flat', 'm'] },
    ],
    weights,
    { bytes: [...bytesOf(weights)] },
  ) as Json
}

/** The same kinds of things as layers, as Keras 2 or 3 writes them. */
function layers(isKeras3: boolean): Json {
  const list: LayerOf[] = [
    { type: 'InputLayer', name: 'x', config: { [isKeras3 ? 'batch_shape' : 'batch_input_shape']: [null, 4, 4, 2] } },
    {
      type: 'Conv2D',
      name: 'c',
      config: { filters: 2, kernel_size: [3, 3], padding: 'same', activation: 'relu' },
      calls: [['x'], ['c']],
    },
    { type: 'BatchNormalization', name: 'bn', config: { axis: -1 }, calls: [['c#1']] },
    { type: 'Add', name: 'sum', calls: [['bn', 'x']] },
    {
      type: 'ZeroPadding2D',
      name: 'pad',
      config: {
        padding: [
          [0, 1],
          [2, 0],
        ],
      },
      calls: [['sum']],
    },
    { type: 'GlobalAveragePooling2D', name: 'mean', config: {}, calls: [['pad']] },
    { type: 'Dense', name: 'y', config: { units: 3, activation: 'softmax' }, calls: [['mean']] },
  ]
  const weights: Weight[] = [
    { name: 'c/kernel', shape: [3, 3, 2, 2], values: numbers(36) },
    { name: 'c/bias', shape: [2], values: numbers(2) },
    ...['gamma', 'beta', 'moving_mean', 'moving_variance'].map((name) => ({
      name: `bn/${name}`,
      shape: [2],
      values: [1, 2],
    })),
    { name: 'y/kernel', shape: [2, 3], values: numbers(6) },
    { name: 'y/bias', shape: [3], values: numbers(3) },
  ]
  const config = isKeras3 ? functional(list, ['x'], ['y'], layer3) : functional(list, ['x'], ['y'])
  return {
    ...layersModel('Functional', config, weights, isKeras3 ? '3.5.0' : '2.15.0'),
    bytes: [...bytesOf(weights)],
  }
}

/** A model and the bytes of its weights. */
interface Case {
  readonly model: Json
  readonly bytes: readonly number[]
}

const seeds: (() => Json)[] = [graph, graph, () => layers(false), () => layers(true)]

function caseOf(random: Random): Json {
  const { bytes, ...model } = random.pick(seeds)() as unknown as Case & Record<string, Json>
  const own = random.chance(0.15) ? bytes.slice(0, random.below(bytes.length)) : bytes
  if (random.chance(0.1)) return { model: oddJsonText(model, random), bytes: [...own] }
  return { model: random.chance(0.05) ? model : mutateJson(model, random), bytes: [...own] }
}

async function check(given: Json): Promise<Outcome> {
  const { model, bytes } = given as unknown as Case
  let program
  try {
    program = await loadTfjs(model as never, () => Uint8Array.from(bytes), { name: 'model.json' })
  } catch (error) {
    if (!(error instanceof ToeplitzError) || error.code === 'CORE') throw error
    expect(!error.message.includes('\n'), 'a message of two lines')
    return 'refused'
  }
  try {
    runSmall(program)
  } finally {
    program.dispose()
  }
  return accepted(bytes.length)
}

export default defineTarget<Json>({
  about: 'loadTfjs and run: JSON changed anywhere, weights that are short',
  cases: 400,
  make: caseOf,
  check,
})
