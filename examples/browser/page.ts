/** The page: controls, charts and pictures. Everything that takes time is in the worker. */
import { Charts } from './charts.js'
import {
  CLASSES,
  SIDE,
  type FromWorker,
  type OcclusionMessage,
  type SightMessage,
  type StepMessage,
  type TestMessage,
  type ToWorker,
  type Values,
} from './messages.js'
import { count, lossText, percent } from './numbers.js'
import { Pad } from './pad.js'
import { darkPage, drawTiles, placeOf, put, signed, strokes, tileAt } from './pictures.js'

/** Milliseconds between pictures of a learning network, where less motion is wanted. */
const CALM = 2000
const EPOCH = 60_000

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const say = (id: string, text: string): void => {
  find(id).textContent = text
}

const calm = matchMedia('(prefers-reduced-motion: reduce)')
const charts = new Charts(find('loss-chart'), find('accuracy-chart'))
const buttons = {
  train: find<HTMLButtonElement>('train'),
  restart: find<HTMLButtonElement>('restart'),
  save: find<HTMLButtonElement>('save'),
  load: find<HTMLButtonElement>('load'),
  pick: find<HTMLButtonElement>('pick'),
}
const rate = find<HTMLInputElement>('rate')
const file = find<HTMLInputElement>('file')

let training = false
let sight: SightMessage | undefined
let occlusion: OcclusionMessage | undefined
let lastSight = 0

// The worker

let worker: Worker | undefined
const send = (message: ToWorker, transfer: Transferable[] = []): void => worker?.postMessage(message, transfer)

function notice(text: string | undefined): void {
  const place = find('notice')
  place.hidden = text === undefined
  place.textContent = text ?? ''
}

/** Without a model there is nothing to train, but the pad and the page stay. */
function setReady(ready: boolean): void {
  for (const control of [...Object.values(buttons), rate]) control.disabled = !ready
}

function start(): void {
  worker = new Worker(new URL(`worker.js${location.search}`, import.meta.url), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    receive(data)
  }
  worker.onerror = (event) => {
    event.preventDefault()
    setReady(false)
    notice(
      `The worker that computes could not be started (${event.message || 'worker.js did not load'}). ` +
        'This page needs a browser with module workers and WebAssembly SIMD: Chrome or Edge 91, Firefox 114, Safari 16.4 or later.',
    )
  }
}

function receive(message: FromWorker): void {
  switch (message.type) {
    case 'ready':
      say('version', message.version)
      say('threads-note', `of training, in ${message.threads} thread${message.threads > 1 ? 's' : ''}`)
      find('threads-note').title = message.threadsOffBecause ?? ''
      setReady(true)
      look()
      break
    case 'loading':
      find<HTMLProgressElement>('progress').value = message.share
      find('progress').hidden = message.share >= 1
      break
    case 'training':
      training = message.on
      buttons.train.textContent = training ? 'Pause' : sight && stepsSeen > 0 ? 'Go on' : 'Train'
      if (training) countFrames()
      break
    case 'model':
      showModel(message.source, message.parameters)
      break
    case 'step':
      showStep(message)
      break
    case 'test':
      showTest(message)
      break
    case 'sight':
      if (calm.matches && !message.fresh && training && performance.now() - lastSight < CALM) return
      lastSight = performance.now()
      sight = message
      requestAnimationFrame(showSight)
      // Before the frame: a message of the training may come until then, and takes the answer's place.
      if (message.fresh) {
        asked = false
        if (waiting) look(waiting)
      }
      break
    case 'occlusion':
      occlusion = message
      showOcclusion()
      break
    case 'picked':
      pad.show(message)
      break
    case 'saved':
      download(message.bytes)
      break
    case 'failed':
      notice(message.message)
      // The answer that was due may be what failed; the pad goes on asking.
      asked = false
      if (message.fatal) setReady(false)
      break
  }
}

// Training

let stepsSeen = 0

function showModel(source: string | undefined, parameters: number): void {
  stepsSeen = 0
  charts.reset()
  find('loss-chart').ariaLabel = 'Loss by training images seen: no training yet'
  find('accuracy-chart').ariaLabel = 'Accuracy by training images seen: no training yet'
  say('accuracy', '–')
  say('accuracy-note', source === undefined ? 'not tested yet' : 'testing the loaded model')
  say('images', '0')
  say('epoch-note', `of ${count(EPOCH)} in an epoch`)
  say('speed', '–')
  say('model-note', `${source ?? 'The network'} has ${count(parameters)} weights.`)
  buttons.train.textContent = training ? 'Pause' : 'Train'
  if (source !== undefined) say('spoken', `${source} is loaded.`)
}

function showStep({ step, images, loss, accuracy, imagesPerSecond }: StepMessage): void {
  stepsSeen = step
  charts.step(images, loss, accuracy)
  say('images', count(images))
  say('epoch-note', `epoch ${Math.floor(images / EPOCH) + 1}, ${count(images % EPOCH)} of ${count(EPOCH)}`)
  if (imagesPerSecond > 0) say('speed', count(imagesPerSecond))
}

let lastSpoken = 0

function showTest({ images, accuracy, loss, size }: TestMessage): void {
  charts.test(images, loss, accuracy)
  const right = Math.round(accuracy * size)
  say('accuracy', percent(accuracy))
  say('accuracy-note', `${count(size - right)} of ${count(size)} wrong`)
  const seen = `after ${count(images)} training images`
  find('loss-chart').ariaLabel = `Loss by training images seen: test loss ${lossText(loss)} ${seen}`
  find('accuracy-chart').ariaLabel = `Accuracy by training images seen: test accuracy ${percent(accuracy)} ${seen}`
  if (performance.now() - lastSpoken < 10_000) return
  lastSpoken = performance.now()
  say('spoken', `${percent(accuracy, 1)} of the test images are read right ${seen}.`)
}

/** Counts the frames that the page really gets, while training goes on. */
function countFrames(): void {
  if (counting) return
  counting = true
  let frames = 0
  let began = performance.now()
  const next = (now: number): void => {
    frames++
    if (now - began >= 1000) {
      say('frames', String(Math.round((1000 * frames) / (now - began))))
      frames = 0
      began = now
    }
    if (training) requestAnimationFrame(next)
    else counting = false
  }
  requestAnimationFrame(next)
}
let counting = false

// Drawing

const bars = Array.from({ length: CLASSES }, (_, digit) => {
  const row = document.createElement('li')
  const name = document.createElement('span')
  name.textContent = String(digit)
  const bar = document.createElement('i')
  const value = document.createElement('span')
  value.textContent = '–'
  row.append(name, bar, value)
  find('bars').append(row)
  return { row, bar, value }
})

const undo = find<HTMLButtonElement>('undo')
const pad = new Pad(find<HTMLCanvasElement>('pad'), (pixels) => {
  // The focus of a button that is switched off would be lost.
  if (!pad.canUndo && document.activeElement === undo) find('pad').focus()
  undo.disabled = !pad.canUndo
  look(pixels)
})

/** Asks for what the model makes of the pad; while an answer is due, the latest question waits. */
let asked = false
let waiting: Uint8Array<ArrayBuffer> | undefined
function look(pixels = pad.pixels): void {
  if (asked) {
    waiting = pixels
    return
  }
  asked = true
  waiting = undefined
  send({ type: 'look', pixels: pixels.slice() })
}

const isEmpty = (): boolean => !sight?.layers[0]?.values.some((value, _, all) => value !== all[0])

/** Whether the scores are numbers: those of weights that are not are none. */
const hasScores = (seen: Pick<SightMessage, 'probabilities'> | undefined): boolean =>
  seen?.probabilities.every(Number.isFinite) ?? true

function showAnswer({ probabilities, fresh }: SightMessage): void {
  // Weights that are not numbers give scores that are none.
  const isKnown = hasScores({ probabilities })
  const empty = isEmpty() || !isKnown
  const best = probabilities.indexOf(Math.max(...probabilities))
  bars.forEach(({ row, bar, value }, digit) => {
    const share = isKnown ? (probabilities[digit] as number) : 0
    row.className = digit === best && !empty ? 'best' : ''
    bar.style.setProperty('--share', String(share))
    value.textContent = isKnown ? percent(share, 1) : '–'
  })
  const [digit, words] = find('answer').children as unknown as [HTMLElement, HTMLElement]
  digit.textContent = empty ? '–' : String(best)
  if (!isKnown) {
    words.textContent = 'its scores are not numbers'
    // What was measured and drawn before is of other weights.
    say('accuracy', '–')
    say('accuracy-note', 'the scores are not numbers')
    showOcclusion()
    return
  }
  const sure = `${percent(probabilities[best] as number, 1)} sure`
  const { label } = pad
  const wanted = label === undefined ? '' : label === best ? ', and right' : `, but it is a ${label}`
  words.textContent = empty ? 'draw a digit' : sure + wanted
  if (fresh && !empty) say('spoken', `It reads ${best}, ${sure}${wanted}.`)
}

/** The occlusion map under the strokes: how much each place speaks for the answer. */
function showOcclusion(): void {
  const canvas = find<HTMLCanvasElement>('occlusion')
  const input = sight?.layers[0]?.values
  if (!input || !occlusion) return
  const { target } = occlusion
  // Without scores that are numbers no place speaks for anything.
  const isKnown = hasScores(sight)
  const values = occlusion.values.map((value) => (isKnown && Number.isFinite(value) ? value : 0))
  const [palette, stroke] = [signed(), strokes()]
  const largest = Math.max(0.02, ...values.map(Math.abs))
  const [low, high] = [Math.min(...input), Math.max(...input)]
  const [ink] = stroke(1)
  const data = new Uint8Array(SIDE * SIDE * 4)
  values.forEach((value, i) => {
    const drawn = high > low ? ((input[i] as number) - low) / (high - low) : 0
    const colour = palette(0.5 + value / largest / 2)
    // The strokes lie on the map half transparent, so that both can be seen.
    for (let c = 0; c < 3; c++) {
      const under = colour[c as 0 | 1 | 2]
      data[4 * i + c] = Math.round(under + (ink - under) * 0.4 * drawn)
    }
    data[4 * i + 3] = 255
  })
  put(canvas, SIDE, SIDE, data)
  if (isEmpty()) {
    canvas.ariaLabel = 'Occlusion map: nothing is drawn'
    say('occlusion-note', 'A patch hides every place in turn, to see where the answer hangs.')
    return
  }
  if (!isKnown) {
    canvas.ariaLabel = 'Occlusion map: the scores are not numbers'
    say('occlusion-note', 'The scores are not numbers: no place speaks for an answer.')
    return
  }
  const most = percent(Math.max(0, ...values), 1)
  canvas.ariaLabel = `Occlusion map: hiding one place makes ${target} less likely by up to ${most}`
  say(
    'occlusion-note',
    `A patch hides every place in turn. Where it is warm, that makes the ${target} less likely, by up to ${most}.`,
  )
}

// Looking inside

interface Tiles {
  readonly place: HTMLElement
  readonly canvas: HTMLCanvasElement
  readonly ring: HTMLElement
}

function tilesIn(place: HTMLElement): Tiles {
  const canvas = document.createElement('canvas')
  canvas.setAttribute('aria-hidden', 'true')
  const ring = document.createElement('div')
  ring.className = 'ring'
  ring.hidden = true
  place.append(canvas, ring)
  return { place, canvas, ring }
}

const filters = tilesIn(find('filters'))
const maps = tilesIn(find('maps'))
let chosen: number | undefined

/** Marks a filter and its map. */
function choose(tile: number | undefined): void {
  chosen = tile
  for (const { canvas, ring } of [filters, maps]) {
    const place = tile === undefined ? undefined : placeOf(canvas, tile)
    ring.hidden = !place
    if (!place) continue
    for (const [side, share] of Object.entries(place)) ring.style.setProperty(side, `${100 * share}%`)
  }
  describeChosen()
}

function describeChosen(): void {
  const [first, weights] = [sight?.layers[1], sight?.filters]
  if (chosen === undefined || !first || !weights) {
    say('tile-note', 'Point at a filter, or choose one with the arrow keys, to find its map.')
    return
  }
  const part = ({ values, shape }: Values): Float32Array => {
    const size = values.length / (shape[0] as number)
    return values.subarray((chosen as number) * size, ((chosen as number) + 1) * size)
  }
  const show = (value: number): string => value.toFixed(2).replace('-', '−')
  const [own, map] = [part(weights), part(first)]
  say(
    'tile-note',
    `Filter ${chosen + 1}: weights from ${show(Math.min(...own))} to ${show(Math.max(...own))}; ` +
      `its map reaches ${show(Math.max(...map))}.`,
  )
}

for (const { place, canvas } of [filters, maps]) {
  place.addEventListener('pointermove', ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect()
    choose(tileAt(canvas, (clientX - left) / width, (clientY - top) / height))
  })
  place.addEventListener('pointerleave', () => choose(undefined))
  place.addEventListener('blur', () => choose(undefined))
  place.addEventListener('keydown', (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key]
    if (move === undefined) return
    event.preventDefault()
    const next = chosen === undefined ? 0 : chosen + move
    if (placeOf(canvas, next) && next >= 0) choose(next)
    say('spoken', find('tile-note').textContent ?? '')
  })
}

const COLUMNS = 8
const layers = new Map<string, { figure: HTMLElement; tiles: Tiles }>()

/** The figure of a layer, made when it is first needed. */
function figureOf(key: string, layer: string, shape: readonly number[]): Tiles {
  const known = layers.get(key)
  if (known) return known.tiles
  const figure = document.createElement('figure')
  const heading = document.createElement('h3')
  heading.textContent = layer
  const small = document.createElement('small')
  const [K = 1, H, W] = shape
  small.textContent = H === undefined ? `${count(K)} numbers` : `${count(K)} maps of ${H} × ${W ?? 1}`
  heading.append(small)
  const place = document.createElement('div')
  place.className = 'tiles'
  place.role = 'img'
  place.ariaLabel = `${layer}: ${small.textContent}, for the digit on the pad`
  figure.append(heading, place)
  const tiles = tilesIn(place)
  find('layers').append(figure)
  layers.set(key, { figure, tiles })
  return tiles
}

let structure = ''

function showSight(): void {
  if (!sight) return
  showAnswer(sight)
  const [, first, ...rest] = sight.layers
  const drawn = rest.filter(({ shape }) => !(shape.length === 1 && shape[0] === CLASSES))
  const next = JSON.stringify(sight.layers.map(({ layer, shape }) => [layer, shape]))
  if (next !== structure) {
    structure = next
    for (const { figure } of layers.values()) figure.remove()
    layers.clear()
    choose(undefined)
  }
  filters.place.hidden = !sight.filters
  // Filters of several channels: one row each would be long; the first channel stands for them.
  if (sight.filters) drawTiles(filters.canvas, firstChannel(sight.filters), { columns: COLUMNS, pitch: 56 })
  if (first) drawTiles(maps.canvas, first, { columns: COLUMNS, pitch: 56 })
  drawn.forEach(({ layer, shape, values }, index) => {
    const { canvas } = figureOf(`${index} ${layer}`, layer, shape)
    const flat = shape.length === 1
    drawTiles(
      canvas,
      { shape, values },
      { columns: flat ? 10 : COLUMNS, pitch: flat ? 27 : (shape.at(-1) as number) > 8 ? 26 : 34 },
    )
  })
  if (chosen !== undefined) choose(chosen)
}

function firstChannel({ shape, values }: Values): Values {
  const [K = 0, C = 0, R = 0, S = 0] = shape
  if (C === 1) return { shape, values }
  const size = R * S
  const one = new Float32Array(K * size)
  for (let k = 0; k < K; k++) one.set(values.subarray(k * C * size, k * C * size + size), k * size)
  return { shape: [K, 1, R, S], values: one }
}

// Controls

function download(bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }))
  link.download = 'convnet-mnist.safetensors'
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
  say('spoken', 'The model is saved.')
}

const rateOf = (): number => Number((10 ** Number(rate.value)).toPrecision(2))

function setRate(): void {
  say('rate-value', String(rateOf()))
  rate.setAttribute('aria-valuetext', String(rateOf()))
  send({ type: 'rate', rate: rateOf() })
}

buttons.train.addEventListener('click', () => {
  notice(undefined)
  send({ type: training ? 'pause' : 'train' })
})
buttons.restart.addEventListener('click', () => {
  notice(undefined)
  send({ type: 'restart' })
})
buttons.save.addEventListener('click', () => send({ type: 'save' }))
buttons.load.addEventListener('click', () => file.click())
file.addEventListener('change', () => {
  const [chosenFile] = file.files ?? []
  if (!chosenFile) return
  notice(undefined)
  chosenFile
    .arrayBuffer()
    .then((buffer) => send({ type: 'load', name: chosenFile.name, bytes: new Uint8Array(buffer) }, [buffer]))
    .catch(() => notice(`${chosenFile.name}: the file could not be read; is it still there?`))
  // The same file can be chosen again.
  file.value = ''
})
rate.addEventListener('input', setRate)
find('clear').addEventListener('click', () => pad.clear())
undo.addEventListener('click', () => pad.undo())
buttons.pick.addEventListener('click', () => {
  notice(undefined)
  send({ type: 'pick' })
})
darkPage.addEventListener('change', () => {
  charts.rebuild()
  pad.redraw()
  showSight()
  showOcclusion()
})

setRate()
start()
