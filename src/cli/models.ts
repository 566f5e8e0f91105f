/** Trained models in folders. */
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decodeModelFile, type ModelFile } from '../io/model-file.js'
import type { Sequential } from '../nn/sequential.js'
import { readFileOrExplain } from '../node/files.js'
import { FormatError } from '../runtime/errors.js'

/** model.json itself, or that of a folder. */
async function modelPath(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found?.isDirectory() ? join(path, 'model.json') : path
}

/** The architecture of a model.json, with initial weights. */
export async function readModelFile(path: string): Promise<{ file: ModelFile; model: Sequential; path: string }> {
  const resolved = await modelPath(path)
  const text = new TextDecoder().decode(await readFileOrExplain(resolved))
  return { ...decodeModelFile(text, resolved), path: resolved }
}

/** A trained model: architecture and weights. @throws FormatError when a file is damaged or the two do not belong together. */
export async function readTrainedModel(path: string): Promise<{ file: ModelFile; model: Sequential }> {
  const { file, model, path: resolved } = await readModelFile(path)
  const weightsPath = join(dirname(resolved), file.weights.file)
  const bytes = await readFileOrExplain(weightsPath)
  model.load(bytes, weightsPath)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== file.weights.sha256) {
    throw new FormatError(
      `${weightsPath}: the weights are not those that ${resolved} names (SHA-256 ${sha256.slice(0, 12)}…, expected ${file.weights.sha256.slice(0, 12)}…)`,
    )
  }
  return { file, model }
}
