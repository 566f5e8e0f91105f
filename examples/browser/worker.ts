/** The worker: model, data and training. The page stays free for drawing, whatever goes on here. */
import {
  accuracy,
  crossEntropy,
  DivergedError,
  evaluate,
  fit,
  init,
  runtimeInfo,
  scope,
  SGD,
  softmax,
  ToeplitzError,
  type FitState,
  type Graph,
  type Tensor,
} from 'toeplitz'
import { imageExamples, mnistFromIdx, preprocess, type ImageDataset, type Preprocessing } from 'toeplitz/data'
import * as layers from 'toeplitz/layers'
import { decodeModel, digitPictures, encodeModel, plainPreprocessing } from 'toeplitz/io'
import { activations, occlusionMap } from 'toeplitz/vision'
import { convnet } from 'toeplitz/zoo'
import {
  BATCH,
  CLASSES,
  SIDE,
  type FromWorker,
  type LayerValues,
  type StepMessage,
  type ToWorker,
  type Values,
} from './messages.js'

const host = self as unknown as {
  readonly crossOriginIsolated: boolean
  postMessage(message: FromWorker, transfer?: Transferable[]): void
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null
}

const EPOCHS = 10
const MOMENTUM = 0.9
/** Steps in which the learning rate rises: the first weights are far from any good ones. */
const WARMUP = 20
/** Mean loss of a model that guesses, in nats: it gives each class the same probability. */
const GUESSING = Math.log(CLASSES)
/** Steps over whose mean loss a run is judged. One that is not clearly below `GUESSING` after the warmup has diverged. */
const JUDGED = 50
/** Images in one forward pass when testing. */
const TEST_BATCH = 250
/** Steps before the first tests; later ones come when training has taken this many times as long as a test, or so many ms. */
const FIRST_TESTS = [20, 60]
const TRAINING_PER_TEST = 4
const TEST_EVERY = 10_000
/** Milliseconds between looks at the digit while training, and between occlusion maps. */
const LOOK_EVERY = 125
const OCCLUSION_EVERY = 2500
/** Milliseconds for which the digit must stay. */
const OCCLUSION_AFTER = 150
/** Digits, with the mean and the standard deviation of MNIST's training pixels on the scale 0 to 1. */
const mnist: Preprocessing = {
  ...plainPreprocessing([1, SIDE, SIDE], { mean: 0.1307, std: 0.3081 }),
  ...digitPictures,
}

interface Trainee {
  readonly model: Graph
  readonly optimizer: SGD
  readonly preprocessing: Preprocessing
  state: FitState | undefined
  /** Training images seen so far. */
  images: number
  /** The highest learning rate of a step so far. */
  fastest: number
  /** Training runs and tests that are under way with this model. */
  users: number
}

let trainee: Trainee | undefined
let wanted = false
let running = false
let rate = 0.02
let pixels = new Uint8Array(SIDE * SIDE)
/** Answers to whoever waits for training to be wanted again. */
let wake: (() => void) | undefined

const post = (message: FromWorker, transfer: Transferable[] = []): void => {
  host.postMessage(message, transfer)
}

function fail(error: unknown, fatal = false): void {
  const known = error instanceof ToeplitzError || error instanceof PageError
  const text = error instanceof Error ? error.message : String(error)
  post({ type: 'failed', message: known ? text : `Something unexpected went wrong: ${text}`, fatal })
}

/** A message of this page's own. */
class PageError extends Error {}

// Data

/** The bytes of a file beside the page, with its progress in bytes. */
async function download(name: string, progress: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const address = new URL(`data/${name}`, import.meta.url)
  let response: Response
  try {
    response = await fetch(address)
  } catch {
    throw new PageError(
      `MNIST could not be loaded: ${address.href} did not answer. Check the connection and try again.`,
    )
  }
  if (!response.ok || !response.body) {
    throw new PageError(`MNIST could not be loaded: ${address.href} answered ${response.status}, not 200.`)
  }
  const parts: Uint8Array[] = []
  let length = 0
  const reader = response.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    length += value.length
    progress(value.length)
  }
  const bytes = new Uint8Array(length)
  let position = 0
  for (const part of parts) {
    bytes.set(part, position)
    position += part.length
  }
  return bytes
}

/** A set that is loaded once, when it is first asked for; a failed attempt can be repeated. */
function loader(prefix: string, expectedBytes: number): () => Promise<ImageDataset> {
  let loaded: Promise<ImageDataset> | undefined
  const load = async (): Promise<ImageDataset> => {
    let received = 0
    const progress = (count: number): void => {
      received += count
      post({ type: 'loading', share: Math.min(1, received / expectedBytes) })
    }
    try {
      const names = [`${prefix}-images-idx3-ubyte.gz`, `${prefix}-labels-idx1-ubyte.gz`] as const
      const [images, labels] = await Promise.all(names.map((name) => download(name, progress)))
      const set = mnistFromIdx({ bytes: images!, name: names[0] }, { bytes: labels!, name: names[1] })
      if (set.shape.join() !== `1,${SIDE},${SIDE}`) {
        throw new PageError(`${names[0]}: images are (${set.shape.join(', ')}); this page needs (1, ${SIDE}, ${SIDE}).`)
      }
      return set
    } finally {
      post({ type: 'loading', share: 1 })
    }
  }
  return () =>
    (loaded ??= load().catch((error: unknown) => {
      loaded = undefined
      throw error
    }))
}

const trainingSet = loader('train', 9_900_000)
const testSet = loader('t10k', 1_650_000)

// The model

function use(model: Graph, preprocessing: Preprocessing, source?: string): void {
  const left = trainee
  const optimizer = new SGD(model.parameters(), { lr: rate, momentum: MOMENTUM })
  trainee = { model, optimizer, preprocessing, state: undefined, images: 0, fastest: 0, users: 0 }
  if (left) release(left)
  const { layers, total } = model.summary()
  post({ type: 'model', layers, parameters: total.parameters, ...(source === undefined ? {} : { source }) })
  look(true)
  occludeSoon()
}

/** Frees a model that another one has replaced, unless a step or a test with it is under way. */
function release(left: Trainee): void {
  if (left === trainee || left.users > 0) return
  left.optimizer.dispose()
  left.model.dispose()
}

/**
 * Does work that takes several turns of the event loop. The model's memory stays until it is done, also when another
 * model takes its place meanwhile; what goes wrong after that concerns nobody.
 */
async function workWith(current: Trainee, work: () => Promise<void>): Promise<void> {
  current.users++
  try {
    await work()
  } catch (error) {
    if (current !== trainee) return
    if (!(error instanceof DivergedError)) throw error
    // Its advice is for programs.
    const [what] = error.message.split(';')
    throw new PageError(
      `Training was stopped: ${what}. The learning rate of ${current.fastest} seems too high; lower it and start over.`,
    )
  } finally {
    current.users--
    release(current)
  }
}

function loadModel(name: string, bytes: Uint8Array): void {
  const { file, model } = decodeModel(bytes, name, { layers })
  const { preprocessing } = file
  if (!preprocessing || model.input?.join() !== `1,${SIDE},${SIDE}` || file.classes.length !== CLASSES) {
    const shape = model.input?.join(' × ') ?? ''
    model.dispose()
    throw new PageError(
      `${name}: the model tells ${file.classes.length} classes of ${shape} pictures apart; ` +
        `this page draws and trains on ${CLASSES} classes of 1 × ${SIDE} × ${SIDE}.`,
    )
  }
  halt()
  use(model, preprocessing, name)
  loadedTest = testLoaded()
}

/** The test of the last model that came from a file; training waits for it, because both use the model's layers. */
let loadedTest: Promise<void> | undefined

/** Tests a model from a file, where the test images are at hand or can be had. */
async function testLoaded(): Promise<void> {
  const loaded = trainee
  if (!loaded) return
  try {
    await test(loaded, await testSet())
  } catch (error) {
    fail(error)
  }
}

function save(): void {
  if (!trainee) return
  const classes = Array.from({ length: CLASSES }, (_, label) => String(label))
  const { model, preprocessing } = trainee
  const bytes = new Uint8Array(encodeModel(model, { name: 'convnet-mnist', preprocessing, classes }))
  post({ type: 'saved', bytes }, [bytes.buffer])
}

// Looking

const valuesOf = (x: Tensor): Values => ({ shape: x.shape, values: x.data() as Float32Array<ArrayBuffer> })

/** The digit on the pad as the model sees it. */
const digitFor = ({ preprocessing }: Trainee): Tensor =>
  preprocess([{ data: pixels, width: SIDE, height: SIDE, channels: 1 }], preprocessing)

/** Sends what the layers make of the digit. */
function look(fresh: boolean): void {
  if (!trainee) return
  const looking = trainee
  const { model } = looking
  scope(() => {
    const x = digitFor(looking)
    const found = activations(model, x)
    const scores = found.at(-1)?.output as Tensor
    const layers: LayerValues[] = [{ layer: 'input', shape: [1, SIDE, SIDE], values: valuesOf(x).values }]
    for (const { layer, output } of found) {
      if (layer === 'flatten') continue
      const values = { shape: output.shape.slice(1), values: valuesOf(output).values }
      if (layer === 'relu') layers.push({ layer: `${layers.pop()?.layer ?? ''}, relu`, ...values })
      else layers.push({ layer, ...values })
    }
    const first = model.parameters().find(({ ndim }) => ndim === 4)
    const filters = first ? valuesOf(first) : null
    const probabilities = softmax(scores).data() as Float32Array<ArrayBuffer>
    const transfer = [...layers, ...(filters ? [filters] : [])].map(({ values }) => values.buffer)
    post({ type: 'sight', layers, filters, probabilities, fresh }, transfer)
  })
}

let occlusionDue: ReturnType<typeof setTimeout> | undefined

/** Sends the occlusion map once the digit has stayed for a moment: it takes as long as hundreds of looks. */
function occludeSoon(): void {
  clearTimeout(occlusionDue)
  occlusionDue = setTimeout(() => {
    try {
      occlude()
    } catch (error) {
      fail(error)
    }
  }, OCCLUSION_AFTER)
}

function occlude(): void {
  clearTimeout(occlusionDue)
  if (!trainee) return
  const seeing = trainee
  const { model } = seeing
  const { mean, std } = seeing.preprocessing.normalization
  const black = -([mean].flat()[0] as number) / ([std].flat()[0] as number)
  const map = scope(() => occlusionMap(model, digitFor(seeing), { size: 7, fill: black, batchSize: 112 }))
  post({ type: 'occlusion', target: map.target, shape: map.shape, values: map.values as Float32Array<ArrayBuffer> })
}

// Training

/** Measures the model on all test images; stops when another model has taken its place. */
async function test(tested: Trainee, set: ImageDataset): Promise<void> {
  if (tested !== trainee) return
  const { model, preprocessing, images } = tested
  await workWith(tested, async () => {
    let right = 0
    const { loss } = await evaluate(model, imageExamples(set, preprocessing), {
      batchSize: TEST_BATCH,
      loss: crossEntropy,
      onBatch(output, labels) {
        right += accuracy(output, labels) * labels.length
        if (tested !== trainee) throw new PageError('another model')
      },
    })
    if (tested !== trainee) return
    const share = right / set.size
    if (!Number.isFinite(loss) || !Number.isFinite(share)) {
      throw new PageError(
        'The scores that the model gives to the test images are not numbers. Start over, or load another.',
      )
    }
    post({ type: 'test', images, size: set.size, loss, accuracy: share })
  })
}

/** Resolves when training is wanted, at once if it is. */
const turnedOn = (): Promise<void> | undefined =>
  wanted ? undefined : new Promise<void>((resolve) => (wake = resolve))

function halt(): void {
  wanted = false
  post({ type: 'training', on: false })
}

/** Trains the model that is in place until there is no more to do, or until another takes its place. */
async function train(): Promise<void> {
  running = true
  try {
    const [training, testing] = await Promise.all([trainingSet(), testSet()])
    for (let seen: typeof loadedTest; seen !== loadedTest;) await (seen = loadedTest)
    const current = trainee
    if (current && wanted) await workWith(current, () => trainOn(current, training, testing))
  } catch (error) {
    halt()
    fail(error)
  } finally {
    running = false
    // A model that came while this one was being left.
    if (wanted) void train()
  }
}

async function trainOn(current: Trainee, training: ImageDataset, testing: ImageDataset): Promise<void> {
  let batchAccuracy = 0
  // The last batch of an epoch may be smaller than the others.
  const stepsPerEpoch = Math.ceil(training.size / BATCH)
  const run = fit(current.model, imageExamples(training, current.preprocessing), {
    epochs: EPOCHS + Math.floor((current.state?.step ?? 0) / stepsPerEpoch),
    batchSize: BATCH,
    loss: crossEntropy,
    optimizer: current.optimizer,
    schedule(step) {
      current.fastest = Math.max(current.fastest, rate)
      return rate * Math.min(1, (step + 1) / WARMUP)
    },
    metrics: { accuracy: (output, labels) => (batchAccuracy = accuracy(output, labels)) },
    ...(current.state ? { start: current.state } : {}),
  })
  let [lastLook, lastOcclusion] = [0, performance.now()]
  let [testTook, trained] = [0, 0]
  let before = performance.now()
  const speed = speedometer()
  const judge = judgement()
  for await (const event of run) {
    if (current !== trainee) return
    if (event.type !== 'step') continue
    current.state = event.state
    const now = performance.now()
    trained += now - before
    const images = Math.floor(event.step / stepsPerEpoch) * training.size + (event.step % stepsPerEpoch) * BATCH
    current.images = images
    const step: StepMessage = {
      ...{ type: 'step', step: event.step, images, loss: event.loss, accuracy: batchAccuracy },
      imagesPerSecond: speed(images, now),
    }
    post(step)
    judge(event.loss)
    if (now - lastLook > LOOK_EVERY) {
      look(false)
      lastLook = now
    }
    if (now - lastOcclusion > OCCLUSION_EVERY) {
      occlude()
      lastOcclusion = now
    }
    if (
      FIRST_TESTS.includes(event.step) ||
      (testTook > 0 && trained > Math.min(TEST_EVERY, TRAINING_PER_TEST * testTook))
    ) {
      const began = performance.now()
      await test(current, testing)
      ;[testTook, trained] = [performance.now() - began, 0]
      speed(images, performance.now(), true)
    }
    if (!wanted) {
      look(false)
      occlude()
      await turnedOn()
      speed(images, performance.now(), true)
    }
    if (current !== trainee) return
    before = performance.now()
  }
  await test(current, testing)
  if (current !== trainee) return
  look(false)
  occlude()
  halt()
}

/**
 * Judges the losses of a run one by one. A learning rate that is too high seldom ends in NaN: one large step leaves
 * units that no input activates any more, and the loss stays where guessing has it.
 */
function judgement(): (loss: number) => void {
  const losses: number[] = []
  let steps = 0
  return (loss) => {
    losses.push(loss)
    if (losses.length > JUDGED) losses.shift()
    if (++steps < WARMUP + JUDGED) return
    const mean = losses.reduce((sum, each) => sum + each, 0) / JUDGED
    if (mean < 0.98 * GUESSING) return
    throw new DivergedError(
      `over the last ${JUDGED} steps the loss was ${mean.toPrecision(3)}, no better than guessing (${GUESSING.toPrecision(3)})`,
    )
  }
}

/** Images a second over the last three seconds of training; `reset` leaves out what came before, such as a test. */
function speedometer(): (images: number, now: number, reset?: boolean) => number {
  let marks: { images: number; now: number }[] = []
  let last = 0
  return (images, now, reset = false) => {
    if (reset) marks = []
    marks.push({ images, now })
    while (marks.length > 2 && now - marks[0]!.now > 3000) marks.shift()
    const [first] = marks
    if (first && now - first.now > 250) last = ((images - first.images) * 1000) / (now - first.now)
    return last
  }
}

// Messages

async function answer(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'train':
      wanted = true
      post({ type: 'training', on: true })
      if (!running) void train()
      wake?.()
      break
    case 'pause':
      halt()
      break
    case 'restart':
      use(convnet({ seed: Math.floor(performance.now()) }), mnist)
      wake?.()
      break
    case 'rate':
      rate = message.rate
      break
    case 'look':
      pixels = message.pixels
      look(true)
      occludeSoon()
      break
    case 'pick': {
      const { images, labels, size } = await testSet()
      const index = Math.floor(Math.random() * size)
      const picked = images.slice(index * SIDE * SIDE, (index + 1) * SIDE * SIDE)
      post({ type: 'picked', pixels: picked, label: labels[index] as number })
      break
    }
    case 'save':
      save()
      break
    case 'load':
      loadModel(message.name, message.bytes)
      wake?.()
      break
  }
}

/** As many as the page's address asks for, or one for each core, up to four: the page itself needs little of one. */
function threadsWanted(): number {
  const asked = Number(new URLSearchParams(location.search).get('threads') ?? Number.NaN)
  if (Number.isInteger(asked) && asked >= 1 && asked <= 16) return asked
  return host.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1
}

try {
  await init({
    threads: threadsWanted(),
    createWorker: () => new Worker(new URL('thread.js', import.meta.url), { type: 'module' }),
  })
  const { threads, threadsOffBecause, version } = runtimeInfo()
  post({ type: 'ready', threads, version, ...(threadsOffBecause === undefined ? {} : { threadsOffBecause }) })
  use(convnet({ seed: 1 }), mnist)
  host.onmessage = ({ data }) => {
    answer(data).catch((error: unknown) => fail(error))
  }
} catch (error) {
  fail(error, true)
}
