/** What `remote` gives: one interface for work in this process and on many machines. */
import { jsonOf, parseJson } from '../formats/json.js'
import { checkCallback, checkFunction, checkPath, checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { checkSeed } from '../tensor/create.js'
import { unlessAborted } from '../train/aborted.js'
import type { Exchange, ExchangeRun, ExchangeSession } from '../train/options.js'
import { gridSearch, randomSearch } from '../train/search.js'
import type { GridSearchOptions, RandomSearchOptions, SearchResult, TrialPlace } from '../train/trials.js'
import { SECONDS } from './compute.js'
import { checkUrl } from './connection.js'
import { encodeDescription } from './descriptions.js'
import { engineHere, type Engine } from './engine.js'
import { exchangeOn } from './exchange.js'
import { functionsOf, nameOfFunction, type Functions } from './functions.js'
import { predictLists, type PredictListsOptions, type PredictReport } from './predictLists.js'
import { queueEngine } from './queueEngine.js'
import { ownRelease } from './release.js'
import type { StoreOption } from './store.js'

/** Options of `remote`. */
export interface RemoteOptions {
  /** Address of Redis or Valkey: redis://…, or rediss://… with TLS. Left out, everything runs in this process. */
  readonly redis?: string
  /** Where weights, gradients and pictures lie while jobs refer to them. Default 'redis'. */
  readonly store?: StoreOption
  /** Path of the module whose functions jobs may name: the workers must have the same file. */
  readonly module?: string
  /** Times that a job is tried before it fails for good. Default 3. */
  readonly tries?: number
  /** Told what a person should know: that no worker is there, that the connection is lost. Default: a line on stderr. */
  readonly onNote?: (line: string) => void
}

/** Where a trial of a pool stands, and what it computes with. */
export interface RemotePlace extends TrialPlace {
  /** The trial's own seed: that of the search and the number of the trial, added. */
  readonly seed: number
  /** What the search gave to all trials, as JSON. */
  readonly shared: unknown
}

/** A score, the higher the better, for hyperparameters by name. A DivergedError counts as no score. */
export type RemoteTrial = (values: Readonly<Record<string, number>>, place: RemotePlace) => Promise<number> | number

/** Options of a pool's `search`: those of `randomSearch` with `space`, or of `gridSearch` with `values`. */
export type RemoteSearchOptions = (RandomSearchOptions | (GridSearchOptions & { readonly seed?: number })) & {
  /** Given to every trial as `place.shared`: anything that JSON can hold. */
  readonly shared?: unknown
}

const remoteNames = { redis: 0, store: 0, module: 0, tries: 0, onNote: 0 } satisfies Names<RemoteOptions>

/** Work in this process, or on the workers of a queue. */
export class Pool implements Exchange {
  readonly #engine: Engine
  readonly #functions: Functions
  readonly #isHere: boolean

  /** @internal */
  constructor(engine: Engine, functions: Functions, isHere: boolean) {
    this.#engine = engine
    this.#functions = functions
    this.#isHere = isHere
  }

  /** Begins a training whose parts are computed by the pool: `fit` calls this for its option `exchange`. */
  openExchange(run: ExchangeRun): Promise<ExchangeSession> {
    return exchangeOn(this.#engine, this.#functions, run)
  }

  /**
   * Searches hyperparameters: each trial is a job. The result is the same table, in the same order, whatever the number of workers;
   * only the seconds differ, in which a trial's waiting counts. Finished trials are kept for a day, so that a search that was
   * killed goes on where it was. Its signal ends it at once, though trials wait for a worker: on a queue those that no worker has
   * taken are removed.
   *
   *     const { best } = await pool.search(trial, { space: { lr: { low: 1e-4, high: 1 } }, trials: 8 })
   *
   * @param trial a function that the module exports; in this process any function
   * @throws ArgumentError when other machines cannot know the function; ToeplitzError when a trial failed for good
   */
  async search(trial: RemoteTrial, options: RemoteSearchOptions): Promise<SearchResult> {
    checkCount('search', 2, arguments)
    checkFunction(trial, 'search: the first argument', 'a function of the values that gives a score')
    const { shared = null, ...own } = options
    const seed = checkSeed(options.seed ?? 0, 'search')
    const evaluate = this.#isHere
      ? trialHere(trial, seed, shared)
      : await this.#trialThere(trial, seed, { shared, signal: own.signal })
    const concurrency = own.concurrency ?? this.#engine.width
    if ('space' in own) return randomSearch(evaluate, { ...own, concurrency })
    const { seed: _, ...grid } = own
    return gridSearch(evaluate, { ...grid, concurrency })
  }

  /**
   * What a model sees in many pictures, as lines of JSON in a file: exactly one for each input, in their order. A file that a killed
   * call left goes on after its last whole line.
   *
   *     await pool.predict(paths, { model: 'runs/convnet-photos/model.safetensors', output: 'answers.jsonl' })
   *
   * A line is `{ image, label, probability, top }`, or `{ image, error }` where the picture cannot be read.
   *
   * @param inputs paths of PNG and JPEG files
   * @throws FormatError when the output holds lines of other inputs
   */
  async predict(inputs: readonly string[], options: PredictListsOptions): Promise<PredictReport> {
    checkCount('predict', 2, arguments)
    return predictLists(this.#engine, inputs, options)
  }

  /** Ends what runs, and disconnects. */
  async close(): Promise<void> {
    await this.#engine.close()
  }

  async #trialThere(
    trial: RemoteTrial,
    seed: number,
    { shared, signal }: { readonly shared: unknown; readonly signal: Signal | undefined },
  ) {
    const { store } = this.#engine
    const { module } = this.#functions
    const name = nameOfFunction(this.#functions, trial, 'search: the trial')
    const encoded = encodeDescription({ trial: name, ...(module === undefined ? {} : { module }), shared })
    const put = (): Promise<string> => store.put(encoded, SECONDS.answer)
    const description = await put()
    return async (values: Readonly<Record<string, number>>, { number, round }: TrialPlace): Promise<number> => {
      const place = { values, number, round, seed: seed + number }
      const job = { type: 'trial', ...ownRelease(), trial: description, ...place } as const
      const result = await unlessAborted(this.#engine.submit({ job, put, keep: true }), signal)
      // A search that its signal has ended drops what its last trials gave.
      if (!result) await this.#engine.withdraw(job)
      return result?.score ?? Number.NaN
    }
  }
}

/**
 * Trials of this process need no names. What they get and give passes through JSON nevertheless, as it does on its way to a worker: JSON
 * has no −0, no undefined and no dates, and each trial has values of its own.
 */
function trialHere(trial: RemoteTrial, seed: number, shared: unknown) {
  const text = jsonOf({ shared })
  return async (values: Readonly<Record<string, number>>, { number, round }: TrialPlace): Promise<number> => {
    const given = parseJson(text, 'search: shared') as { readonly shared: unknown }
    const sent = parseJson(jsonOf(values), 'search: the values') as typeof values
    const score = await trial(sent, { number, round, seed: seed + number, shared: given.shared })
    return score === 0 ? 0 : score
  }
}

/**
 * Begins to work on many machines: on the workers of a queue, which `startWorker` or `toeplitz worker` starts; without `redis` in this
 * process, with the same bits. Call `init()` before, and `close()` after.
 *
 *     const pool = await remote({ redis: 'redis://127.0.0.1:6379' })
 *     await fit(model, data, { epochs: 5, batchSize: 128, loss: crossEntropy, optimizer, parts: 8, exchange: pool })
 *     await pool.close()
 *
 * @throws UnsupportedError when bullmq and ioredis are not installed; ToeplitzError with code REDIS when the server cannot be
 *   reached, refuses, or may throw keys away
 */
export async function remote(options: RemoteOptions = {}): Promise<Pool> {
  checkCount('remote', 1, arguments)
  checkKeys('remote', options, remoteNames)
  const { redis, store, module, tries = 3, onNote = (line) => process.stderr.write(`${line}\n`) } = options
  checkWhole(tries, 'remote: tries')
  checkCallback(onNote, 'remote: onNote')
  if (module !== undefined) checkPath(module, 'remote: module')
  const functions = await functionsOf(module)
  if (redis !== undefined) {
    return new Pool(await queueEngine({ url: checkUrl(redis), store, tries, onNote }), functions, false)
  }
  if (store !== undefined) throw new ArgumentError('remote: store is for work on Redis; give redis as well')
  return new Pool(engineHere(functions), functions, true)
}
