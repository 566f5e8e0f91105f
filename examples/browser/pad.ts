/** The drawing pad: strokes by mouse, touch, pen or keyboard, or a picture to look at. */
import { SIDE } from './messages.js'
import { digitOf, type Point, type Stroke } from './strokes.js'

/** Extent of the pad in its own units. */
const EXTENT = 280
const PEN_WIDTH = 21
/** Distance that an arrow key moves the pen. */
const KEY_STEP = 14

/** A three, so that there is something to look at before anything was drawn. */
const three: Stroke[] = [
  [
    [92, 78],
    [112, 60],
    [146, 54],
    [174, 68],
    [180, 94],
    [164, 120],
    [132, 134],
    [166, 144],
    [188, 168],
    [186, 200],
    [160, 224],
    [122, 226],
    [92, 208],
  ].map(([x, y]) => ({ x: x as number, y: y as number })),
]

/** What is on the pad: strokes, or a picture in place of them. */
interface Drawing {
  readonly strokes: readonly Stroke[]
  readonly picture?: LabelledPicture
  /** Whether the page put it there, so that the first stroke of a person replaces it. */
  readonly isPreset?: boolean
}

/** A picture of SIDE × SIDE bytes, and the digit that it shows. */
export interface LabelledPicture {
  readonly pixels: Uint8Array<ArrayBuffer>
  readonly label: number
}

/** Drawings that can be brought back. */
const MOST_UNDONE = 100

export class Pad {
  readonly #canvas: HTMLCanvasElement
  readonly #changed: (pixels: Uint8Array<ArrayBuffer>) => void
  #drawing: Drawing = { strokes: three, isPreset: true }
  /** The stroke that is being drawn, the last of the drawing. */
  #stroke: Point[] = []
  /** Earlier drawings, the latest last. */
  #past: Drawing[] = []
  #pen: Point = { x: EXTENT / 2, y: EXTENT / 2 }
  /** Whether the keyboard's pen is on the paper. */
  #down = false
  #scheduled = false

  constructor(canvas: HTMLCanvasElement, changed: (pixels: Uint8Array<ArrayBuffer>) => void) {
    this.#canvas = canvas
    this.#changed = changed
    canvas.width = canvas.height = EXTENT * 2
    let drawing = false
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      drawing = true
      canvas.setPointerCapture(event.pointerId)
      this.#down = false
      this.#begin(this.#at(event))
    })
    canvas.addEventListener('pointermove', (event) => {
      if (!drawing) return
      // Browsers put what happened between two frames into one event.
      const events = event.getCoalescedEvents()
      for (const each of events.length > 0 ? events : [event]) this.#stroke.push(this.#at(each))
      this.#update(false)
    })
    for (const name of ['pointerup', 'pointercancel'] as const) {
      canvas.addEventListener(name, () => {
        if (drawing) this.#update(true)
        drawing = false
      })
    }
    canvas.addEventListener('keydown', (event) => {
      const undoes = event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey
      if (undoes) this.undo()
      if (undoes || this.#key(event.key)) event.preventDefault()
    })
    for (const name of ['focus', 'blur'] as const) {
      canvas.addEventListener(name, () => {
        this.#down = false
        this.redraw()
      })
    }
    this.redraw()
  }

  /** What the model gets: SIDE × SIDE bytes. */
  get pixels(): Uint8Array<ArrayBuffer> {
    return this.#drawing.picture?.pixels ?? digitOf(this.#drawing.strokes)
  }

  /** The digit that is on the pad, where it is known: that of a picture. */
  get label(): number | undefined {
    return this.#drawing.picture?.label
  }

  get canUndo(): boolean {
    return this.#past.length > 0
  }

  clear(): void {
    const { strokes, picture } = this.#drawing
    if (strokes.length > 0 || picture) this.#replace({ strokes: [] })
    this.#down = false
    this.#update(true)
  }

  show(picture: LabelledPicture): void {
    this.#replace({ strokes: [], picture })
    this.#down = false
    this.#update(true)
  }

  /** Takes back the last stroke, or what cleared the pad or put a picture on it. */
  undo(): void {
    const before = this.#past.pop()
    if (!before) return
    this.#drawing = before
    this.#down = false
    this.#update(true)
  }

  #replace(drawing: Drawing): void {
    this.#past.push(this.#drawing)
    if (this.#past.length > MOST_UNDONE) this.#past.shift()
    this.#drawing = drawing
  }

  #at({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect()
    return { x: ((clientX - left) / width) * EXTENT, y: ((clientY - top) / height) * EXTENT }
  }

  #begin(point: Point): void {
    const { strokes, isPreset = false } = this.#drawing
    this.#stroke = [point]
    this.#replace({ strokes: isPreset ? [this.#stroke] : [...strokes, this.#stroke] })
    this.#update(false)
  }

  /** Whether the key means something here. */
  #key(key: string): boolean {
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    }
    const move = moves[key]
    if (move) {
      const within = (value: number): number => Math.min(EXTENT, Math.max(0, value))
      this.#pen = { x: within(this.#pen.x + KEY_STEP * move[0]), y: within(this.#pen.y + KEY_STEP * move[1]) }
      if (this.#down) {
        this.#stroke.push(this.#pen)
        this.#update(true)
      } else this.redraw()
    } else if (key === ' ' || key === 'Enter') {
      this.#down = !this.#down
      if (this.#down) this.#begin(this.#pen)
      this.#update(true)
    } else if (key === 'Delete' || key === 'Backspace') this.clear()
    else return false
    return true
  }

  /** Draws, and tells at most once a frame while a stroke goes on. */
  #update(done: boolean): void {
    this.redraw()
    if (done) this.#changed(this.pixels)
    else if (!this.#scheduled) {
      this.#scheduled = true
      requestAnimationFrame(() => {
        this.#scheduled = false
        this.#changed(this.pixels)
      })
    }
  }

  /** Draws the pad in the colours of the page. */
  redraw(): void {
    const context = this.#canvas.getContext('2d')
    if (!context) return
    const style = getComputedStyle(this.#canvas)
    const [paper, ink, accent] = ['--pad', '--pad-ink', '--training'].map((name) => style.getPropertyValue(name).trim())
    context.setTransform(2, 0, 0, 2, 0, 0)
    context.fillStyle = paper ?? 'black'
    context.fillRect(0, 0, EXTENT, EXTENT)
    context.fillStyle = context.strokeStyle = ink ?? 'white'
    const { strokes, picture } = this.#drawing
    if (picture) {
      const size = EXTENT / SIDE
      picture.pixels.forEach((value, i) => {
        if (value === 0) return
        context.globalAlpha = value / 255
        context.fillRect((i % SIDE) * size, Math.floor(i / SIDE) * size, size, size)
      })
      context.globalAlpha = 1
    }
    context.lineWidth = PEN_WIDTH
    context.lineCap = context.lineJoin = 'round'
    for (const stroke of strokes) {
      context.beginPath()
      stroke.forEach(({ x, y }, index) => {
        if (index === 0) context.moveTo(x, y)
        context.lineTo(x, y)
      })
      context.stroke()
    }
    if (this.#canvas.matches(':focus-visible')) {
      const { x, y } = this.#pen
      context.strokeStyle = accent ?? 'blue'
      context.lineWidth = 3
      context.beginPath()
      context.arc(x, y, this.#down ? 6 : 11, 0, 2 * Math.PI)
      context.stroke()
    }
  }
}
