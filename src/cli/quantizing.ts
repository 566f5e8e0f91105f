/** What `toeplitz quantize` reads: a model, pictures to calibrate it with, and pictures to test it with. */
import { imageExamples } from '../data/images.js'
import type { ImageSource } from '../data/dataset.js'
import { readOnnx } from '../formats/onnx.js'
import type { Preprocessing } from '../io/preprocessing.js'
import type { Program } from '../models/program.js'
import type { Graph } from '../nn/graph.js'
import { readFileOrExplain } from '../node/files.js'
import { FormatError, UnsupportedError } from '../runtime/errors.js'
import { defined } from '../runtime/options.js'
import { showShape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Examples } from '../train/examples.js'
import type { QuantizeCommandOptions } from './actions.js'
import { dataNames, loadData } from './data.js'
import { UsageError } from './errors.js'
import { isQuantized, readForeign } from './foreign.js'
import { picturesInMemory } from './inMemory.js'
import { trainedOn } from './look/inputs.js'
import { extents, perChannel } from './runModel.js'
import { trainDefaults } from './settings.js'
import { sizeBefore, testPictures } from './testPictures.js'
import { readTrainedModel } from './trained.js'

/** Pictures that pass through a model together while it is calibrated. */
const BATCH = 64

/** A model to quantize. */
export interface Source {
  readonly name: string
  readonly model: Graph | Program
  readonly preprocessing: Preprocessing
  /** Names of its classes; undefined where its file does not tell, as that of ONNX. */
  readonly classes: readonly string[] | undefined
  /** The most pictures that it takes at once. */
  readonly most: number
}

/** Whether a model is one of ONNX, by the name of its file. */
export const isOnnx = (path: string): boolean => /\.onnx$/i.test(path)

/** The pictures that a program of ONNX takes, by the shape of its only input and by what was typed. */
function foreignPreprocessing(
  path: string,
  { inputs }: Program,
  { scale = 1 / 255, mean = [0], std = [1] }: QuantizeCommandOptions,
): Preprocessing {
  const [input, ...others] = inputs
  if (!input || others.length > 0)
    throw new UnsupportedError(`${path}: models of one input are quantized, and this one has ${inputs.length}`)
  const [batch, channels, height, width] = input.shape ?? []
  const isPictures = input.shape?.length === 4 && input.dtype === 'float32' && (channels === 1 || channels === 3)
  if (!isPictures || typeof height !== 'number' || typeof width !== 'number')
    throw new UnsupportedError(
      `${path}: '${input.name}' is ${input.dtype} ${extents(input)}; models are quantized that take float32 (N, C, H, W), pictures of 1 or 3 channels and of one size`,
    )
  if (typeof batch === 'number' && batch !== 1)
    throw new UnsupportedError(
      `${path}: '${input.name}' takes ${batch} pictures at once; export it for 1, or for any number`,
    )
  const normalization = {
    mean: perChannel('mean', mean, channels, input.name),
    std: perChannel('std', std, channels, input.name),
  }
  const size = [height, width] as const
  const how = { order: 'rgb', invert: 'never', fit: trainDefaults.fit, interpolation: 'area' } as const
  return { channels, size, ...how, scale, normalization }
}

/** @throws FormatError where a weight is NaN or infinite: no scale stands for it */
function checkWeights(path: string, program: Program): void {
  for (const [name, weight] of program.namedParameters()) {
    if (!weight.data().every(Number.isFinite))
      throw new FormatError(
        `${path}: the weights '${name}' have numbers that are not finite; quantize a model that has none`,
      )
  }
}

async function readProgram(path: string, options: QuantizeCommandOptions): Promise<Source> {
  if (isQuantized(readOnnx(await readFileOrExplain(path), path).graph))
    throw new FormatError(`${path}: is quantized already; give the model that it was made of`)
  const model = await readForeign(path)
  try {
    checkWeights(path, model)
    const preprocessing = foreignPreprocessing(path, model, options)
    const most = model.inputs[0]?.shape?.[0] === 1 ? 1 : Infinity
    return { name: path, model, preprocessing, classes: undefined, most }
  } catch (error) {
    model.dispose()
    throw error
  }
}

/** Reads the model of a path. @throws FormatError or UnsupportedError that says why it cannot be quantized */
export async function readSource(
  path: string,
  options: QuantizeCommandOptions,
  note: (line: string) => void,
): Promise<Source> {
  if (isOnnx(path)) return readProgram(path, options)
  const typed = (['scale', 'mean', 'std'] as const).find((name) => options[name] !== undefined)
  if (typed !== undefined)
    throw new UsageError(`--${typed}: ${path} knows what becomes of its pictures; leave it out, it is for .onnx files`)
  const { file, model, note: origin } = await readTrainedModel(path)
  if (origin !== undefined) note(`note: ${origin}`)
  const { name, classes, preprocessing } = file
  if (preprocessing) return { name, model, preprocessing, classes, most: Infinity }
  model.dispose()
  throw new UnsupportedError(`${name}: the model takes no pictures of 1 or 3 channels`)
}

/** Pictures for a model. */
export interface QuantizingData {
  /** Prepared pictures (N, C, H, W), a batch after the other; who takes one disposes of it. */
  readonly batches: Iterable<Tensor>
  /** How many they are. */
  readonly examples: number
  /** What the test error is measured on; undefined where it is not asked for. */
  readonly test: ImageSource | undefined
}

/** The data that is meant: what was typed, or that of the run. @throws UsageError where there is none */
export async function dataFor(path: string, data: string | undefined): Promise<string> {
  const name = data ?? (isOnnx(path) ? undefined : await trainedOn(path))
  if (name !== undefined) return name
  throw new UsageError(
    `no data is given to calibrate with, and what ${path} was trained on is not known; name a data set or a folder by --data`,
  )
}

/** @throws UsageError where the pictures of a published set are not those of the model */
function checkSize(data: string, { shape }: ImageSource, { name, preprocessing }: Source): void {
  const due = [preprocessing.channels, ...sizeBefore(preprocessing)]
  if (due.join() !== shape.join())
    throw new UsageError(
      `--data ${data}: its pictures are ${showShape(shape)}, and ${name} takes ${showShape(due)}; give the data that it was trained on`,
    )
}

/** Numbers evenly spread over the pictures, and then all others, which are taken where some cannot be read. */
function* spread(size: number, count: number): Generator<number> {
  const taken = new Set<number>()
  for (let n = 0; n < Math.min(count, size); n++) {
    const number = Math.floor((n * size) / Math.min(count, size))
    taken.add(number)
    yield number
  }
  for (let number = 0; number < size; number++) if (!taken.has(number)) yield number
}

function* batchesOf(examples: Examples<Int32Array>, most: number): Generator<Tensor> {
  const length = Math.min(BATCH, most)
  for (let first = 0; first < examples.size; first += length) {
    const count = Math.min(length, examples.size - first)
    yield examples.batch(Int32Array.from({ length: count }, (_, n) => first + n)).x
  }
}

/** Reads the pictures for a model. @throws UsageError where they are not its own */
export async function readPictures(
  path: string,
  data: string,
  source: Source,
  options: QuantizeCommandOptions,
  report: { readonly note: (line: string) => void; readonly onSkip: (error: Error) => void },
): Promise<QuantizingData> {
  const { preprocessing, classes, most } = source
  const { dataDir, strict, maxPixels, maxBytes, examples: count } = options
  const reading = { dataDir, strict, maxPixels, maxBytes, onSkip: report.onSkip }
  const isSet = dataNames.includes(data)
  const loaded = await loadData(data, {
    ...{ ...reading, imageSize: 0, trained: preprocessing },
    fit: isSet ? trainDefaults.fit : preprocessing.fit,
    channels: preprocessing.channels,
    size: sizeBefore(preprocessing),
  })
  checkSize(data, loaded.training, source)
  const trained = classes && { classes, preprocessing }
  const test =
    trained && options.test
      ? await testPictures(path, data, trained, {
          ...defined(reading),
          maxPixels,
          maxBytes,
          onSkip: report.onSkip,
          note: report.note,
        })
      : loaded.test
  const { training } = loaded
  const some = await picturesInMemory(training, spread(training.size, count), count, data)
  const examples = imageExamples(some, preprocessing)
  return {
    batches: { [Symbol.iterator]: () => batchesOf(examples, most) },
    examples: some.size,
    test: options.test ? test : undefined,
  }
}
