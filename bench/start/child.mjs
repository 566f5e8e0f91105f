// @ts-check
// One start of one side: reads its model and an image, answers, and prints the time and the peak memory.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize } from 'node:v8'
import { peakMegabytes } from '../lib/peak.mjs'

const [side = '', name = '', folder = '', threads = '1'] = process.argv.slice(2)
const model = readFileSync(join(folder, side))
const bytes = readFileSync(join(folder, 'image'))
const image = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))

/** @type {number[]} */
const shape = JSON.parse(readFileSync(join(folder, 'shape'), 'utf8'))

const begin = performance.now()
if (side === 'ours') {
  const { init, tensor } = await import('../../dist/index.js')
  const { createModel } = await import('../../dist/zoo.js')
  await init({ threads: Number(threads) })
  const network = createModel(name).eval()
  network.load(model)
  network.forward(tensor(image, [1, ...shape])).data()
} else if (side === 'onnxruntime-web') {
  const { InferenceSession, Tensor, env } = await import('onnxruntime-web')
  env.wasm.numThreads = Number(threads)
  const session = await InferenceSession.create(model, { executionProviders: ['wasm'] })
  await session.run({ x: new Tensor('float32', image, [1, ...shape]) })
} else {
  const { createNetwork } = await import('../peers/tfjs-wasm.mjs')
  await (await createNetwork(deserialize(model), image)).output()
}
const milliseconds = performance.now() - begin
console.log(JSON.stringify({ milliseconds, megabytes: peakMegabytes() }))
process.exit()
