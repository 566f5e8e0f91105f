/** Predictions for lists of pictures: ordered, one line for each, in a file that can be gone on with. */
import { readFile } from 'node:fs/promises'
import { codeOf, readFileOrExplain } from '../node/files.js'
import { appendToFile, truncateFile, writeFileAtomically } from '../node/files.js'
import { largestPicture } from '../node/folder.js'
import { checkCallback, checkList, checkPath, checkWhole } from '../runtime/check.js'
import { FormatError, ToeplitzError } from '../runtime/errors.js'
import { needKeys, type Names } from '../runtime/options.js'
import { answerOf } from './answer.js'
import { SECONDS } from './compute.js'
import type { Engine } from './engine.js'
import type { PredictJob } from './jobs.js'
import { ownRelease } from './release.js'
import { decodeLines, encodePictures, type SentPicture } from './wire.js'

/** Options of a pool's `predict`. */
export interface PredictListsOptions {
  /** The model: path of a model.safetensors, or its bytes. */
  readonly model: string | Uint8Array
  /** Path of the file that gets the lines. */
  readonly output: string
  /** Classes for each picture, the most probable first. Default 5. */
  readonly top?: number
  /** Pictures in a job. Default 32. */
  readonly shard?: number
  /** Told after each job whose lines are written, and waited for. */
  readonly onProgress?: (done: number, inputs: number) => void | Promise<void>
}

/** What was written. */
export interface PredictReport {
  /** Lines in the file: one for each input. */
  readonly lines: number
  /** Those that were there already. */
  readonly resumed: number
  /** Those of this call that tell of a picture that could not be read. */
  readonly failed: number
}

const names = { model: 0, output: 0, top: 0, shard: 0, onProgress: 0 } satisfies Names<PredictListsOptions>

/** Jobs in flight, and the bytes of their pictures: with more, pictures would pile up in memory and in the store. */
const AHEAD = { jobs: 16, bytes: 2 ** 28 } as const

/** Whole lines of a file that a call before this one left; what follows the last is cut off. */
async function linesOf(path: string, inputs: readonly string[]): Promise<number> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw new ToeplitzError('FILE', `${path}: cannot be read`, { cause: error })
    await writeFileAtomically(path, new Uint8Array())
    return 0
  }
  const end = bytes.lastIndexOf(0x0a) + 1
  const lines = end === 0 ? [] : bytes.toString('utf8', 0, end - 1).split('\n')
  lines.forEach((line, n) => {
    if (line.startsWith(`{"image":${JSON.stringify(inputs[n])},`)) return
    throw new FormatError(`${path}: line ${n + 1} is not that of input ${n + 1}; name another output, or remove it`)
  })
  if (end < bytes.length) await truncateFile(path, end)
  return lines.length
}

async function pictureAt(name: string): Promise<SentPicture> {
  try {
    return { name, bytes: await readFileOrExplain(name, { maxBytes: largestPicture }) }
  } catch (error) {
    if (!(error instanceof ToeplitzError)) throw error
    return { name, error: error.message }
  }
}

/** The lines of a shard, whose pictures are encoded already. */
async function linesFor(
  engine: Engine,
  pictures: Uint8Array,
  { count, model, top }: { readonly count: number; readonly model: Uint8Array; readonly top: number },
): Promise<string[]> {
  const { store } = engine
  const put = (bytes: Uint8Array): Promise<string> => store.put(bytes, SECONDS.answer)
  const again = (): Promise<[string, string]> => Promise.all([put(model), put(pictures)])
  const [modelName, picturesName] = await again()
  const job: PredictJob = { type: 'predict', ...ownRelease(), model: modelName, pictures: picturesName, top }
  const { result, bytes } = await answerOf(engine, { job, put: again, keep: true })
  await store.delete(picturesName)
  if (!engine.keeps) await store.delete(result)
  return decodeLines(bytes, picturesName, count)
}

/** What the pictures of a list are computed with. */
interface ListOptions {
  /** A model.safetensors. */
  readonly model: Uint8Array
  /** Classes for each picture. */
  readonly top: number
  /** Pictures in a job. */
  readonly shard: number
  /** Place of the first picture in its list. */
  readonly first?: number
}

/** The lines of some pictures, job by job, in their order. Files are read as far ahead as jobs may be in flight. */
export async function* linesInOrder(
  engine: Engine,
  inputs: Iterable<string> | AsyncIterable<string>,
  { model, top, shard, first = 0 }: ListOptions,
  ahead: { readonly jobs: number; readonly bytes: number } = AHEAD,
): AsyncGenerator<readonly string[]> {
  const running: { readonly lines: Promise<string[]>; readonly bytes: number }[] = []
  /** Waits for the job that was begun first. */
  const takeFirst = async (): Promise<string[]> => {
    const lines = await (running[0] as (typeof running)[number]).lines
    void running.shift()
    return lines
  }
  let next = first
  for await (const own of inShards(inputs, shard)) {
    const pictures = encodePictures(await Promise.all(own.map(pictureAt)), next)
    next += own.length
    const inFlight = (): number => running.reduce((sum, { bytes: size }) => sum + size, pictures.length)
    while (running.length === ahead.jobs || (running.length > 0 && inFlight() > ahead.bytes)) yield await takeFirst()
    const lines = linesFor(engine, pictures, { count: own.length, model, top })
    // What fails while an earlier job runs is told when its turn comes; after an error nobody waits for the others.
    lines.catch(() => undefined)
    running.push({ lines, bytes: pictures.length })
  }
  while (running.length > 0) yield await takeFirst()
}

/** As many as a job has, and at the end what is left. */
async function* inShards(
  inputs: Iterable<string> | AsyncIterable<string>,
  shard: number,
): AsyncGenerator<readonly string[]> {
  let own: string[] = []
  for await (const input of inputs) {
    own.push(input)
    if (own.length < shard) continue
    yield own
    own = []
  }
  if (own.length > 0) yield own
}

/** What `Pool.predict` does. */
export async function predictLists(
  engine: Engine,
  inputs: readonly string[],
  options: PredictListsOptions,
  ahead: { readonly jobs: number; readonly bytes: number } = AHEAD,
): Promise<PredictReport> {
  checkList(inputs, 'predict: the inputs', 'a list of paths')
  inputs.forEach((input, n) => {
    checkPath(input, `predict: input ${n}`)
  })
  needKeys('predict', options, names)
  const { model, output, top = 5, shard = 32, onProgress } = options
  checkWhole(top, 'predict: top')
  checkWhole(shard, 'predict: shard')
  checkPath(output, 'predict: output')
  checkCallback(onProgress, 'predict: onProgress')
  if (!(model instanceof Uint8Array)) checkPath(model, 'predict: model')
  const bytes = model instanceof Uint8Array ? model : await readFileOrExplain(model)
  const resumed = await linesOf(output, inputs)
  let failed = 0
  let written = resumed
  const list = { model: bytes, top, shard, first: resumed }
  for await (const lines of linesInOrder(engine, inputs.slice(resumed), list, ahead)) {
    failed += lines.filter((line) => 'error' in (JSON.parse(line) as object)).length
    await appendToFile(output, new TextEncoder().encode(lines.map((line) => `${line}\n`).join('')))
    written += lines.length
    await onProgress?.(written, inputs.length)
  }
  return { lines: inputs.length, resumed, failed }
}
