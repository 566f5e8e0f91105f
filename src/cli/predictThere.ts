/** `toeplitz predict --redis`: batches of pictures as jobs, whose answers come in the order of the pictures. */
import type { Answer } from '../classifier/answers.js'
import type { PictureClassifier } from '../classifier/index.js'
import type { Engine } from '../distributed/engine.js'
import { linesInOrder } from '../distributed/predictLists.js'
import { defaultLimits } from '../formats/limits.js'
import { encodeModel } from '../io/model-file.js'
import { FormatError } from '../runtime/errors.js'
import type { PredictOptions } from './actions.js'
import { UsageError } from './errors.js'
import { flagOf } from './settings.js'
import { optionWords } from './shell.js'

/** @throws UsageError when options ask for what no worker does */
export function checkThere(options: PredictOptions): void {
  for (const [name, usual] of Object.entries(defaultLimits)) {
    const given = options[name as keyof typeof defaultLimits]
    if (given === usual) continue
    throw new UsageError(
      `${optionWords(flagOf(name), given)}: workers read pictures of up to ${usual}; leave it or --redis out`,
    )
  }
}

/** The answers of each job, `batchSize` pictures. Workers need no access to the files. */
export async function* answersThere(
  engine: Engine,
  paths: AsyncIterable<string>,
  { name, model, classes, preprocessing }: PictureClassifier,
  {
    top,
    batchSize,
    onFailure,
  }: { readonly top: number; readonly batchSize: number; readonly onFailure: (error: unknown) => void },
): AsyncGenerator<readonly Answer[]> {
  const list = { model: encodeModel(model, { name, classes, preprocessing }), top, shard: batchSize }
  for await (const lines of linesInOrder(engine, paths, list)) {
    const answers: Answer[] = []
    for (const line of lines) {
      const found = JSON.parse(line) as Answer | { readonly error: string }
      if ('error' in found) onFailure(new FormatError(found.error))
      else answers.push(found)
    }
    yield answers
  }
}
