/** Settings of a run on a folder of pictures that follow from what is there, where none is typed. */
import type { ModelDescription } from '../io/model-file.js'
import type { Preprocessing } from '../io/preprocessing.js'
import { createModel } from '../zoo/registry.js'
import { channelsFor, lookAt, type DataOptions, type FolderFacts } from './data.js'
import { augmentationOf } from './options.js'
import { makeOwnModel, ownModel, readOwnModel, type OwnModel } from './ownModel.js'
import { UsageError } from './errors.js'
import type { Described } from './described.js'
import { isModelFile, type RunSettings } from './settings.js'
import { optionWords } from './shell.js'
import { isTuned, tunedSettings } from './tuning.js'

export interface Suited {
  readonly settings: RunSettings
  /** What was chosen, in one line each. */
  readonly lines: { readonly [Name in 'epochs' | 'imageSize' | 'channels' | 'lr']?: string }
}

/** What a training is made with, as far as it can be told before its data is loaded. */
export interface Chosen extends Suited {
  /** The model of a file, where it is one. */
  readonly own: OwnModel | undefined
  /** Channels and size of the pictures of a folder, as far as they are known. */
  readonly pictures: Pick<DataOptions, 'channels' | 'size'>
  /** What is done to the pictures of a trained model that goes on. */
  readonly trained?: Preprocessing
}

/**
 * Reads the model of a file, looks at the data where it is a folder, and chooses the settings that suit it.
 * @param given names of the settings that were typed, and stay
 * @param resumed the model of a run that goes on, of which all settings stay
 */
export async function choose(
  typed: RunSettings,
  given: ReadonlySet<string>,
  resumed?: Pick<ModelDescription, 'architecture' | 'preprocessing'>,
  read?: (name: string) => Promise<Described>,
): Promise<Chosen> {
  if (isTuned(typed)) return chooseTuned(typed, given, resumed, read)
  const { model, data, augment } = typed
  const isFile = isModelFile(model)
  const known = resumed ? ownModel(resumed.architecture, model) : isFile ? await readOwnModel(model) : undefined
  const own = isFile ? known : undefined
  const facts = resumed ? undefined : await lookAt(data, typed)
  const { settings, lines } = facts ? suited(typed, given, facts, own) : { settings: typed, lines: {} }
  const [C, H, W] = known?.input ?? []
  const channels = C === 1 || C === 3 ? C : facts && channelsFor(facts)
  // The pictures have the size that the model of a file takes, unless that is cut out of them.
  const isSized = own !== undefined && H !== undefined && W !== undefined && !augmentationOf(augment)?.crop
  return { settings, lines, own, pictures: { channels, ...(isSized ? { size: [H, W] as const } : {}) } }
}

/** The same of a run that goes on with a trained model, whose pictures the data must be. */
async function chooseTuned(
  typed: RunSettings,
  given: ReadonlySet<string>,
  resumed?: Pick<ModelDescription, 'architecture' | 'preprocessing'>,
  read?: (name: string) => Promise<Described>,
): Promise<Chosen> {
  const { from } = typed
  const trained = resumed ? undefined : await read?.(from)
  const { architecture, preprocessing } = (resumed ?? trained?.file) as ModelDescription
  if (!preprocessing)
    throw new UsageError(`${optionWords('--from', from)}: the model takes no pictures of 1 or 3 channels`)
  const { channels, size, order, resize } = preprocessing
  if (order !== 'rgb' || resize !== undefined)
    throw new UsageError(
      `${optionWords('--from', from)}: its pictures are ${resize === undefined ? `in the order ${order}` : 'resized first, and then cut'}, which training does not do`,
    )
  const own: OwnModel = trained
    ? { name: from, architecture, input: trained.model.input, trained }
    : ownModel(architecture, from)
  const pictures = { channels, size: [...size] as [number, number] }
  if (!trained) return { settings: typed, lines: {}, own, pictures, trained: preprocessing }
  const facts = await lookAt(typed.data, typed)
  const suiting = facts ? suited(typed, given, facts, own) : { settings: typed, lines: {} }
  const { settings, line } = tunedSettings({ ...suiting.settings, lr: typed.lr }, given, trained.model)
  return { settings, lines: { ...suiting.lines, lr: line }, own, pictures, trained: preprocessing }
}

/** Steps that a run is to have, as far as it takes no more epochs, and no fewer, than these. */
const STEPS = 600
const EPOCHS = { least: 5, most: 40 } as const

/** The longer side of pictures that are left as they are where all are of one size, and the side of those that are not. */
const LARGEST = 64

/** The settings with those that suit a folder, where none was typed. */
export function suited(
  settings: RunSettings,
  given: ReadonlySet<string>,
  facts: FolderFacts,
  own: OwnModel | undefined,
): Suited {
  const lines: { epochs?: string; imageSize?: string; channels?: string; lr?: string } = {}
  const result = { ...settings }
  const { pictures, training, classes } = facts
  if (!given.has('epochs')) {
    result.epochs = epochsFor(Math.ceil(training / settings.batchSize))
    lines.epochs = `${pictures} pictures of ${classes} classes: ${result.epochs} epochs (--epochs)`
  }
  const size = sizeFor(settings, facts, own)
  if (!given.has('imageSize') && size) {
    result.imageSize = size.side
    if (size.told !== '') lines.imageSize = size.told
  }
  const { grey, sizes } = facts
  if (grey > 0 && grey < sizes.length && own?.input === undefined) {
    lines.channels = `${grey} of the first ${sizes.length} pictures are grey: all are read in colour`
  }
  const side = result.imageSize
  const [height = 0, width = 0] = side > 0 ? [side, side] : (own?.input?.slice(1) ?? facts.sizes[0] ?? [])
  if (!given.has('lr') && settings.optimizer === 'sgd' && height * width > 0) {
    result.lr = rateFor(settings.model, 3 * height * width)
    lines.lr = `${settings.model} on ${width} × ${height} pixels: learning rate ${result.lr} (--lr)`
  }
  return { settings: result, lines }
}

const epochsFor = (stepsPerEpoch: number): number =>
  Math.min(EPOCHS.most, Math.max(EPOCHS.least, Math.round(STEPS / stepsPerEpoch)))

/** How high the learning rate of SGD may rise. That of a linear model falls with its inputs, whose gradients add up. */
function rateFor(model: string, inputs: number): number {
  if (model === 'linear') return Number(Math.min(0.02, 6 / inputs).toPrecision(1))
  return ['convnet', 'convnet-mnist', 'convnet-cifar10', 'two-layer'].includes(model) ? 0.02 : 0.01
}

/** The side to which pictures are brought; 0 where they stay as they are. */
function sizeFor(
  settings: RunSettings,
  { sizes, classes }: FolderFacts,
  own: OwnModel | undefined,
): { readonly side: number; readonly told: string } | undefined {
  const [first] = sizes
  // What the model says, or what none of the pictures does, is not to be chosen.
  if (!first || own?.input) return undefined
  const alike = sizes.every(([height, width]) => height === first[0] && width === first[1])
  const fitting = (height: number, width: number): boolean => takes(settings, height, width, classes, own)
  if (alike && Math.max(...first) <= LARGEST && fitting(...first)) return { side: 0, told: '' }
  const shorter = sizes.map((size) => Math.min(...size)).sort((a, b) => a - b)
  const median = shorter[Math.floor(shorter.length / 2)] as number
  const usual = own ? 0 : sideOf(settings.model)
  // Networks for large pictures are given such.
  const sides = usual > LARGEST ? [usual] : [Math.min(median, LARGEST), usual, LARGEST]
  const side = sides.find((candidate) => candidate > 0 && fitting(candidate, candidate))
  if (side === undefined) return undefined
  const areas = [...sizes].sort((a, b) => a[0] * a[1] - b[0] * b[1])
  const [smallest, largest] = [areas[0], areas.at(-1)].map((size) => size?.toReversed().join(' × '))
  const from = smallest === largest ? `of ${smallest}` : `from ${smallest} to ${largest}`
  return { side, told: `pictures ${from} pixels are brought to ${side} × ${side} (--image-size, --fit)` }
}

/** The side of the pictures that an architecture is made for. */
function sideOf(name: string): number {
  const model = createModel(name)
  const side = model.input?.[1] ?? 0
  model.dispose()
  return side
}

/** Whether a model of the run can be made for pictures of a size. */
function takes(
  { model, augment, seed }: RunSettings,
  height: number,
  width: number,
  classes: number,
  own: OwnModel | undefined,
): boolean {
  const [h, w] = augmentationOf(augment)?.crop ?? [height, width]
  if (h > height || w > width) return false
  try {
    const made =
      own && isModelFile(model)
        ? makeOwnModel(own, [3, h, w], classes, seed)
        : createModel(model, { input: [3, h, w], classes })
    const shape = made.outputShape()
    made.dispose()
    return shape.length === 1
  } catch {
    return false
  }
}
