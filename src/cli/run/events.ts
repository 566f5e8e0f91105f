/** The curves of a run as TensorBoard reads them: what metrics.jsonl holds, written beside it. */
import { encodeEvent, eventsHead } from '../../formats/tfevents.js'
import type { Folder } from '../../node/resultFolder.js'
import type { EpochRecord, StepRecord } from '../records.js'
import { runFiles } from './files.js'

const seconds = (): number => Date.now() / 1000

export class EventsFile {
  readonly #folder: Folder
  #pending: Uint8Array[] = [eventsHead(seconds())]
  /** The step that epochs stand at: the last one so far. */
  #step = 0

  private constructor(folder: Folder) {
    this.#folder = folder
  }

  /** A new file with what is recorded so far: of a run that goes on, the steps before, as of now. */
  static async create(
    folder: Folder,
    steps: readonly StepRecord[],
    epochs: readonly EpochRecord[],
  ): Promise<EventsFile> {
    const file = new EventsFile(folder)
    let next = 0
    for (const epoch of epochs) {
      for (; next < steps.length && (steps[next] as StepRecord).epoch <= epoch.epoch; next++)
        file.step(steps[next] as StepRecord)
      file.epoch(epoch)
    }
    for (; next < steps.length; next++) file.step(steps[next] as StepRecord)
    await folder.write(runFiles.events, file.#taken())
    return file
  }

  step({ step, loss, accuracy, learningRate }: StepRecord): void {
    this.#step = step
    this.#add({ 'loss/step': loss, 'accuracy/running': accuracy, 'learning rate': learningRate })
  }

  epoch({ trainingLoss, trainingAccuracy, validationLoss, validationAccuracy, imagesPerSecond }: EpochRecord): void {
    this.#add({
      'loss/training': trainingLoss,
      'accuracy/training': trainingAccuracy,
      ...(validationLoss === null ? {} : { 'loss/validation': validationLoss }),
      ...(validationAccuracy === null ? {} : { 'accuracy/validation': validationAccuracy }),
      'images per second': imagesPerSecond,
    })
  }

  /** Records the test, behind the last step. */
  test({ loss, errors, images }: { readonly loss: number; readonly errors: number; readonly images: number }): void {
    this.#add({ 'loss/test': loss, 'accuracy/test': 1 - errors / images })
  }

  /** Appends what was recorded since the last call. */
  async flush(): Promise<void> {
    if (this.#pending.length > 0) await this.#folder.append(runFiles.events, this.#taken())
  }

  #add(scalars: Readonly<Record<string, number>>): void {
    this.#pending.push(encodeEvent({ time: seconds(), step: this.#step, scalars }))
  }

  #taken(): Uint8Array {
    const bytes = Buffer.concat(this.#pending)
    this.#pending = []
    return bytes
  }
}
