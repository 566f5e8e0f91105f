/** `toeplitz predict`: what a trained model sees in PNG files. */
import { imageTensor } from '../data/images.js'
import { lightOnDark, resizeGrayscale, toGrayscale, type GrayscaleImage } from '../io/grayscale.js'
import { decodePng } from '../io/png.js'
import { readFileOrExplain } from '../node/files.js'
import { largestPicture } from '../node/folder.js'
import { softmax } from '../ops/softmax.js'
import { init } from '../runtime/embedded.js'
import { isOutOfMemory, ToeplitzError, UnsupportedError } from '../runtime/errors.js'
import { scope } from '../tensor/tensor.js'
import { readTrainedModel } from './models.js'
import { exitCodes, type PredictOptions } from './program.js'
import { columns, outputTo, type CliStream } from './terminal.js'

interface Prediction {
  readonly image: string
  readonly label: string
  readonly probability: number
  readonly probabilities: Readonly<Record<string, number>>
}

const cells = ({ image, label, probability }: Prediction): string[] => [
  image,
  label,
  `${(100 * probability).toFixed(1).padStart(5)} %`,
]

/** The action behind `toeplitz predict`. */
export async function predictCommand(
  modelPath: string,
  images: readonly string[],
  { json, maxPixels, maxBytes }: PredictOptions,
  { stdout, stderr }: { readonly stdout: CliStream; readonly stderr: CliStream } = process,
): Promise<number> {
  await init()
  const { file, model } = await readTrainedModel(modelPath)
  const [C, H, W] = model.input as [number, number, number]
  if (C !== 1)
    throw new UnsupportedError(
      `${modelPath}: the model takes ${C} channels; predict reads pictures for models of one channel`,
    )
  const predictions: Prediction[] = []
  let code: number = exitCodes.success
  for (const image of images) {
    let gray: GrayscaleImage
    try {
      const bytes = await readFileOrExplain(image, { maxBytes: largestPicture })
      gray = lightOnDark(toGrayscale(decodePng(bytes, image, { maxPixels, maxBytes })))
    } catch (error) {
      // What is wrong with one picture does not take the answers for the others.
      if (!(error instanceof ToeplitzError) || isOutOfMemory(error)) throw error
      outputTo(stderr).line(`toeplitz: ${error.message}`)
      code = exitCodes.failure
      continue
    }
    const { data } = gray.width === W && gray.height === H ? gray : resizeGrayscale(gray, W, H)
    const probabilities = scope(() => softmax(model.forward(imageTensor(data, [1, H, W], file.normalization))).data())
    let best = 0
    probabilities.forEach((value, index) => {
      if (value > (probabilities[best] as number)) best = index
    })
    predictions.push({
      image,
      label: file.classes[best] as string,
      probability: probabilities[best] as number,
      probabilities: Object.fromEntries(file.classes.map((label, index) => [label, probabilities[index] as number])),
    })
  }
  model.dispose()
  const out = outputTo(stdout)
  if (json) out.json(predictions)
  else out.text(columns(predictions.map(cells), (column) => column === 2))
  return code
}
