/** `toeplitz predict`: what a trained model sees in pictures, of files and of whole folders. */
import { answersOf, pictureError, type Answer, type PreparedPicture } from '../classifier/answers.js'
import { PictureClassifier } from '../classifier/index.js'
import { decodeImage } from '../formats/decode.js'
import { readFileOrExplain } from '../node/files.js'
import { largestPicture } from '../node/folder.js'
import { picturesBelow } from '../node/listing.js'
import { init } from '../runtime/embedded.js'
import { ToeplitzError } from '../runtime/errors.js'
import { isA } from '../node/reading.js'
import type { Engine } from '../distributed/engine.js'
import { leftOut } from './data.js'
import { queueOf } from './distributed.js'
import { Interrupt } from './interrupt.js'
import { answersThere, checkThere } from './predictThere.js'
import { readTrainedModel } from './trained.js'
import { exitCodes, type PredictOptions } from './actions.js'
import { columns, outputTo, type CliStreams } from './terminal.js'

/** Classes that are printed for each picture where nothing else is asked for: JSON is read by programs. */
const TOP = { text: 1, json: 5 } as const

/** The action behind `toeplitz predict`; gives the exit code. */
export async function predictCommand(
  modelPath: string,
  images: readonly string[],
  options: PredictOptions,
  { stdout, stderr }: CliStreams = process,
): Promise<number> {
  const { json, csv, redis } = options
  if (redis !== undefined) checkThere(options)
  const out = outputTo(stdout)
  const errors = outputTo(stderr)
  await init()
  const { file, model, note } = await readTrainedModel(modelPath)
  if (note !== undefined) errors.line(`note: ${note}`)
  let failed = false
  const onFailure = (error: unknown): void => {
    errors.line(`toeplitz: ${pictureError(error).message}`)
    failed = true
  }
  const onNote = (line: string): void => errors.line(`note: ${line}`)
  const interrupt = redis === undefined ? undefined : new Interrupt('SIGINT', 'SIGTERM')
  let engine: Engine | undefined
  try {
    engine = redis === undefined ? undefined : await queueOf(redis, onNote)
    // Jobs that no worker has taken leave the queue with who waits for them.
    if (interrupt) interrupt.onFinishing = () => void engine?.close()
    const classifier = new PictureClassifier({ file, model })
    const top = options.top ?? (json ? TOP.json : TOP.text)
    const answers: Answer[] = []
    const count = Math.min(top, classifier.classes.length)
    if (csv) out.line(csvLine(csvHead(count)))
    const paths = pathsOf(images, { onFailure, onNote })
    const found = engine
      ? answersThere(engine, paths, classifier, { top, batchSize: options.batchSize, onFailure })
      : answersHere(batches(paths, classifier, options, onFailure), classifier, top)
    for await (const batch of found) {
      for (const answer of batch) {
        if (csv) out.line(csvLine(csvCells(answer)))
        else answers.push(answer)
      }
    }
    if (json) out.json(answers)
    else if (!csv) out.text(columns(answers.map(textCells), (column) => column > 0 && column % 2 === 0))
  } catch (error) {
    if (interrupt?.signal.aborted !== true) throw error
    return exitCodes.interrupted
  } finally {
    interrupt?.stop()
    await engine?.close()
    model.dispose()
  }
  return failed ? exitCodes.failure : exitCodes.success
}

/** The answers for pictures that this process computes. */
async function* answersHere(
  pictures: AsyncIterable<readonly PreparedPicture[]>,
  classifier: PictureClassifier,
  top: number,
): AsyncGenerator<readonly Answer[]> {
  for await (const batch of pictures) yield answersOf(classifier, batch, top)
}

interface Reports {
  readonly onFailure: (error: unknown) => void
  readonly onNote: (line: string) => void
}

/** The pictures that are meant: files as they are named, and of folders all pictures in them and below. */
async function* pathsOf(images: readonly string[], { onFailure, onNote }: Reports): AsyncGenerator<string> {
  for (const image of images) {
    try {
      if (!(await isA('directory', image))) {
        yield image
        continue
      }
      let count = 0
      const onOther = (others: Parameters<typeof leftOut>[0]): void => onNote(leftOut(others))
      for await (const path of picturesBelow(image, { onSkip: onFailure, onOther })) {
        yield path
        count++
      }
      if (count === 0) throw new ToeplitzError('FILE', `${image}: there is no picture in the folder; name another one`)
    } catch (error) {
      onFailure(error)
    }
  }
}

/**
 * Pictures that can be read, prepared for the model: those of as many paths as are computed together, as in a job, so that others
 * are not computed with them where one cannot be read.
 */
async function* batches(
  paths: AsyncIterable<string>,
  classifier: PictureClassifier,
  { batchSize, maxPixels, maxBytes }: PredictOptions,
  onFailure: Reports['onFailure'],
): AsyncGenerator<readonly PreparedPicture[]> {
  let batch: PreparedPicture[] = []
  let count = 0
  for await (const path of paths) {
    count++
    try {
      const bytes = await readFileOrExplain(path, { maxBytes: largestPicture })
      batch.push({ image: path, pixels: classifier.prepare(decodeImage(bytes, path, { maxPixels, maxBytes })) })
    } catch (error) {
      onFailure(error)
    }
    if (count < batchSize) continue
    if (batch.length > 0) yield batch
    batch = []
    count = 0
  }
  if (batch.length > 0) yield batch
}

const percent = (probability: number): string => `${(100 * probability).toFixed(1).padStart(5)} %`

const textCells = ({ image, top }: Answer): string[] => [
  image,
  ...top.flatMap(({ label, probability }) => [label, percent(probability)]),
]

/** `image,label,probability`, and of more classes `label_2,probability_2` and so on. */
const csvHead = (count: number): string[] => [
  'image',
  ...Array.from({ length: count }, (_, n) => (n === 0 ? '' : `_${n + 1}`)).flatMap((place) => [
    `label${place}`,
    `probability${place}`,
  ]),
]

const csvCells = ({ image, top }: Answer): string[] => [
  image,
  ...top.flatMap(({ label, probability }) => [label, String(probability)]),
]

/** Cells as RFC 4180 writes them; line breaks in them are shown as escapes, as everywhere in the output. */
const csvLine = (cells: readonly string[]): string =>
  cells.map((cell) => (/[",]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')
