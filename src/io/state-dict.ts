/** Weights of other libraries: PyTorch's state dicts, as safetensors files. */
import { FormatError, ToeplitzError } from '../runtime/errors.js'
import { checkCallback, checkModel, checkSwitch } from '../runtime/check.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { inWords, showShape } from '../runtime/text.js'
import { sameShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { FileBytes } from '../formats/limits.js'
import { openSafetensors, type SafetensorsTensor } from '../formats/safetensors.js'

/** What takes weights by name: `Sequential`, `Graph`, and anything else that has named state. */
export interface Stateful {
  /** Everything that is saved, by name. */
  namedState(): ReadonlyMap<string, Tensor>
}

/** Options of `loadStateDict`. */
export interface StateDictOptions {
  /** Whether names that are missing or left over are an error; default true. Shapes must always agree. */
  readonly strict?: boolean | undefined
  /** The model's name for one of the file; undefined leaves the tensor out. It is asked before anything else. */
  readonly rename?: ((name: string) => string | undefined) | undefined
  /** What errors call the file; default 'the state dict'. */
  readonly name?: string | undefined
}

/** Names that did not meet. */
export interface StateDictReport {
  /** Names of the model that the file has not: their weights stay as they are. */
  readonly missing: readonly string[]
  /** Names of the file that the model has not. */
  readonly unexpected: readonly string[]
}

const optionNames = { strict: 0, rename: 0, name: 0 }

/** What wrappers put before every name. */
const wrappers = ['module.', 'model.', '_orig_mod.', 'state_dict.', 'params_ema.']

/** PyTorch's names of running statistics, and what they are called here. */
const statistics: Readonly<Record<string, string>> = { running_mean: 'runningMean', running_var: 'runningVar' }

/** How timm calls layers of VGG and of MobileNetV2, and torchvision's names of them. */
const timmNames: readonly (readonly [theirs: string, ours: string])[] = [
  ['pre_logits.fc1.', 'classifier.0.'],
  ['pre_logits.fc2.', 'classifier.3.'],
  ['head.fc.', 'classifier.6.'],
  ['conv_stem.', 'features.0.0.'],
  ['bn1.', 'features.0.1.'],
  ['conv_head.', 'features.18.0.'],
  ['bn2.', 'features.18.1.'],
  ['classifier.', 'classifier.1.'],
]

/** Places in torchvision's `features` of the first blocks of MobileNetV2's stages, and timm's names of what a block is made of. */
const STAGES = [1, 2, 4, 7, 11, 14, 17]
const firstParts = { conv_dw: '0.0', bn1: '0.1', conv_pw: '1', bn2: '2' }
const blockParts = { conv_pw: '0.0', bn1: '0.1', conv_dw: '1.0', bn2: '1.1', conv_pwl: '2', bn3: '3' }

/** torchvision's name for one of timm's; the name itself where it is none that differs. */
function fromTimm(name: string): string {
  const [, stage, place, part = '', rest] = /^blocks\.([0-6])\.([0-3])\.(\w+)\.(\w+)$/.exec(name) ?? []
  if (stage !== undefined) {
    const parts: Readonly<Record<string, string>> = stage === '0' ? firstParts : blockParts
    return `features.${(STAGES[Number(stage)] as number) + Number(place)}.conv.${parts[part] ?? part}.${rest}`
  }
  const [theirs, ours] = timmNames.find(([prefix]) => name.startsWith(prefix)) ?? ['', '']
  return ours + name.slice(theirs.length)
}

/** The names of a file without the wrappers that all of them have. */
function unwrapped(names: readonly string[]): Map<string, string> {
  let common = ''
  for (let found: string | undefined = ''; found !== undefined && names.length > 0;) {
    const before: string = common
    found = wrappers.find((wrapper) => names.every((name) => name.startsWith(before + wrapper)))
    if (found !== undefined) common += found
  }
  return new Map(names.map((name) => [name, name.slice(common.length)]))
}

/** PyTorch's name of a statistic as it is called here. */
function translated(name: string): string {
  const dot = name.lastIndexOf('.')
  const own = statistics[name.slice(dot + 1)]
  return own === undefined ? name : name.slice(0, dot + 1) + own
}

/** The name in the model that a name of the file means; undefined where the model has none. */
function targetOf(name: string, state: ReadonlyMap<string, Tensor>): string | undefined {
  return [name, translated(name), translated(fromTimm(name))].find((candidate) => state.has(candidate))
}

/**
 * Whether a tensor's elements are those of a weight: it has the weight's shape, or one of the two is fully connected (out, in) and
 * the other a convolution (out, C, R, S) over a map of its whole extent, C · R · S = in, which lists the same numbers.
 */
const holds = (stored: Shape, shape: Shape): boolean =>
  sameShape(stored, shape) ||
  (Math.min(stored.length, shape.length) === 2 &&
    Math.max(stored.length, shape.length) === 4 &&
    stored[0] === shape[0] &&
    sizeOf(stored) === sizeOf(shape))

/** The elements of a tensor as floats: those of float64 are rounded. @throws FormatError where it holds whole numbers or no finite ones */
function floatsOf({ dtype, data }: SafetensorsTensor, name: string): Float32Array {
  if (!(data instanceof Float32Array || data instanceof Float64Array))
    throw new FormatError(`tensor ${inWords(name)} is of ${dtype}; weights are of F32, F16, BF16 or F64`)
  const floats = data instanceof Float32Array ? data : new Float32Array(data)
  if (!floats.every(Number.isFinite)) throw new FormatError(`tensor ${inWords(name)} has values that are not finite`)
  return floats
}

/** A list that a message can hold: the first names, and how many more there are. */
const listed = (names: readonly string[]): string => names.map((name) => inWords(name)).join(', ')

/**
 * Puts the weights of a PyTorch state dict, saved with `safetensors.torch.save_file`, into a model. Prefixes that all names have
 * (`module.`, `model.`, `_orig_mod.`, `state_dict.`, `params_ema.`) are dropped, `running_mean` and `running_var` are known,
 * `num_batches_tracked` is passed over. timm's names of the layers of VGG, whose fully connected weights are convolutions (out, C, R,
 * S) there, and of MobileNetV2 are known, too. F16, BF16 and F64 become float32. Nothing is changed unless everything fits.
 *
 *     loadStateDict(model, bytes, { rename: (name) => name.replace(/^backbone\./, '') })
 *
 * @throws FormatError with every name that is missing, left over or of another shape
 */
export function loadStateDict(model: Stateful, file: FileBytes, options: StateDictOptions = {}): StateDictReport {
  checkCount('loadStateDict', 3, arguments)
  checkModel(model, 'loadStateDict: the model')
  checkKeys('loadStateDict', options, optionNames)
  const { strict = true, rename, name: what = 'the state dict' } = options
  checkSwitch(strict, 'loadStateDict: strict')
  checkCallback(rename, 'loadStateDict: rename', 'a function of a name')
  const { tensors } = openSafetensors(file, what)
  const state = model.namedState()
  const stripped = unwrapped([...tensors.keys()])
  const chosen = new Map<string, string>()
  const unexpected: string[] = []
  const twice: string[] = []
  for (const name of tensors.keys()) {
    const asked = rename ? rename(name) : (stripped.get(name) as string)
    if (asked === undefined || /(^|\.)num_batches_tracked$/.test(name)) continue
    // A model may have a wrapper's name of its own.
    const target = (rename ? undefined : targetOf(name, state)) ?? targetOf(asked, state)
    if (target === undefined) unexpected.push(name)
    else if (chosen.has(target)) twice.push(name)
    else chosen.set(target, name)
  }
  const missing = [...state.keys()].filter((name) => !chosen.has(name))
  const values = new Map<string, Float32Array>()
  const wrong: string[] = []
  for (const [target, name] of chosen) {
    const { shape } = state.get(target) as Tensor
    const stored = tensors.get(name) as SafetensorsTensor
    if (!holds(stored.shape, shape)) {
      wrong.push(`${inWords(name)} is ${showShape(stored.shape)}, not ${showShape(shape)}`)
      continue
    }
    try {
      values.set(target, floatsOf(stored, name))
    } catch (error) {
      if (!(error instanceof ToeplitzError)) throw error
      wrong.push(error.message)
    }
  }
  const faults = [
    ...(wrong.length > 0 ? [`of another shape or type: ${wrong.join(', ')}`] : []),
    ...(twice.length > 0 ? [`there twice under one name: ${listed(twice)}`] : []),
    ...(strict && missing.length > 0 ? [`missing: ${listed(missing)}`] : []),
    ...(strict && unexpected.length > 0 ? [`unexpected: ${listed(unexpected)}`] : []),
  ]
  if (faults.length > 0) {
    const advice =
      strict && missing.length + unexpected.length > 0
        ? '; give rename, or strict: false to leave them as they are'
        : ''
    throw new FormatError(`${what}: does not fit the model: ${faults.join('; ')}${advice}`)
  }
  for (const [target, data] of values) (state.get(target) as Tensor).assign(data)
  return { missing, unexpected }
}
