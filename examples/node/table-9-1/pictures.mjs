/**
 * Writes the pictures of docs/data-types.md into docs/images: node examples/node/table-9-1/pictures.mjs
 */
import { writeFile } from 'node:fs/promises'
import { tensor } from 'toeplitz'
import { constantQ, melSpectrogram } from 'toeplitz/audio'
import { imageRange } from 'toeplitz/data'
import { encodePng } from 'toeplitz/io'
import { loadMnist } from 'toeplitz/node'
import { filterGrid, paletteOf, tileGrid } from 'toeplitz/vision'
import { movements, movingPictures, solids } from 'toeplitz/volumes'
import { start } from './common.mjs'
import { picture, say, sampleRate } from './words.mjs'

await start()
const heat = paletteOf([
  [10, 10, 35],
  [80, 30, 110],
  [200, 60, 70],
  [250, 160, 50],
  [250, 245, 190],
])
const save = (name, image) => writeFile(new URL(`../../../docs/images/${name}.png`, import.meta.url), encodePng(image))

/** Spectrograms (N, rows, columns) with low frequencies at the bottom. */
function spectrograms(list) {
  const [rows, columns] = list[0].shape.slice(-2)
  const values = new Float32Array(list.length * rows * columns)
  list.forEach((one, n) => {
    const data = one.data()
    for (let row = 0; row < rows; row++)
      values.set(data.subarray(row * columns, (row + 1) * columns), (n * rows + rows - 1 - row) * columns)
  })
  return { shape: [list.length, rows, columns], values }
}

// Three words by one voice, and the same three by another.
const words = []
for (const voice of ['en-us+m3', 'en-gb+f2'])
  for (const word of ['yes', 'stop', 'go']) words.push(await say(word, ['-v', voice, '-s', '140']))
const heard = words.map((samples) => melSpectrogram(tensor(samples), { ...picture, output: 'log' }))
await save(
  'words',
  tileGrid(spectrograms(heard), { columns: 3, zoom: 2, gap: 4, palette: heat, range: 'extent', normalize: 'each' }),
)

// A note of four harmonics at 220 Hz and an octave higher, along log frequency.
const notes = [220, 440].map((frequency) =>
  constantQ(
    tensor(
      Float32Array.from({ length: sampleRate }, (_, t) =>
        [1, 2, 3, 4].reduce((sum, h) => sum + Math.sin((2 * Math.PI * h * frequency * t) / sampleRate) / h, 0),
      ),
    ),
    { sampleRate, from: 110, bins: 60, hop: 441 },
  ),
)
await save(
  'octave',
  tileGrid(spectrograms(notes), { columns: 2, zoom: 4, gap: 6, palette: heat, range: 'extent', normalize: 'all' }),
)

// One solid of each class: slices from front to back.
const size = 20
const { x: voxels, classes } = solids({ count: 5, size, seed: 4 })
const depths = [3, 6, 8, 10, 12, 14, 17]
const slices = new Float32Array(classes.length * depths.length * size * size)
classes.forEach((_, n) => {
  depths.forEach((z, i) => {
    const from = (n * size + z) * size * size
    slices.set(voxels.subarray(from, from + size * size), (n * depths.length + i) * size * size)
  })
})
await save(
  'solids',
  tileGrid(
    { shape: [classes.length * depths.length, size, size], values: slices },
    { columns: depths.length, zoom: 3, gap: 3, palette: heat, range: [-0.4, 1.2] },
  ),
)

// Three videos, a row of eight frames each.
const { training } = await loadMnist()
const videos = movingPictures(imageRange(training, 0, 100), { count: 8, seed: 5 })
const [C, T, H, W] = videos.shape
const shown = [0, 1, 4]
const frames = new Float32Array(shown.length * T * C * H * W)
shown.forEach((n, row) => {
  for (let t = 0; t < T; t++) {
    for (let c = 0; c < C; c++) {
      const from = ((n * C + c) * T + t) * H * W
      frames.set(videos.x.subarray(from, from + H * W), ((row * T + t) * C + c) * H * W)
    }
  }
})
await save(
  'video',
  filterGrid(
    { shape: [shown.length * T, C, H, W], values: frames },
    { columns: T, zoom: 2, gap: 3, range: [0, 1], normalize: 'all' },
  ),
)

// Movements: angles of the joints (rows) over time (columns), a tile for each class.
const moved = movements({ count: 6, noise: 0.05, seed: 3 })
await save(
  'movements',
  tileGrid({ shape: [6, ...moved.shape], values: moved.x }, { columns: 6, zoom: 3, gap: 4, range: 'symmetric' }),
)
