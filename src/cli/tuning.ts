/** `toeplitz train --from`: a trained model goes on, for the same classes or for others. */
import { knownLayers as known } from '../models/knownLayers.js'
import type { Graph } from '../nn/graph.js'
import { ArgumentError } from '../runtime/errors.js'
import { headNode, replaceHead } from '../training/tuning.js'
import { checkInput, checkOutput } from './ownModel.js'
import { UsageError } from './errors.js'
import { flagOf, type RunSettings, type TrainSettings } from './settings.js'
import { optionWords } from './shell.js'
import type { Described } from './described.js'

/** Rates of a trained model: one at which it keeps what it has learned, and ten times that for a new last layer. */
const RATES = {
  sgd: { lr: 0.003, lrHead: 0.03 },
  adam: { lr: 1e-4, lrHead: 1e-3 },
  adamw: { lr: 1e-4, lrHead: 1e-3 },
  rmsprop: { lr: 1e-4, lrHead: 1e-3 },
  adagrad: { lr: 1e-3, lrHead: 1e-2 },
} as const satisfies Record<RunSettings['optimizer'], Pick<RunSettings, 'lr' | 'lrHead'>>

/** What says how a trained model goes on. */
const companions = ['freeze', 'headOnly', 'unfreeze', 'lrHead'] as const
/** What a trained model decides. */
const decided = ['model', 'init', 'permutePixels', 'imageSize', 'fit'] as const

/** Whether a run goes on with a trained model. */
export const isTuned = ({ from }: Pick<RunSettings, 'from'>): boolean => from !== 'none'

/** @throws UsageError when options contradict one another */
export function checkTuning(settings: RunSettings, given: ReadonlySet<keyof TrainSettings>): void {
  if (!isTuned(settings)) {
    const alone = companions.find((name) => given.has(name))
    if (alone) throw new UsageError(`${flagOf(alone)}: it is for a trained model that goes on; name it by --from`)
    return
  }
  const { from, freeze, headOnly, unfreeze, lrHead } = settings
  const twice = decided.find((name) => given.has(name))
  if (twice)
    throw new UsageError(
      `${flagOf(twice)}, ${optionWords('--from', from)}: the trained model decides it; leave ${flagOf(twice)} out`,
    )
  if (headOnly && freeze !== 'none')
    throw new UsageError(`--head-only, ${optionWords('--freeze', freeze)}: give one of the two`)
  if (headOnly && unfreeze)
    throw new UsageError('--head-only, --unfreeze: the last layer alone is trained; leave --unfreeze out')
  if (headOnly && lrHead > 0)
    throw new UsageError(
      '--head-only, --lr-head: the last layer alone is trained, at the rate of --lr; leave --lr-head out',
    )
}

/** The settings with the rates that suit a trained model, where none was typed, and what to tell of them. */
export function tunedSettings(
  settings: RunSettings,
  given: ReadonlySet<string>,
  model: Graph,
): { readonly settings: RunSettings; readonly line: string } {
  const { lr, lrHead } = RATES[settings.optimizer]
  const { headOnly, unfreeze } = settings
  const own = given.has('lr') ? settings.lr : headOnly ? lrHead : lr
  const apart = learnsApart(model, settings) ? own * (lrHead / lr) : 0
  const head = headOnly ? 0 : given.has('lrHead') ? settings.lrHead : apart
  const told = headOnly
    ? `the last layer alone learns, at ${own} (--lr)`
    : `learning rate ${own} (--lr), of the last layer ${head > 0 ? head : own} (--lr-head)`
  const stays = !headOnly && !unfreeze && isFrozenInPart(model) ? `; ${STAYS}` : ''
  return { settings: { ...settings, lr: own, lrHead: Number(head.toPrecision(6)) }, line: `${told}${stays}` }
}

/** Told where a run would leave layers alone that nobody asked it to. */
const STAYS = 'layers that are frozen in the model stay as they are (--unfreeze lets them learn)'

/** Whether layers with weights are frozen in a model. */
const isFrozenInPart = (model: Graph): boolean =>
  model.nodes.some(({ layer }) => !layer.trainable && layer.tensors().size > 0)

/** Whether a model has a last layer that can learn at a rate of its own. */
function learnsApart(model: Graph, { freeze }: RunSettings): boolean {
  try {
    const { name } = headNode(model)
    return freeze === 'none' || !new RegExp(freeze).test(name)
  } catch (error) {
    if (error instanceof ArgumentError) return false
    throw error
  }
}

/** The last layer with weights. @throws UsageError where the model has none that can learn at a rate of its own */
export function headOf(model: Graph, option: string): string {
  try {
    return headNode(model).name
  } catch (error) {
    if (error instanceof ArgumentError)
      throw new UsageError(`${option}: ${error.message.replace(/^replaceHead: /, '')}`)
    throw error
  }
}

/**
 * The trained model for the classes of the data, some of its layers frozen. It takes the model over: the one given is this one, or is
 * disposed.
 * @throws FormatError when the pictures are not those that it takes; UsageError when its layers are not as the options say
 */
export function makeTuned(
  { file, model }: Described,
  shape: readonly number[],
  classes: readonly string[],
  { from, freeze, headOnly, unfreeze, seed }: RunSettings,
): Graph {
  checkInput(model.input, shape, from)
  const isSame = classes.length === file.classes.length && classes.every((name, n) => name === file.classes[n])
  let made = model
  if (!isSame) {
    headOf(model, optionWords('--from', from))
    made = replaceHead(model, { classes: classes.length, seed, layers: known }).model
    model.dispose()
  }
  checkOutput(made, classes.length, from)
  try {
    if (unfreeze) made.unfreeze(() => true)
    if (freeze !== 'none') made.freeze(new RegExp(freeze))
    if (headOnly) {
      const head = headOf(made, '--head-only')
      const layer = made.nodes.find(({ name }) => name === head)?.layer
      made.freeze((other) => other !== layer)
    }
  } catch (error) {
    if (error instanceof ArgumentError)
      throw new UsageError(`${optionWords('--freeze', freeze)}: ${error.message.replace(/^freeze: /, '')}`)
    throw error
  }
  if (made.parameters().length === 0)
    throw new UsageError(`${optionWords('--freeze', freeze)}: all layers would be frozen; leave some that are trained`)
  return made
}
