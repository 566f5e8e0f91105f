/** Parts of data sets by the numbers of their examples: shuffled, split with every class on both sides, and with classes of equal weight. */
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords, named } from '../runtime/text.js'
import { permutation, type DistantExamples, type Examples } from '../train/examples.js'
import type { ImageSource } from './dataset.js'
import { MOST_BYTES } from './collecting.js'
import { checkSource } from './source.js'

/** Data of which parts can be taken: examples as `fit` takes them, or labelled pictures. */
export type Choosable = Examples<unknown> | DistantExamples<unknown> | ImageSource

/** Options of `stratifiedSplit`. */
export interface StratifiedSplitOptions {
  /** Share of the examples of each class that is held out, above 0 and below 1. Default 0.2. */
  readonly share?: number
  /** Seed of which ones they are. Default 0. */
  readonly seed?: number
}

/** Options of `balanceClasses`. */
export interface BalanceOptions {
  /** How often each class occurs; default: as often as the largest class. */
  readonly perClass?: number
  /** Seed of which examples come first, where not all of a class are taken equally often. Default 0. */
  readonly seed?: number
}

/** The most examples that data can be made of: their numbers are 32-bit integers. */
const MOST = 2 ** 29

const MOST_SEED = 2 ** 32 - 1

/** Whether data are labelled pictures; checks what they are of. @throws ArgumentError unless they are data */
function isPictures(data: unknown, name: string): data is ImageSource {
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw wrongKind(`${name}: the data`, 'examples as fit takes them, or labelled pictures', data)
  if ('classes' in data && 'shape' in data) {
    checkSource(data, name)
    return true
  }
  const { size, batch, read } = data as Partial<Examples<unknown> & DistantExamples<unknown>>
  if (!Number.isInteger(size) || (size as number) < 0 || typeof (read ?? batch) !== 'function') {
    throw wrongKind(
      `${name}: the data`,
      'examples as fit takes them, with size and batch() or read(), or labelled pictures',
      data,
    )
  }
  return false
}

/** Values at some places, in an array of the same kind. */
function at<List extends ArrayLike<unknown>>(list: List, indices: Int32Array): List {
  if (!ArrayBuffer.isView(list)) return Array.from(indices, (index) => list[index]) as unknown as List
  // `from` would make a list of all numbers first.
  const to = new (list.constructor as new (length: number) => { [n: number]: unknown })(indices.length)
  for (let n = 0; n < indices.length; n++) to[n] = list[indices[n] as number]
  return to as unknown as List
}

function subsetOfPictures(source: ImageSource, indices: Int32Array, name: string): ImageSource {
  const bytes = 'images' in source ? source.shape.reduce((product, extent) => product * extent, 1) : 0
  if (indices.length * bytes > MOST_BYTES)
    throw new ArgumentError(
      `${name}: ${indices.length} pictures of ${bytes} bytes take more than 4 GiB; take fewer, or pictures in files`,
    )
  const common = { labels: at(source.labels, indices), size: indices.length }
  if (!('images' in source)) {
    const files = source.files && at(source.files, indices)
    const read = (index: number): Promise<Uint8Array | undefined> => source.read(indices[index] as number)
    return { ...source, ...common, ...(files ? { files } : {}), read }
  }
  const images = new Uint8Array(indices.length * bytes)
  indices.forEach((index, n) => {
    images.set(source.images.subarray(index * bytes, (index + 1) * bytes), n * bytes)
  })
  return { ...source, ...common, images }
}

function chosen<Data extends Choosable>(data: Data, indices: Int32Array, name: string): Data {
  if (isPictures(data, name)) return subsetOfPictures(data, indices, name) as Data
  const examples: Examples<unknown> | DistantExamples<unknown> = data
  const { labels, groups } = examples
  const rest = {
    ...(labels ? { labels: Array.from(indices, (index) => labels[index]) } : {}),
    ...(groups ? { groups: Array.from(indices, (index) => groups[index] as number) } : {}),
    size: indices.length,
  }
  const own = (places: Int32Array): Int32Array => places.map((place) => indices[place] as number)
  if (!('read' in examples))
    return { ...rest, batch: (places, draw) => examples.batch(own(places), draw) } as Examples<unknown> as Data
  const distant: DistantExamples<unknown> = {
    ...rest,
    async read(places) {
      const wanted = own(places)
      const { indices: found, batch } = await examples.read(wanted)
      // Those that could be read are some of those that were asked for, in their order.
      let next = 0
      const sound = places.filter((_, n) => next < found.length && found[next] === wanted[n] && ++next > 0)
      return { indices: sound, batch }
    },
  }
  return distant as Data
}

/**
 * The examples, or the pictures, of these numbers, in this order; a number may stand there more than once. Pictures in memory are
 * copied, all else is read when it is needed.
 *
 *     subset(examples, [4, 0, 4])
 *
 * @throws ArgumentError when a number is none of an example
 */
export function subset<Data extends Choosable>(data: Data, indices: ArrayLike<number>): Data {
  checkCount('subset', 2, arguments)
  isPictures(data, 'subset')
  const isList = Array.isArray(indices) || (ArrayBuffer.isView(indices) && !(indices instanceof DataView))
  if (!isList) throw wrongKind('subset: the numbers', 'a list of whole numbers', indices)
  const list = Array.from(indices as ArrayLike<number>)
  const wrong = list.findIndex((index) => !Number.isInteger(index) || index < 0 || index >= data.size)
  if (wrong >= 0) throw wrongKind('subset: the numbers', `whole numbers from 0 to ${data.size - 1}`, list[wrong])
  return chosen(data, Int32Array.from(list), 'subset')
}

/**
 * The same examples, or pictures, in a random order of the seed. `fit` shuffles by itself: this is for data that is cut up afterwards.
 *
 *     shuffled(dataset, 7)
 *
 * @throws ArgumentError when the data is none, or the seed is no whole number
 */
export function shuffled<Data extends Choosable>(data: Data, seed = 0): Data {
  checkCount('shuffled', 2, arguments)
  isPictures(data, 'shuffled')
  checkWhole(seed, 'shuffled: seed', 0, MOST_SEED)
  return chosen(data, permutation(data.size, seed, 0), 'shuffled')
}

/** The numbers of the examples of each class, in the order of the classes. @throws ArgumentError where a class has none */
function membersOf(data: Choosable, name: string): { readonly label: string; readonly members: Int32Array }[] {
  const pictures = isPictures(data, name)
  const { labels, size } = data
  if (!labels)
    throw new ArgumentError(
      `${name}: the examples do not tell their labels; give data that has labels, such as tensorExamples(x, y)`,
    )
  const byLabel = new Map<unknown, number[]>()
  for (let index = 0; index < size; index++) {
    const given = labels[index]
    const label = typeof given === 'bigint' ? Number(given) : given
    if (!['number', 'string', 'boolean'].includes(typeof label) || Number.isNaN(label))
      throw wrongKind(`${name}: label ${index}`, 'the number or the name of a class', label)
    const members = byLabel.get(label)
    if (members) members.push(index)
    else byLabel.set(label, [index])
  }
  const classes = pictures ? data.classes : undefined
  const wrong = classes && [...byLabel.keys()].find((label) => classes[label as number] === undefined)
  if (classes && wrong !== undefined)
    throw new ArgumentError(`${name}: there is label ${inWords(wrong)}, and only ${classes.length} classes`)
  const all = classes
    ? classes.map((_, k) => k)
    : [...byLabel.keys()].sort((a, b) => ((a as number) < (b as number) ? -1 : 1))
  return all.map((label) => {
    const members = byLabel.get(label)
    const word = classes ? `${String(label)} (${named(classes[label as number])})` : inWords(label)
    if (!members) throw new ArgumentError(`${name}: class ${word} has no example; leave it out of the classes`)
    return { label: word, members: Int32Array.from(members) }
  })
}

/** Members in a random order that no other class and no order of an epoch has. */
const inOrder = (members: Int32Array, seed: number, k: number): Int32Array =>
  // Epochs are counted from 0: the last numbers are free.
  permutation(members.length, seed, MOST - 1 - k).map((place) => members[place] as number)

/**
 * Splits data at random by a seed, so that each class has its share in both parts: of n examples, n times `share` to the nearest, at
 * least one and at most n − 1. Both parts keep the order of the data.
 *
 *     const { training, validation } = stratifiedSplit(dataset, { share: 0.2, seed: 1 })
 *
 * @throws ArgumentError when a class has fewer than two examples, or the examples do not tell their labels
 */
export function stratifiedSplit<Data extends Choosable>(
  data: Data,
  options: StratifiedSplitOptions = {},
): { readonly training: Data; readonly validation: Data } {
  const name = 'stratifiedSplit'
  checkCount(name, 2, arguments)
  checkKeys(name, options, { share: 0, seed: 0 } satisfies Names<StratifiedSplitOptions>)
  const { share = 0.2, seed = 0 } = options
  checkNumber(share, `${name}: share`)
  if (share <= 0 || share >= 1) throw wrongKind(`${name}: share`, 'a number above 0 and below 1', share)
  checkWhole(seed, `${name}: seed`, 0, MOST_SEED)
  const classes = membersOf(data, name)
  const held = new Uint8Array(data.size)
  classes.forEach(({ label, members }, k) => {
    const { length } = members
    if (length < 2)
      throw new ArgumentError(
        `${name}: class ${label} has one example, and both parts need one; add some, or leave it out`,
      )
    const count = Math.min(length - 1, Math.max(1, Math.floor(share * length + 0.5)))
    for (const index of inOrder(members, seed, k).subarray(0, count)) held[index] = 1
  })
  const all = Int32Array.from({ length: data.size }, (_, i) => i)
  return {
    training: chosen(
      data,
      all.filter((index) => held[index] === 0),
      name,
    ),
    validation: chosen(
      data,
      all.filter((index) => held[index] === 1),
      name,
    ),
  }
}

/**
 * Data in which each class occurs equally often: the examples of smaller classes are taken several times, each as often as the others
 * of its class or once more. `fit` shuffles them, and changes pictures at random each time.
 *
 *     await fit(model, balanceClasses(imageExamples(photos, normalization, { flip: true })), { … })
 *
 * @throws ArgumentError when a class has no example, or the examples do not tell their labels
 */
export function balanceClasses<Data extends Choosable>(data: Data, options: BalanceOptions = {}): Data {
  const name = 'balanceClasses'
  checkCount(name, 2, arguments)
  checkKeys(name, options, { perClass: 0, seed: 0 } satisfies Names<BalanceOptions>)
  const { seed = 0 } = options
  checkWhole(seed, `${name}: seed`, 0, MOST_SEED)
  const classes = membersOf(data, name)
  if (classes.length === 0) throw new ArgumentError(`${name}: there is no example`)
  const most = Math.floor(MOST / classes.length)
  const largest = classes.reduce((most, { members }) => Math.max(most, members.length), 0)
  const perClass = checkWhole(options.perClass ?? largest, `${name}: perClass`, 1, most)
  const indices = new Int32Array(perClass * classes.length)
  classes.forEach(({ members }, k) => {
    const order = inOrder(members, seed, k)
    for (let n = 0; n < perClass; n++) indices[n * classes.length + k] = order[n % order.length] as number
  })
  return chosen(data, indices, name)
}
