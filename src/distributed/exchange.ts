/** Steps of a training whose parts are jobs: weights travel once for each step and worker, parts and gradients once. */
import { randomUUID } from 'node:crypto'
import type { Graph } from '../nn/graph.js'
import { checkModel } from '../runtime/check.js'
import type { Tensor } from '../tensor/tensor.js'
import type { ExchangePart, ExchangeRun, ExchangeSession, PartOutcome } from '../train/options.js'
import { loadWork } from '../train/later.js'
import { answerOf } from './answer.js'
import { SECONDS } from './compute.js'
import { encodeDescription, type RunDescription } from './descriptions.js'
import { withdrawnError, type Engine } from './engine.js'
import { nameOfFunction, type Functions } from './functions.js'
import { MOST_PARTS, type GradientsJob, type Job } from './jobs.js'
import { ownRelease } from './release.js'
import { hashOf } from './store.js'
import { decodeOutcomes, encodePart } from './wire.js'

/** What a run's jobs have in common. @throws ArgumentError when its loss or a metric has no name elsewhere */
function descriptionOf(
  { loss, metrics, parameters, seed }: ExchangeRun,
  model: Graph,
  known: Functions,
): RunDescription {
  return {
    model: model.toJSON(),
    parameters,
    loss: nameOfFunction(known, loss, 'exchange: the loss'),
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([name, metric]) => [
        name,
        nameOfFunction(known, metric, `exchange: metrics.${name}`),
      ]),
    ),
    seed,
    ...(known.module === undefined ? {} : { module: known.module }),
  }
}

/**
 * How many parts a job gets, where so many jobs are computed at a time: the largest power of two with which a step takes no longer than with
 * one part for each job, or a sixteenth longer. A job sends one sum of gradients, however many parts it has, so that fewer jobs are fewer
 * bytes; and the sums of powers of two are those that the pairwise order has.
 */
export function partsOfJob(parts: number, slots: number): number {
  let size = 1
  if (slots === 0) return size
  /** How many parts one after another. The last job may have fewer than the others. */
  const timeOf = (own: number): number => {
    const jobs = Math.ceil(parts / own)
    const rounds = Math.ceil(jobs / slots)
    const isLastAlone = jobs === (rounds - 1) * slots + 1
    return isLastAlone ? (rounds - 1) * own + parts - (jobs - 1) * own : rounds * own
  }
  while (2 * size <= MOST_PARTS && size < parts && 16 * timeOf(2 * size) <= 17 * timeOf(1)) size *= 2
  return size
}

/** Begins a run whose parts the engine computes. */
export async function exchangeOn(engine: Engine, known: Functions, run: ExchangeRun): Promise<ExchangeSession> {
  const { buffersOf } = await loadWork()
  checkModel(run.model, 'exchange: the model')
  const model = run.model as unknown as Graph
  const { store } = engine
  const session = randomUUID()
  const description = encodeDescription(descriptionOf(run, model, known))
  const names = { run: hashOf(description) }
  const named = model.namedParameters()
  const open = new Set<Job>()
  let isOver = false
  const sizes = {
    gradients: run.parameters.map((name) => (named.get(name) as Tensor).size),
    buffers: buffersOf(model as never).map((buffer) => buffer.size),
  }

  async function withdrawAll(): Promise<void> {
    isOver = true
    const left = [...open]
    open.clear()
    await Promise.all(left.map((job) => engine.withdraw(job)))
  }

  interface SentPart {
    readonly bytes: Uint8Array
    readonly examples: number
    readonly step: number
  }

  async function step(parts: readonly SentPart[], weights: Uint8Array): Promise<PartOutcome[]> {
    const used = new Set<string>()
    const put = async (bytes: Uint8Array): Promise<string> => {
      const name = await store.put(bytes, SECONDS.step)
      used.add(name)
      return name
    }
    // One transfer and one name, however many jobs wait for them.
    const common = Promise.all([put(weights), store.put(description, SECONDS.answer)])
    const outcomesOf = async (own: readonly SentPart[]): Promise<PartOutcome[]> => {
      const [sent, [weightsName]] = await Promise.all([Promise.all(own.map(({ bytes }) => put(bytes))), common])
      const job: GradientsJob = {
        ...{ type: 'gradients', ...ownRelease(), ...names, weights: weightsName },
        parts: own.map(({ examples, step: number }, n) => ({ part: sent[n] as string, examples, step: number })),
      }
      const again = async (): Promise<void> => {
        const values = [weights, ...own.map(({ bytes }) => bytes)]
        await Promise.all([store.put(description, SECONDS.answer), ...values.map(put)])
      }
      if (isOver) throw withdrawnError()
      open.add(job)
      const { result, bytes } = await answerOf(engine, { job, put: again, keep: false })
      open.delete(job)
      used.add(result)
      const examples = own.map((part) => part.examples)
      return decodeOutcomes(bytes, examples, sizes)
    }
    const allOf = async (size: number): Promise<PartOutcome[]> => {
      const groups: Promise<PartOutcome[]>[] = []
      for (let first = 0; first < parts.length; first += size) groups.push(outcomesOf(parts.slice(first, first + size)))
      return (await Promise.all(groups)).flat()
    }
    try {
      const outcomes = await allOf(partsOfJob(parts.length, await engine.slots()))
      // Parts whose weight is 0 are left out of the pairwise order, which is another one then than that of the sums.
      const isOther = outcomes.some(({ added }) => added !== undefined) && outcomes.some(({ weight }) => weight === 0)
      return isOther ? await allOf(1) : outcomes
    } catch (error) {
      // A step without one of its parts is none: the others need not be computed.
      await withdrawAll()
      throw error
    } finally {
      void Promise.allSettled([...used].map((name) => store.delete(name)))
    }
  }

  return {
    // What is read of tensors is read before the first await: they last no longer.
    step: (parts: readonly ExchangePart[]) =>
      step(
        parts.map(({ x, target, examples, step: number }) => ({
          ...{ bytes: encodePart({ x, target }, session), examples, step: number },
        })),
        model.save({ session }),
      ),
    close: withdrawAll,
  }
}
