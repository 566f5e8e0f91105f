/**
 * What a job computes. A worker's threads run this, and so does a pool without Redis: the same bits come out wherever it runs,
 * because a job names all that its outcome depends on.
 */
import { answersOf, pictureError, type PreparedPicture } from '../classifier/answers.js'
import { PictureClassifier } from '../classifier/index.js'
import { decodeImage } from '../formats/decode.js'
import { decodeModel } from '../io/model-file.js'
import { knownLayers as layers } from '../models/knownLayers.js'
import type { Graph } from '../nn/graph.js'
import { modelFromJSON } from '../nn/registry.js'
import { DivergedError, FormatError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import type { Metric } from '../train/metrics.js'
import type { Loss, PartOutcome } from '../train/options.js'
import { loadWork } from '../train/later.js'
import type { PassOptions } from '../train/part.js'
import { decodeRun, decodeTrial } from './descriptions.js'
import { functionOf, type Functions } from './functions.js'
import type { GradientsJob, Job, JobPart, JobResult, PredictJob, TrialJob } from './jobs.js'
import type { Store } from './store.js'
import { decodePart, decodePictures, encodeLines, encodeOutcomes, type SentPicture } from './wire.js'

/** How long outcomes are kept: parts of a step for ten minutes, answers for a day. */
export const SECONDS = { step: 600, answer: 86_400 } as const

interface OpenRun {
  readonly name: string
  readonly model: Graph
  readonly parameters: readonly Tensor[]
  readonly pass: PassOptions<unknown, Tensor>
  weights: string | undefined
}

export class Computer {
  readonly #store: Store
  readonly #functions: Functions
  #run: OpenRun | undefined
  #classifier: { readonly name: string; readonly classifier: PictureClassifier } | undefined

  constructor(store: Store, functions: Functions) {
    this.#store = store
    this.#functions = functions
  }

  /** Runs a job that was checked; one at a time. */
  async run(job: Job): Promise<JobResult> {
    const began = performance.now()
    const result = await this.#result(job)
    return { ...result, seconds: (performance.now() - began) / 1000 }
  }

  /** Frees the models. */
  close(): void {
    this.#run?.model.dispose()
    this.#classifier?.classifier.dispose()
    this.#run = this.#classifier = undefined
  }

  #result(job: Job): Promise<Omit<JobResult, 'seconds'>> {
    if (job.type === 'gradients') return this.#gradients(job)
    if (job.type === 'predict') return this.#predict(job)
    return this.#trial(job)
  }

  async #gradients({ run: name, weights, parts }: GradientsJob): Promise<{ readonly result: string }> {
    const run = await this.#open(name)
    if (run.weights !== weights) {
      // Weights of which a part could be read only must not be taken for those.
      run.weights = undefined
      run.model.load(await this.#store.get(weights), 'weights of the step')
      run.weights = weights
    }
    const { addedParts, outcomeOf } = await loadWork()
    const outcomes: PartOutcome[] = []
    for (const { part, examples, step } of parts) {
      const bytes = await this.#store.get(part)
      outcomes.push(
        scope(() => outcomeOf(run.model, run.parameters, { ...decodePart(bytes), examples, step }, run.pass)),
      )
    }
    const encoded = encodeOutcomes(addedParts(outcomes), (parts[0] as JobPart).part)
    return { result: await this.#store.put(encoded, SECONDS.step) }
  }

  async #open(name: string): Promise<OpenRun> {
    if (this.#run?.name === name) return this.#run
    const given = decodeRun(await this.#store.get(name))
    this.#run?.model.dispose()
    this.#run = undefined
    const find = (what: unknown) => functionOf(this.#functions, what, given.module)
    const pass = {
      loss: find(given.loss) as unknown as Loss<unknown>,
      metrics: Object.fromEntries(
        Object.entries(given.metrics).map(([key, what]) => [key, find(what) as unknown as Metric<unknown>]),
      ),
      seed: given.seed,
    }
    const model = modelFromJSON(given.model, 'model of the run', { layers })
    model.train()
    const named = model.namedParameters()
    const parameters = given.parameters.map((key) => {
      const found = named.get(key)
      if (found) return found
      model.dispose()
      throw new FormatError(`run: the model has no parameter ${inWords(key)}`)
    })
    this.#run = { name, model, parameters, pass, weights: undefined }
    return this.#run
  }

  async #trial({ trial, values, number, round, seed }: TrialJob): Promise<{ readonly score: number | null }> {
    const given = decodeTrial(await this.#store.get(trial))
    const evaluate = functionOf(this.#functions, given.trial, given.module) as unknown as (
      values: object,
      place: object,
    ) => unknown
    try {
      const score: unknown = await evaluate(values, { number, round, seed, shared: given.shared })
      if (typeof score !== 'number') throw new FormatError(`trial: ${given.trial} must give a number, the score`)
      return { score: Number.isFinite(score) ? score : null }
    } catch (error) {
      if (error instanceof DivergedError) return { score: null }
      throw error
    }
  }

  async #predict({ model, pictures, top }: PredictJob): Promise<{ readonly result: string }> {
    const classifier = await this.#classifierOf(model)
    const lines = predictLines(classifier, decodePictures(await this.#store.get(pictures)), top)
    return { result: await this.#store.put(encodeLines(lines, pictures), SECONDS.answer) }
  }

  async #classifierOf(name: string): Promise<PictureClassifier> {
    if (this.#classifier?.name === name) return this.#classifier.classifier
    const bytes = await this.#store.get(name)
    this.#classifier?.classifier.dispose()
    this.#classifier = undefined
    const decoded = decodeModel(bytes, 'model', { layers })
    try {
      const classifier = new PictureClassifier(decoded)
      this.#classifier = { name, classifier }
      return classifier
    } catch (error) {
      decoded.model.dispose()
      throw error
    }
  }
}

/** One line of JSON for each picture, in their order: the classes, or what was wrong with the picture. */
function predictLines(classifier: PictureClassifier, pictures: readonly SentPicture[], top: number): string[] {
  const prepared: (PreparedPicture & { readonly n: number })[] = []
  const lines = pictures.map(({ name, bytes, error }, n) => {
    if (!bytes) return JSON.stringify({ image: name, error: error ?? 'it could not be read' })
    try {
      prepared.push({ n, image: name, pixels: classifier.prepare(decodeImage(bytes, name)) })
      return ''
    } catch (reason) {
      return JSON.stringify({ image: name, error: pictureError(reason).message })
    }
  })
  answersOf(classifier, prepared, top).forEach((answer, index) => {
    lines[(prepared[index] as (typeof prepared)[number]).n] = JSON.stringify(answer)
  })
  return lines
}
