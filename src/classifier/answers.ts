/** What a list of pictures gets for each picture: `toeplitz predict` and the jobs of predictions answer in these words. */
import { CoreError, ToeplitzError, isOutOfMemory } from '../runtime/errors.js'
import type { PictureClassifier, Prediction } from './index.js'

/** What a model sees in a picture. */
export interface Answer {
  /** Name of the picture. */
  readonly image: string
  /** The most probable class. */
  readonly label: string
  /** Its probability. */
  readonly probability: number
  /** The most probable classes, `label` first. */
  readonly top: readonly Prediction[]
}

/** A picture that the classifier has prepared. */
export interface PreparedPicture {
  readonly image: string
  readonly pixels: Uint8Array
}

/** The answers for some pictures, which are computed together, in their order. */
export function answersOf(classifier: PictureClassifier, pictures: readonly PreparedPicture[], top: number): Answer[] {
  const found = classifier.predictPrepared(
    pictures.map(({ pixels }) => pixels),
    { top },
  )
  return found.map((best, n) => {
    const { label, probability } = best[0] as Prediction
    return { image: (pictures[n] as PreparedPicture).image, label, probability, top: best }
  })
}

/**
 * The error itself, where it tells of one picture alone, so that the answers for the others can be given.
 * @throws it where it is about more: an error of the core, the end of memory, or no error of this library
 */
export function pictureError(error: unknown): ToeplitzError {
  if (!(error instanceof ToeplitzError) || error instanceof CoreError || isOutOfMemory(error)) throw error
  return error
}
