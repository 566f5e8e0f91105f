/** Whole models: safetensors with their description in the header, damaged anywhere; and model.json. */
import {
  decodeModel,
  decodeModelFile,
  describeModel,
  encodeModel,
  type ModelDescription,
} from '../../../src/io/model-file.js'
import { imageTensor, preprocess, type Normalization } from '../../../src/data/images.js'
import type { Graph } from '../../../src/nn/graph.js'
import { modelFromJSON } from '../../../src/nn/registry.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import { examine } from '../models.js'
import { mutateJson, oddJsonText, textBytes, type Json } from '../mutate.js'
import type { Random } from '../random.js'
import { accepted, defineTarget, expect, type Outcome } from '../target.js'
import { isSealed, mutateSafetensors, resealed, sealFits, withoutSeal } from './safetensors.js'

const KEY = 'toeplitz-model'

const architectures: readonly Json[] = [
  { type: 'Sequential', input: [1, 5, 4], layers: [{ type: 'Flatten' }, { type: 'Linear', outFeatures: 3 }] },
  {
    type: 'Sequential',
    input: [3, 8, 8],
    layers: [
      { type: 'Conv2d', outChannels: 4, kernel: 3, padding: 'same' },
      { type: 'BatchNorm2d' },
      { type: 'ReLU' },
      { type: 'MaxPool2d', kernel: 2 },
      { type: 'Dropout', p: 0.5 },
      { type: 'Flatten' },
      { type: 'Linear', outFeatures: 2, bias: false },
      { type: 'Softmax', inLoss: true },
    ],
  },
  {
    type: 'Graph',
    inputs: { x: [2, 6, 6] },
    nodes: [
      { name: 'a', inputs: ['x'], layer: { type: 'Conv2d', outChannels: 3, kernel: 1 }, block: 'B' },
      { name: 'b', inputs: ['x'], layer: { type: 'Conv2d', outChannels: 3, kernel: [3, 3], padding: 1 }, block: 'B' },
      { name: 'join', inputs: ['a', 'b'], layer: { type: 'Concat' } },
      { name: 'pool', inputs: ['join'], layer: { type: 'GlobalAvgPool' } },
      { name: 'flat', inputs: ['pool'], layer: { type: 'Flatten' } },
      { name: 'codes', inputs: ['flat'], layer: { type: 'RBF', units: 2, codes: ['#.#.#.', '..####'] } },
    ],
    outputs: ['codes'],
    blocks: { B: 'two branches' },
  },
]

let files: Uint8Array[] = []
let descriptions: Json[] = []

function prepare(): void {
  files = []
  descriptions = []
  for (const architecture of architectures) {
    const model = modelFromJSON(architecture)
    const channels = model.input?.[0] ?? 1
    const normalization: Normalization =
      channels === 1 ? { mean: 0.13, std: 0.3 } : { mean: new Array<number>(channels).fill(0.5), std: 0.25 }
    const classes = Array.from({ length: model.outputShape()[0] ?? 0 }, (_, label) => `class ${label}`)
    const facts = { name: 'a model', normalization, classes }
    files.push(encodeModel(model, facts))
    descriptions.push(
      JSON.parse(
        JSON.stringify({ ...describeModel(model, facts), weights: { file: 'w.safetensors', sha256: '0'.repeat(64) } }),
      ) as Json,
    )
    model.dispose()
  }
}

/** The header of a model file with its description changed, as the text that it is there. */
function changeDescription(header: Json, random: Random): Json {
  const { __metadata__: metadata, ...tensors } = header as { __metadata__: { [KEY]: string } } & { [key: string]: Json }
  if (random.chance(0.3)) return mutateJson(header, random)
  const changed = mutateJson(JSON.parse(metadata[KEY]) as Json, random)
  const text = random.chance(0.8) ? JSON.stringify(changed) : oddJsonText(changed, random)
  return { __metadata__: { ...metadata, [KEY]: text }, ...tensors }
}

/** That a model which was read can be used as its users will. */
function use(model: Graph, { classes, normalization, preprocessing }: ModelDescription): Outcome {
  try {
    const { input = [] } = model
    expect(model.outputShape().join() === String(classes.length), 'outputs and classes differ in number')
    examine(model, undefined, 1)
    if (input.length === 3 && input.reduce((size, extent) => size * extent, 1) < 2 ** 20) {
      const shape = input as unknown as [number, number, number]
      try {
        imageTensor(new Uint8Array(shape[0] * shape[1] * shape[2]), shape, normalization).dispose()
        const picture = { width: 3, height: 5, channels: 4, data: new Uint8Array(60).fill(200) } as const
        if (preprocessing) preprocess([picture], preprocessing).dispose()
      } catch (error) {
        expect(
          !(error instanceof ToeplitzError),
          `it was read, but its preprocessing does not fit: ${(error as Error).message}`,
        )
        throw error
      }
    }
    return accepted()
  } finally {
    model.dispose()
  }
}

export const modelFile = defineTarget<Uint8Array>({
  about: 'decodeModel: description, header, weights and bytes changed; what is read is used',
  cases: 300,
  readsFiles: true,
  prepare,
  make(random) {
    const file = random.pick(files)
    if (random.chance(0.05)) return file
    // Behind a checksum that does not fit nothing else would be reached.
    const how = random.below(10)
    if (how === 0) return mutateSafetensors(file, random, changeDescription)
    const changed = mutateSafetensors(withoutSeal(file), random, changeDescription)
    return how < 9 ? resealed(changed) : changed
  },
  check(bytes) {
    const { file, model } = decodeModel(bytes, 'x.safetensors')
    if (isSealed(bytes) && !sealFits(bytes)) {
      model.dispose()
      expect(false, 'a file that its checksum does not fit is accepted')
    }
    return use(model, file)
  },
})

export const modelText = defineTarget<Uint8Array>({
  about: 'decodeModelFile: a model.json changed anywhere',
  cases: 250,
  readsFiles: true,
  prepare,
  make: (random) => textBytes(oddJsonText(mutateJson(random.pick(descriptions), random), random)),
  check(bytes) {
    const { file, model } = decodeModelFile(new TextDecoder().decode(bytes), 'model.json')
    return use(model, file)
  },
})
