/** Training runs of a fraction of a second, in this process. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { TrainOptions } from '../../src/cli/actions.js'
import { trainDefaults } from '../../src/cli/settings.js'
import { trainCommand } from '../../src/cli/train.js'
import { writeIdx } from '../../src/formats/idx.js'

/** 113 pictures of 4 × 4 to train with (9 of them to validate) and 20 to test: their class is the place of a bright pixel. */
export function writeTinyData(directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, size] of [
    ['train', 113],
    ['t10k', 20],
  ] as const) {
    const labels = Uint8Array.from({ length: size }, (_, n) => n % 10)
    const images = new Uint8Array(size * 16)
    labels.forEach((label, n) => (images[n * 16 + label] = 100 + (n % 150)))
    writeFileSync(join(directory, `${name}-images-idx3-ubyte`), writeIdx([size, 4, 4], images))
    writeFileSync(join(directory, `${name}-labels-idx1-ubyte`), writeIdx([size], labels))
  }
}

/** Two epochs of 104 steps, with a checkpoint in the middle of each and the best epoch kept. */
export const tinyOptions: TrainOptions = {
  ...trainDefaults,
  ...{ model: 'linear', batchSize: 1, lr: 0.01, earlyStopping: 2, debug: false, given: new Set() },
}

/** Trains, and gives what was printed. */
export async function train(options: TrainOptions): Promise<string> {
  const stdout = new PassThrough()
  await trainCommand(options, { stdout })
  return String(stdout.read() ?? '')
}

/** What a run that has ended leaves in its folder. */
export const finished = [
  'data.json',
  'metrics.jsonl',
  'model.json',
  'model.safetensors',
  'report.html',
  'result.json',
  'state.safetensors',
]

/** The SHA-256 of a run's weights. */
export const hashIn = (folder: string): string =>
  createHash('sha256')
    .update(readFileSync(join(folder, 'model.safetensors')))
    .digest('hex')

/** Names of the files in a folder; none where there is no folder. */
export const namesIn = (folder: string): string[] =>
  statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(folder).sort() : []

/** Larger than any process id: no process has it. */
export const goneProcess = 2 ** 22 + 1

/** Lets the owners of the locks in a folder be gone, as they are after a kill: here they are this process. */
export function bury(folder: string): void {
  for (const name of namesIn(folder).filter((name) => name.startsWith('run.lock'))) {
    const text = readFileSync(join(folder, name), 'utf8')
    // Not one that was killed in the middle of its writing.
    if (!text.endsWith('\n')) continue
    writeFileSync(join(folder, name), `${JSON.stringify({ ...(JSON.parse(text) as object), pid: goneProcess })}\n`)
  }
}
