/**
 * Writes pictures of docs/chapter-9.md and docs/networks.md into docs/images: node docs/pictures.mjs [RUN], where RUN is the folder
 * of the training that docs/chapter-9.md tells at figure 9.19. Without it the filters of that run stay as they are.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { URL } from 'node:url'
import { init } from '../dist/index.js'
import { decodeModel, encodePng } from '../dist/io.js'
import { filterGrid, paletteOf, pictureWeights, tileGrid } from '../dist/vision.js'
import { digitCodes } from '../dist/zoo.js'

/** White to black, as the codes stand on paper. */
const paper = paletteOf([
  [225, 228, 232],
  [20, 24, 30],
])
const save = (name, picture) => writeFile(new URL(`images/${name}.png`, import.meta.url), encodePng(picture))
const [run, ...rest] = process.argv.slice(2)
if (rest.length > 0) {
  console.error('usage: node docs/pictures.mjs [RUN]')
  process.exit(2)
}

await init()
// The codes of the ten digits in 12 rows of 7, which LeNet-5's 84 units are to show.
const marks = digitCodes.flatMap((code) => [...code].map((mark) => (mark === '#' ? 1 : 0)))
const codes = { shape: [10, 12, 7], values: Float32Array.from(marks) }
await save('codes', tileGrid(codes, { columns: 10, zoom: 8, gap: 8, palette: paper, range: [0, 1] }))

if (run !== undefined) {
  const path = join(run, 'model.safetensors')
  const { model } = decodeModel(await readFile(path), path)
  const { shape, values } = pictureWeights(model)
  const filters = { shape, values }
  await save('convnet-cifar10', filterGrid(filters, { columns: 8, zoom: 10, gap: 4 }))
  model.dispose()
}
