/** `toeplitz run`: what a model of another library gives for a picture or for arrays. */
import { extname } from 'node:path'
import { decodeImage } from '../formats/decode.js'
import { readNpy, writeNpy, type NpyArray } from '../formats/npy.js'
import { preparedTensor } from '../data/images.js'
import { checkPreprocessing, largestInput, preparePixels, type Preprocessing } from '../io/preprocessing.js'
import type { ProgramValue } from '../models/imported.js'
import type { Program } from '../models/program.js'
import { readFileOrExplain, writeFileAtomically } from '../node/files.js'
import { largestPicture } from '../node/folder.js'
import { transpose } from '../ops/layout.js'
import { init } from '../runtime/embedded.js'
import { FormatError } from '../runtime/errors.js'
import { tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { scope, type AnyTensor } from '../tensor/tensor.js'
import type { RunOptions } from './actions.js'
import { UsageError } from './errors.js'
import { readForeign } from './foreign.js'
import { columns, outputTo, type CliStreams, type Output } from './terminal.js'

/** Numbers of an output that are printed where nothing else is asked for. */
const SHOWN = 8

export const extents = ({ shape }: ProgramValue): string =>
  shape ? `(${shape.map((extent) => extent ?? '?').join(', ')})` : 'any shape'
const listed = (values: readonly ProgramValue[]): string =>
  values.map((value) => `${value.name} ${value.dtype} ${extents(value)}`).join('; ')

/** Files by the names of inputs: `name=path`, or of the only input a path alone. */
function filesOf(given: readonly string[], { inputs }: Program): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const text of given) {
    const named = inputs.find(({ name }) => text.startsWith(`${name}=`))
    const value = named ?? (inputs.length === 1 ? inputs[0] : undefined)
    if (!value)
      throw new UsageError(
        `--input ${text}: the model has the inputs ${listed(inputs)}; say which, as in --input ${inputs[0]?.name ?? 'x'}=${text}`,
      )
    const { name } = value
    if (files.has(name)) throw new UsageError(`--input ${text}: '${name}' is given twice`)
    files.set(name, named ? text.slice(name.length + 1) : text)
  }
  const missing = inputs.filter(({ name }) => !files.has(name))
  if (missing.length > 0)
    throw new UsageError(`--input is missing for ${listed(missing)}; give a picture or a .npy file for each`)
  return files
}

/** Where channels, rows and columns are in an input of pictures. */
interface Layout {
  readonly channels: 1 | 3
  /** Undefined: those of the picture. */
  readonly height: number | undefined
  readonly width: number | undefined
  readonly channelsLast: boolean
}

/** @throws UsageError where the input takes no pictures */
function layoutOf(value: ProgramValue, file: string): Layout {
  const { name, shape, dtype } = value
  const isChannels = (extent: unknown): extent is 1 | 3 => extent === 1 || extent === 3
  const [batch, first, second, third] = shape ?? []
  const number = (extent: unknown): number | undefined => (typeof extent === 'number' ? extent : undefined)
  const isPictures = shape?.length === 4 && (dtype === 'float32' || dtype === 'uint8') && (number(batch) ?? 1) === 1
  if (isPictures && isChannels(first))
    return { channels: first, height: number(second), width: number(third), channelsLast: false }
  if (isPictures && isChannels(third))
    return { channels: third, height: number(first), width: number(second), channelsLast: true }
  throw new UsageError(
    `--input ${file}: '${name}' is ${dtype} ${extents(value)}, which is no picture of 1 or 3 channels; give a .npy file`,
  )
}

/** The numbers of an option that may be one, or one for each channel. @throws UsageError */
export function perChannel(
  option: string,
  values: readonly number[],
  channels: number,
  name: string,
): readonly number[] {
  if (values.length === 1) return new Array<number>(channels).fill(values[0] as number)
  if (values.length === channels) return values
  throw new UsageError(`--${option}: there are ${values.length} numbers, and '${name}' has ${channels} channels`)
}

/** A picture as an input takes it; says what was done to it. */
async function pictureFor(value: ProgramValue, file: string, options: RunOptions, notes: Output): Promise<AnyTensor> {
  const { channels, height, width, channelsLast } = layoutOf(value, file)
  const { maxPixels, maxBytes, fit, order, mean, std, resize } = options
  const image = decodeImage(await readFileOrExplain(file, { maxBytes: largestPicture }), file, { maxPixels, maxBytes })
  const size = [height ?? image.height, width ?? image.width] as const
  if (size[0] * size[1] > largestInput)
    throw new FormatError(`${file}: has ${size[1]} × ${size[0]} pixels; that is too many`)
  const isBytes = value.dtype === 'uint8'
  // Models that take bytes normalize them themselves.
  const scale = options.scale ?? (isBytes ? 1 : 1 / 255)
  const preprocessing: Preprocessing = checkPreprocessing(
    {
      ...{ channels, order, invert: 'never', size, fit, interpolation: 'area', scale },
      ...(resize === undefined ? {} : { resize }),
      normalization: {
        mean: perChannel('mean', mean, channels, value.name),
        std: perChannel('std', std, channels, value.name),
      },
    },
    `--input ${file}`,
  )
  if (isBytes && (scale !== 1 || mean.some((each) => each !== 0) || std.some((each) => each !== 1)))
    throw new UsageError(`--scale, --mean and --std: '${value.name}' takes bytes as they are`)
  const pixels = preparePixels(image, preprocessing)
  const shape = channelsLast ? [1, ...size, channels] : [1, channels, ...size]
  const how = image.width === size[1] && image.height === size[0] ? '' : `, ${fit} to ${size[1]} × ${size[0]}`
  const numbers = isBytes
    ? 'bytes'
    : `(pixel · ${scale === 1 / 255 ? '1/255' : scale} − ${mean.join(',')}) / ${std.join(',')}`
  const colours = channels === 1 ? 'grey' : order.toUpperCase()
  notes.line(
    `${value.name}: ${file}, ${image.width} × ${image.height} pixels${how}, ${colours}, ${numbers}, ${showShape(shape)}`,
  )
  return scope(() => {
    const x: AnyTensor = isBytes
      ? tensor(pixels, [1, channels, ...size], { dtype: 'uint8' })
      : preparedTensor([pixels], preprocessing)
    return channelsLast ? transpose(x, [0, 2, 3, 1]) : x
  })
}

/** The array of a file for an input, which must be of the type that it takes. */
function arrayFor(value: ProgramValue, file: string, { dtype, shape, values }: NpyArray): AnyTensor {
  if (dtype !== value.dtype)
    throw new FormatError(
      `${file}: is of ${dtype}, and '${value.name}' takes ${value.dtype}; save it with astype('${value.dtype}')`,
    )
  return tensor(values, shape, { dtype })
}

async function inputFor(value: ProgramValue, file: string, options: RunOptions, notes: Output): Promise<AnyTensor> {
  if (extname(file).toLowerCase() !== '.npy') return pictureFor(value, file, options, notes)
  return arrayFor(value, file, readNpy(await readFileOrExplain(file), file))
}

interface Shown {
  readonly output: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly values?: readonly number[]
  readonly top?: readonly { readonly index: number; readonly label?: string; readonly value: number }[]
}

/** The largest values of an output, with their places in its last axis. */
function topOf(y: AnyTensor, count: number, labels: readonly string[] | undefined): NonNullable<Shown['top']> {
  const values = Array.from(y.data() as ArrayLike<number | bigint>, Number)
  const classes = y.shape.at(-1) ?? 1
  if (values.length !== classes)
    throw new UsageError(
      `--top: the output is ${showShape(y.shape)}, and one list of classes is needed; choose another by --output`,
    )
  if (labels && labels.length !== classes)
    throw new UsageError(`--labels: there are ${labels.length} names, and ${classes} classes`)
  // What is no number comes last.
  const rank = (value: number): number => (Number.isNaN(value) ? -Infinity : value)
  return values
    .map((value, index) => ({ index, ...(labels && { label: labels[index] as string }), value }))
    .sort((a, b) => (rank(a.value) === rank(b.value) ? a.index - b.index : rank(b.value) - rank(a.value)))
    .slice(0, count)
}

const digits = (value: number): string => String(Number(value.toPrecision(6)))

/** Where outputs are written: of several, each under its name. @throws UsageError where two would be one file */
function filesFor(path: string, names: readonly string[]): ReadonlyMap<string, string> {
  if (names.length === 1) return new Map([[names[0] as string, path]])
  const stem = path.replace(/\.npy$/i, '')
  const files = new Map(names.map((name) => [name, `${stem}.${name.replace(/[^\w.-]+/g, '_')}.npy`]))
  if (new Set(files.values()).size < names.length)
    throw new UsageError(`--save ${path}: two outputs of ${names.join(', ')} would be one file; choose one by --output`)
  return files
}

/** The action behind `toeplitz run`. */
export async function runCommand(
  path: string,
  options: RunOptions,
  { stdout, stderr }: CliStreams = process,
): Promise<undefined> {
  const [out, notes] = [outputTo(stdout), outputTo(stderr)]
  await init()
  const program = await readForeign(path)
  const made: AnyTensor[] = []
  try {
    const files = filesOf(options.input, program)
    const names = options.output.length > 0 ? options.output : program.outputs.map(({ name }) => name)
    const saved = options.save === undefined ? new Map<string, string>() : filesFor(options.save, names)
    const labels = options.labels === undefined ? undefined : await labelsOf(options.labels)
    const given: Record<string, AnyTensor> = {}
    for (const value of program.inputs) {
      const x = await inputFor(value, files.get(value.name) as string, options, notes)
      made.push(x)
      given[value.name] = x
    }
    const results = program.run(given, names)
    made.push(...Object.values(results))
    const shown = names.map((output): Shown => {
      const y = results[output] as AnyTensor
      const { dtype, shape } = y
      if (options.top !== undefined) return { output, dtype, shape, top: topOf(y, options.top, labels) }
      const values = Array.from(y.data() as ArrayLike<number | bigint>, Number)
      return { output, dtype, shape, values }
    })
    for (const [output, file] of saved) {
      const y = results[output] as AnyTensor
      await writeFileAtomically(file, writeNpy({ dtype: y.dtype, shape: y.shape, values: y.data() } as NpyArray))
      notes.line(`${output}: saved as ${file}`)
    }
    if (options.json) out.json(shown)
    else out.text(shown.flatMap((each) => textOf(each)))
  } finally {
    for (const each of made) each.dispose()
    program.dispose()
  }
  return undefined
}

function textOf({ output, dtype, shape, values = [], top }: Shown): string[] {
  const head = `${output} ${dtype} ${showShape(shape)}`
  if (top) {
    const rows = top.map(({ index, label, value }) => [
      String(index),
      ...(label === undefined ? [] : [label]),
      digits(value),
    ])
    return [head, ...columns(rows, (column) => column !== 1 || rows[0]?.length === 2).map((line) => `  ${line}`)]
  }
  if (values.length === 0) return [`${head}: no elements`]
  const [least, most] = values.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  )
  const first = values.slice(0, SHOWN).map(digits).join(', ')
  const range = `from ${digits(least)} to ${digits(most)}`
  return [head, `  ${range}: ${first}${values.length > SHOWN ? ', …' : ''}`]
}

/** Names of classes, one in each line. */
async function labelsOf(file: string): Promise<string[]> {
  const text = new TextDecoder().decode(await readFileOrExplain(file, { maxBytes: 2 ** 26 }))
  return text.replace(/\r?\n$/, '').split(/\r?\n/)
}
