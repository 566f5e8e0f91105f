/** `toeplitz look`: a page of what a trained network sees in pictures, and what its layers look for. */
import type { Preprocessing } from '../io/preprocessing.js'
import { writeFileAtomically } from '../node/files.js'
import { init } from '../runtime/embedded.js'
import { UnsupportedError } from '../runtime/errors.js'
import { exitCodes, type LookOptions } from './actions.js'
import { packageVersion } from './assets.js'
import { UsageError } from './errors.js'
import {
  featureMaps,
  firstWeights,
  foundFilters,
  layerSparsity,
  layerUnits,
  seenPictures,
  type Look,
} from './look/gather.js'
import { shownRegions } from './look/regions.js'
import { readInputs } from './look/inputs.js'
import { layersOf, neededOf } from './look/layers.js'
import { renderLook } from './look/page.js'
import type { LookData, ShownWeights } from './look/records.js'
import { optionWords, quoted } from './shell.js'
import { outputTo, type CliStreams } from './terminal.js'
import { readTrainedModel } from './trained.js'
import type { Described } from './described.js'

/** What is taken where nothing is typed. */
export const lookDefaults = { out: 'look.html', images: 1000, seed: 1 } as const

/** Why a model without a convolution has no part of the page, by the parts. */
const withoutConvolution =
  'Feature maps, strongest patches, reconstructions and filters found from noise: they need a convolution, and the model has none.'

/** The action behind `toeplitz look`; gives the exit code. */
export async function lookCommand(
  modelPath: string,
  pictures: readonly string[],
  options: LookOptions,
  { stdout, stderr }: CliStreams = process,
): Promise<number> {
  const { out } = options
  if (!/\.html?$/i.test(out)) {
    throw new UsageError(`${optionWords('--out', out)}: the page is HTML; give a name that ends in .html`)
  }
  await init()
  const note = (line: string): void => {
    outputTo(stderr).line(line)
  }
  const described = await readTrainedModel(modelPath)
  try {
    if (described.note !== undefined) note(`note: ${described.note}`)
    const data = await lookAt(modelPath, pictures, described, { ...options, note })
    const page = new TextEncoder().encode(renderLook(data))
    await writeFileAtomically(out, page)
    for (const line of data.leftOut) note(`not shown: ${line}`)
    outputTo(stdout).line(`page         ${out} (${Math.ceil(page.length / 1000)} kB)`)
  } finally {
    described.model.dispose()
  }
  return exitCodes.success
}

interface Looking extends LookOptions {
  readonly note: (line: string) => void
}

/** Everything that the page shows. */
async function lookAt(
  modelPath: string,
  pictures: readonly string[],
  described: Described,
  options: Looking,
): Promise<LookData> {
  const { file, model } = described
  const preprocessing = file.preprocessing
  if (!preprocessing) throw new UnsupportedError(`${file.name}: the model takes no pictures of 1 or 3 channels`)
  const shape = [preprocessing.channels, ...preprocessing.size] as const
  const layers = layersOf(model, options.layer)
  const weights = weightsOf(described, preprocessing, layers.length)
  const { note } = options
  const inputs = await readInputs(modelPath, pictures, described, neededOf(layers, shape), options, note)
  const leftOut: string[] = []
  const leaveOut = (line: string): void => {
    leftOut.push(line)
  }
  const { classes } = file
  const look: Look = { model, classes, preprocessing, shape, inputs, layers, seed: options.seed, note, leaveOut }
  const seen = seenPictures(look)
  const maps = featureMaps(look)
  const sparsity = layerSparsity(look)
  const units = layerUnits(look, sparsity)
  const found = foundFilters(look)
  const regions = shownRegions(look)
  if (layers.length === 0) leaveOut(withoutConvolution)
  if (typeof weights === 'string') leaveOut(weights)
  const parameters = [...model.namedParameters().values()].reduce((sum, { size }) => sum + size, 0)
  return {
    ...{ model: file.name, command: commandOf(modelPath, pictures, options), version: packageVersion() },
    ...{ input: shape, layers: model.nodes.length, parameters, source: inputs.source, images: inputs.size },
    ...{
      seen,
      weights: typeof weights === 'string' ? undefined : weights,
      maps,
      units,
      found,
      sparsity,
      regions,
      leftOut,
    },
  }
}

/** The first weights; those of a model with convolutions need not be over the picture. @throws UnsupportedError where nothing else is the model's own */
function weightsOf({ file, model }: Described, preprocessing: Preprocessing, layers: number): ShownWeights | string {
  try {
    return firstWeights({ model, preprocessing })
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    const why = error.message.replace(/^pictureWeights: /, '')
    if (layers > 0) return `Weights as pictures: ${why}.`
    throw new UnsupportedError(`${file.name}: there is nothing to look at: ${why}`)
  }
}

/** The command that writes the same page again. */
function commandOf(modelPath: string, pictures: readonly string[], options: LookOptions): string {
  const { layer, data, images, seed } = options
  return [
    'toeplitz look',
    ...[modelPath, ...pictures].map(quoted),
    ...layer.map((name) => optionWords('--layer', name)),
    ...(data === undefined ? [] : [optionWords('--data', data)]),
    ...(images === lookDefaults.images ? [] : [optionWords('--images', images)]),
    ...(seed === lookDefaults.seed ? [] : [optionWords('--seed', seed)]),
  ].join(' ')
}
