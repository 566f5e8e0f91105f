/** Labelled pictures to test a trained model with, as commands are given them. */
import { dirname, join } from 'node:path'
import type { ImageSource } from '../data/dataset.js'
import { prepareDataset } from '../data/images.js'
import type { Preprocessing } from '../io/preprocessing.js'
import { openTestPictures } from '../node/folder.js'
import { isA } from '../node/files.js'
import { identityOf } from '../node/reading.js'
import { ArgumentError } from '../runtime/errors.js'
import type { EvaluateOptions } from './actions.js'
import { leftOut, loadData, testImagesOf, type Data } from './data.js'
import { learnedFrom, type LearnedFrom } from './featuresRecord.js'
import { fingerprintOf } from './fingerprint.js'
import { Run } from './run/run.js'
import type { RunSettings } from './settings.js'

interface Reports {
  readonly onSkip: (error: Error) => void
  readonly note: (line: string) => void
}

/** How pictures are read. */
type Reading = Pick<EvaluateOptions, 'strict' | 'maxPixels' | 'maxBytes' | 'dataDir'>

/**
 * The pictures that are meant, prepared for the model.
 *
 * @param modelPath where the model comes from: of the folder that it was trained on, the pictures are meant that training held out
 * @param data the name of a published set, or a folder
 */
export async function testPictures(
  modelPath: string,
  data: string,
  trained: { readonly classes: readonly string[]; readonly preprocessing: Preprocessing },
  { strict, maxPixels, maxBytes, dataDir, onSkip, note }: Reading & Reports,
): Promise<ImageSource> {
  const { classes, preprocessing } = trained
  const known = await testImagesOf(data, dataDir, { maxBytes })
  if (known) {
    const missing = known.classes.find((label, n) => label !== classes[n])
    if (missing !== undefined || known.classes.length !== classes.length) {
      throw new ArgumentError(`${data}: its classes are not those of the model (${classes.slice(0, 20).join(', ')})`)
    }
    return prepareDataset(known, { ...preprocessing, size: sizeBefore(preprocessing) })
  }
  const onOther = (others: Parameters<typeof leftOut>[0]): void => {
    note(`note: ${leftOut(others)}`)
  }
  const run = (await isA('directory', modelPath)) ? modelPath : dirname(modelPath)
  const learned = (await Run.settingsOf(run)) ?? (await learnedFrom(run))
  const trainedOn = await isSame(learned?.data, data)
  const limits = { strict: strict === true, maxPixels, maxBytes }
  const { pictures, which, isHeldOut } = await openTestPictures(
    data,
    { classes, preparation: preprocessing },
    { ...limits, onSkip, onOther },
    trainedOn,
  )
  if (trainedOn && isHeldOut) {
    const { channels, fit } = preprocessing
    const size = sizeBefore(preprocessing)
    const reading = { ...limits, imageSize: 0, fit, channels, size, trained: preprocessing, onSkip: () => undefined }
    const changed = await changedSince(run, learned, await loadData(data, reading), data)
    if (changed !== undefined) {
      throw new ArgumentError(
        `${data}: is not as it was when the model was trained on it: ${changed}; which pictures training held out cannot be told. Bring it back as it was, or give pictures in another folder`,
      )
    }
  }
  const absent = classes.filter((_, label) => !pictures.labels.includes(label))
  if (which !== 'all') note(`note: ${pictures.size} pictures are measured: ${which}`)
  if (absent.length > 0) note(`note: there is no picture of ${absent.slice(0, 20).join(', ')}`)
  return pictures
}

/** Height and width that pictures are brought to before the model's input is cut from them. */
export function sizeBefore({ resize, size }: Preprocessing): readonly [height: number, width: number] {
  if (resize === undefined) return size
  return typeof resize === 'number' ? [resize, resize] : resize
}

/** Whether the folder is the one that a model was trained on. */
async function isSame(trainedOn: string | undefined, folder: string): Promise<boolean> {
  if (trainedOn === undefined || !(await isA('directory', trainedOn)) || !(await isA('directory', folder))) return false
  return (await identityOf(join(trainedOn, '.'))) === (await identityOf(folder))
}

/** What has changed in the data since a run, or since features were learned from it, in words; undefined where nothing has. */
async function changedSince(
  folder: string,
  learned: RunSettings | LearnedFrom | undefined,
  now: Data,
  directory: string,
): Promise<string | undefined> {
  if (!learned || !('digest' in learned)) return Run.changedSince(folder, now, directory)
  const { digest } = await fingerprintOf(now, directory)
  return learned.digest === digest ? undefined : 'what has changed cannot be told'
}
