/** Folders of pictures, one folder in it for each class, read when they are needed. Node only. */
import { readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { assertSameImages, imageRange, type ImageFiles } from '../data/dataset.js'
import type { PictureLimits } from '../io/limits.js'
import { coverPlanes, decodeImage } from '../io/planar.js'
import { FormatError } from '../runtime/errors.js'
import { permutation } from '../train/examples.js'
import { isA, readFileOrExplain } from './files.js'
import type { Split } from './mnist.js'

const extensions = ['.png', '.jpg', '.jpeg']

/** Decoded pictures are kept where all of them take at most this many bytes. */
const CACHE_BYTES = 512 * 1024 * 1024

/** Share of the pictures that are tested with where the folder does not say: MNIST's and CIFAR-10's, about. */
const TEST_SHARE = 1 / 6

/** Options of `openImageFolder` and `loadImageFolder`. */
export interface ImageFolderOptions extends PictureLimits {
  /** Height and width of the pictures: others are resized until they cover it, and cut. Default: those of the first one. */
  readonly size?: readonly [height: number, width: number]
  /** 1 for grey, 3 for colour. Default: those of the first picture. */
  readonly channels?: 1 | 3
  /** A damaged picture is an error, instead of one that is skipped. Default false. */
  readonly strict?: boolean
  /** Told once of each picture that is skipped. */
  readonly onSkip?: (error: FormatError) => void
  /** Decoded pictures are kept in memory where all of them take at most this many bytes. Default 512 MiB. */
  readonly cacheBytes?: number
}

interface LabelledFile {
  readonly path: string
  readonly label: number
}

/**
 * Opens a folder with a folder of PNG and JPEG files for each class; the classes are in the order of their names, the
 * pictures in one drawn by the seed 0, so that the first ones are of every class. Other files are passed over.
 *
 * @throws FormatError when there is no class, one of them is empty, or none of the pictures can be read
 */
export async function openImageFolder(directory: string, options: ImageFolderOptions = {}): Promise<ImageFiles> {
  const classes = await foldersIn(directory)
  if (classes.length === 0) {
    throw new FormatError(`${directory}: there is no folder in it; expected one for each class, with its pictures`)
  }
  const sorted: LabelledFile[] = []
  for (const [label, name] of classes.entries()) {
    const files = (await readdir(join(directory, name), { withFileTypes: true }))
      .filter((entry) => !entry.isDirectory() && extensions.includes(extname(entry.name).toLowerCase()))
      .map((entry) => entry.name)
      .sort()
    if (files.length === 0) {
      throw new FormatError(
        `${join(directory, name)}: the class is empty; put pictures (${extensions.join(', ')}) in it, or remove it`,
      )
    }
    for (const file of files) sorted.push({ path: join(directory, name, file), label })
  }
  const files = Array.from(permutation(sorted.length, 0, 0), (index) => sorted[index] as LabelledFile)
  const reader = new FileReader(files, options)
  return {
    files: files.map(({ path }) => path),
    labels: Int32Array.from(files, ({ label }) => label),
    size: files.length,
    shape: await reader.findShape(),
    classes,
    read: (index) => reader.read(index),
  }
}

/**
 * Pictures to train on and to test with: of the folders `train` and `test` in it, or one sixth of those in the classes'
 * folders themselves to test with. Call `init()` before.
 *
 * @throws FormatError as `openImageFolder`, ShapeError when the two have different classes
 */
export async function loadImageFolder(directory: string, options: ImageFolderOptions = {}): Promise<Split<ImageFiles>> {
  if (!(await isA('directory', directory))) throw new FormatError(`${directory}: no such directory`)
  const paths = { training: join(directory, 'train'), test: join(directory, 'test') }
  if ((await isA('directory', paths.training)) && (await isA('directory', paths.test))) {
    const training = await openImageFolder(paths.training, options)
    const [C, H, W] = training.shape
    const test = await openImageFolder(paths.test, { ...options, channels: C as 1 | 3, size: [H, W] })
    assertSameImages(training, test, paths)
    return { training, test }
  }
  const all = await openImageFolder(directory, options)
  const count = Math.max(1, Math.round(all.size * TEST_SHARE))
  if (all.size < 3) throw new FormatError(`${directory}: ${all.size} pictures; at least 3 are needed to train and test`)
  return { training: imageRange(all, count, all.size), test: imageRange(all, 0, count) }
}

async function foldersIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort()
}

/** Reads and decodes files, one at a time for each that is asked for, and remembers what it found. */
class FileReader {
  readonly #files: readonly LabelledFile[]
  readonly #options: ImageFolderOptions
  readonly #skipped = new Set<number>()
  readonly #kept = new Map<number, Uint8Array>()
  #shape: readonly [1 | 3, number, number] = [3, 0, 0]
  #keeps = false

  constructor(files: readonly LabelledFile[], options: ImageFolderOptions) {
    this.#files = files
    this.#options = options
  }

  /** The shape of all pictures, from the options or from the first that can be read. */
  async findShape(): Promise<readonly [1 | 3, number, number]> {
    const { channels, size, cacheBytes = CACHE_BYTES } = this.#options
    const first = channels && size ? undefined : await this.#firstReadable()
    this.#shape = [
      channels ?? (first && first.channels < 3 ? 1 : 3),
      ...(size ?? ([first?.height ?? 0, first?.width ?? 0] as const)),
    ]
    const [C, H, W] = this.#shape
    this.#keeps = this.#files.length * C * H * W <= cacheBytes
    return this.#shape
  }

  async #firstReadable(): Promise<ReturnType<typeof decodeImage>> {
    for (const index of this.#files.keys()) {
      const image = await this.#decode(index)
      if (image) return image
    }
    const [file] = this.#files
    throw new FormatError(`${file?.path}: none of the ${this.#files.length} pictures, such as this one, can be read`)
  }

  async read(index: number): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(index)
    if (kept) return kept
    const image = await this.#decode(index)
    if (!image) return undefined
    const [C, H, W] = this.#shape
    const { data } = coverPlanes(image, C, H, W)
    if (this.#keeps) this.#kept.set(index, data)
    return data
  }

  async #decode(index: number): Promise<ReturnType<typeof decodeImage> | undefined> {
    if (this.#skipped.has(index)) return undefined
    const { path } = this.#files[index] as LabelledFile
    try {
      return decodeImage(await readFileOrExplain(path), path, this.#options)
    } catch (error) {
      if (!(error instanceof FormatError) || this.#options.strict === true) throw error
      if (!this.#skipped.has(index)) this.#options.onSkip?.(error)
      this.#skipped.add(index)
      return undefined
    }
  }
}
