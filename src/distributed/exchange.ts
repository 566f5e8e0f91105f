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
import type { Job } from './jobs.js'
import { ownRelease } from './release.js'
import { hashOf } from './store.js'
import { decodeOutcome, encodePart } from './wire.js'

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

  async function step(
    parts: readonly { readonly bytes: Uint8Array; readonly examples: number; readonly step: number }[],
    weights: Uint8Array,
  ): Promise<PartOutcome[]> {
    const release = ownRelease()
    const used = new Set<string>()
    const put = async (bytes: Uint8Array): Promise<string> => {
      const name = await store.put(bytes, SECONDS.step)
      used.add(name)
      return name
    }
    // One transfer and one name, however many parts wait for them.
    const common = Promise.all([put(weights), store.put(description, SECONDS.answer)])
    const outcomes = parts.map(async ({ bytes, examples, step: number }) => {
      const [part, [weightsName]] = await Promise.all([put(bytes), common])
      const job = {
        type: 'gradients',
        ...release,
        ...names,
        weights: weightsName,
        part,
        examples,
        step: number,
      } as const
      const again = async (): Promise<void> => {
        await Promise.all([store.put(description, SECONDS.answer), put(weights), put(bytes)])
      }
      if (isOver) throw withdrawnError()
      open.add(job)
      const { result, bytes: outcome } = await answerOf(engine, { job, put: again, keep: false })
      open.delete(job)
      used.add(result)
      // How many examples a part has weighs its gradients: it is what was sent, not what came back.
      return { ...decodeOutcome(outcome, sizes), examples }
    })
    try {
      return await Promise.all(outcomes)
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
