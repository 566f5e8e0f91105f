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
import { leftOut, loadData, testImagesOf } from './data.js'
import { Run } from './run/run.js'

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
    const { resize = preprocessing.size } = preprocessing
    const size = typeof resize === 'number' ? ([resize, resize] as const) : resize
    const missing = known.classes.find((label, n) => label !== classes[n])
    if (missing !== undefined || known.classes.length !== classes.length) {
      throw new ArgumentError(`${data}: its classes are not those of the model (${classes.slice(0, 20).join(', ')})`)
    }
    return prepareDataset(known, { ...preprocessing, size })
  }
  const onOther = (others: Parameters<typeof leftOut>[0]): void => {
    note(`note: ${leftOut(others)}`)
  }
  const run = (await isA('directory', modelPath)) ? modelPath : dirname(modelPath)
  const settings = await Run.settingsOf(run)
  const trainedOn = await isSame(settings?.data, data)
  if (settings && trainedOn) {
    const { channels, size } = preprocessing
    const reading = { strict, maxPixels, maxBytes, channels, size, trained: preprocessing, onSkip: () => undefined }
    const changed = await Run.changedSince(run, await loadData(data, { ...settings, ...reading }), data)
    if (changed !== undefined) {
      throw new ArgumentError(
        `${data}: is not as it was when the model was trained on it: ${changed}; which pictures training held out cannot be told. Bring it back as it was, or give pictures in another folder`,
      )
    }
  }
  const { pictures, which } = await openTestPictures(
    data,
    { classes, preparation: preprocessing },
    { strict: strict === true, maxPixels, maxBytes, onSkip, onOther },
    trainedOn,
  )
  const absent = classes.filter((_, label) => !pictures.labels.includes(label))
  if (which !== 'all') note(`note: ${pictures.size} pictures are measured: ${which}`)
  if (absent.length > 0) note(`note: there is no picture of ${absent.slice(0, 20).join(', ')}`)
  return pictures
}

/** Whether the folder is the one that a model was trained on. */
async function isSame(trainedOn: string | undefined, folder: string): Promise<boolean> {
  if (trainedOn === undefined || !(await isA('directory', trainedOn)) || !(await isA('directory', folder))) return false
  return (await identityOf(join(trainedOn, '.'))) === (await identityOf(folder))
}
