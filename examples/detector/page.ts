/** The page: pictures from files and from the camera, the faces on them, and what it took. */
import { Detector } from './detector.js'
import { inPicture, placed, SIDE, type Face } from './faces.js'

/** Most pixels on a side of what is shown. */
const LARGEST = 1280
/** Milliseconds over which frames are counted. */
const WHILE = 1000

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const say = (id: string, text: string): void => {
  find(id).textContent = text
}

const canvas = find<HTMLCanvasElement>('picture')
const video = find<HTMLVideoElement>('video')
const file = find<HTMLInputElement>('file')
const buttons = { choose: find<HTMLButtonElement>('choose'), camera: find<HTMLButtonElement>('camera') }

/** What the network sees: the picture in the middle of a black square. */
const square = new OffscreenCanvas(SIDE, SIDE).getContext('2d', { willReadFrequently: true })

let detector: Detector | undefined
let stream: MediaStream | undefined
/** Counts what was asked to be shown: a picture or a camera that comes late is not shown over a later one. */
let asked = 0

function notice(text: string | undefined): void {
  const place = find('notice')
  place.hidden = text === undefined
  place.textContent = text ?? ''
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const counted = (count: number): string => (count === 1 ? '1 face' : `${count === 0 ? 'no' : count} faces`)

/** Boxes and points, in a colour that is seen on any picture: dark around light. */
function drawFaces(pen: CanvasRenderingContext2D, faces: readonly Face[]): void {
  const { width, height } = pen.canvas
  const thick = Math.max(2, Math.max(width, height) / 250)
  for (const [color, more] of [
    ['#000000a0', thick],
    ['#ffd84d', 0],
  ] as const) {
    pen.strokeStyle = pen.fillStyle = color
    pen.lineWidth = thick + more
    for (const face of faces) {
      pen.strokeRect(face.left * width, face.top * height, face.width * width, face.height * height)
      for (const point of face.points) {
        pen.beginPath()
        pen.arc(point.x * width, point.y * height, 1.5 * thick + more / 2, 0, 2 * Math.PI)
        pen.fill()
      }
    }
  }
}

/** Shows a picture with the faces on it. `isMirrored` turns left and right round, as a mirror does. */
function show(picture: CanvasImageSource, width: number, height: number, isMirrored = false): readonly Face[] {
  const start = performance.now()
  const scale = Math.min(1, LARGEST / Math.max(width, height))
  const [wide, high] = [width, height].map((extent) => Math.max(1, Math.round(extent * scale))) as [number, number]
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high })
  const pen = canvas.getContext('2d')
  if (!pen || !square || !detector) return []
  pen.clearRect(0, 0, wide, high)
  pen.setTransform(isMirrored ? -1 : 1, 0, 0, 1, isMirrored ? wide : 0, 0)
  pen.drawImage(picture, 0, 0, wide, high)
  pen.resetTransform()

  const place = placed(wide, high)
  square.fillStyle = '#000'
  square.fillRect(0, 0, SIDE, SIDE)
  square.drawImage(canvas, place.left, place.top, place.width, place.height)
  const { faces: found, milliseconds } = detector.find(square.getImageData(0, 0, SIDE, SIDE).data)
  const faces = found.map((face) => inPicture(face, place))
  drawFaces(pen, faces)

  say('faces', String(faces.length))
  say('score-note', faces.length === 0 ? 'none is sure enough' : `sure by ${faces.map(percent).join(', ')}`)
  say('frame', (performance.now() - start).toFixed(1))
  say('network-note', `${milliseconds.toFixed(1)} of them the network`)
  canvas.setAttribute('aria-label', `Picture with ${counted(faces.length)}`)
  return faces
}

const percent = ({ score }: Face): string => `${(100 * score).toFixed(0)} %`

/** Shows a picture of a file. */
async function showFile(blob: Blob, name: string): Promise<void> {
  const number = ++asked
  stopCamera()
  let picture: ImageBitmap
  try {
    picture = await createImageBitmap(blob)
  } catch {
    notice(`${name} is not a picture that this browser reads; choose a JPEG, PNG, WebP, GIF or AVIF.`)
    return
  }
  if (number === asked) {
    notice(undefined)
    const faces = show(picture, picture.width, picture.height)
    say('source', `${name}, ${picture.width} × ${picture.height}`)
    say('spoken', `${counted(faces.length)} in ${name}`)
  }
  picture.close()
}

/** What keeps the camera from being used, in words. */
function cameraTrouble(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'The camera was not allowed. The browser asks again when its permission for this page is reset.'
    case 'NotFoundError':
      return 'There is no camera. Choose a picture, or drop one on the page.'
    case 'NotReadableError':
      return 'The camera does not start: another program may be using it.'
    default:
      return `The camera does not start: ${messageOf(error)}`
  }
}

async function startCamera(): Promise<void> {
  const number = ++asked
  // Browsers leave it out where a page came neither over https nor from the machine itself.
  if (!(navigator.mediaDevices as MediaDevices | undefined)) {
    notice('This browser gives a camera only to pages that come over https, or from localhost.')
    return
  }
  let opened: MediaStream
  try {
    opened = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user', width: { ideal: 640 } } })
  } catch (error) {
    notice(cameraTrouble(error))
    return
  }
  if (number !== asked) {
    for (const track of opened.getTracks()) track.stop()
    return
  }
  stream = opened
  notice(undefined)
  buttons.camera.textContent = 'Stop the camera'
  const [track] = opened.getVideoTracks()
  track?.addEventListener('ended', () => {
    stopCamera()
    notice('The camera ended.')
  })
  video.srcObject = opened
  try {
    await video.play()
  } catch (error) {
    // It was stopped before it began.
    if (stream === opened) notice(cameraTrouble(error))
    return
  }
  // Only a camera that looks away from the one who holds it shows the world as it is.
  follow(opened, track?.getSettings().facingMode !== 'environment')
}

/** Finds the faces of every frame that the camera gives, or of as many as there is time for. */
function follow(of: MediaStream, isMirrored: boolean): void {
  let [since, frames, last, seen] = [performance.now(), 0, -1, -1]
  const each = (): void => {
    if (stream !== of) return
    requestAnimationFrame(each)
    // The page is drawn more often than the camera gives a frame.
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.currentTime === seen) return
    seen = video.currentTime
    try {
      const faces = show(video, video.videoWidth, video.videoHeight, isMirrored)
      say('source', `The camera, ${video.videoWidth} × ${video.videoHeight}`)
      if (faces.length !== last) say('spoken', counted(faces.length))
      last = faces.length
    } catch (error) {
      stopCamera()
      notice(messageOf(error))
      return
    }
    frames++
    const now = performance.now()
    if (now - since < WHILE) return
    say('rate', ((1000 * frames) / (now - since)).toFixed(0))
    ;[since, frames] = [now, 0]
  }
  requestAnimationFrame(each)
}

function stopCamera(): void {
  for (const track of stream?.getTracks() ?? []) track.stop()
  stream = undefined
  video.srcObject = null
  buttons.camera.textContent = 'Start the camera'
  say('rate', '–')
}

/** The first picture of what was dropped; anything else is said to be none. */
function take(files: FileList | undefined): void {
  const [first] = files ?? []
  if (!detector) return
  if (first) void showFile(first, first.name).catch((error: unknown) => notice(messageOf(error)))
  else notice('What was dropped is no file: drop a picture from a folder.')
}

buttons.choose.addEventListener('click', () => file.click())
file.addEventListener('change', () => {
  if (file.files?.length) take(file.files)
  // The same file can be chosen again.
  file.value = ''
})
buttons.camera.addEventListener('click', () => {
  if (stream) {
    asked++
    stopCamera()
  } else void startCamera()
})
for (const type of ['dragenter', 'dragover'] as const) {
  addEventListener(type, (event) => {
    event.preventDefault()
    document.body.classList.add('dropping')
  })
}
addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) document.body.classList.remove('dropping')
})
addEventListener('drop', (event) => {
  event.preventDefault()
  document.body.classList.remove('dropping')
  take(event.dataTransfer?.files)
})

/** Loads the network, and shows what it does with a picture that comes with the page. */
async function start(): Promise<void> {
  try {
    detector = await Detector.load(new URL('blazeface.onnx', import.meta.url))
  } catch (error) {
    notice(messageOf(error))
    return
  }
  say('version', detector.version)
  say('model-note', `The network has ${detector.parameters.toLocaleString('en')} weights.`)
  for (const button of Object.values(buttons)) button.disabled = false
  const response = await fetch(new URL('astronaut.jpg', import.meta.url))
  if (response.ok && asked === 0) await showFile(await response.blob(), 'Eileen Collins, by NASA')
}

start().catch((error: unknown) => notice(messageOf(error)))
