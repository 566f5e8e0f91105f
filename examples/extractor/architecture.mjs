/**
 * The extractor: a residual network for pictures of (3, 32, 32) with 272,000 parameters, in float16 half a megabyte, whose last but one
 * layer gives 88 features. Run by itself, it prints the architecture as `toeplitz train --model` reads it:
 *
 *   node examples/extractor/architecture.mjs > extractor.json
 */
import { fileURLToPath } from 'node:url'
import { Add, BatchNorm2d, Conv2d, Flatten, GlobalAvgPool, Graph, init, Linear, MaxPool2d, ReLU } from 'toeplitz'

/** The network with its initial weights. */
export function extractor({ classes, seed }) {
  const nodes = []
  let last = 'input'
  const add = (name, layer, inputs = last) => {
    nodes.push({ name, layer, inputs })
    last = name
  }
  /** A convolution of 3 × 3 that keeps the size, normalized and rectified. */
  const unit = (name, outChannels) => {
    add(`${name}.conv`, new Conv2d({ outChannels, kernel: 3, padding: 1, bias: false }))
    add(`${name}.norm`, new BatchNorm2d())
    add(name, new ReLU())
  }
  /** Two of them, whose result is added to what came in. */
  const residual = (name, maps) => {
    const before = last
    unit(`${name}a`, maps)
    unit(`${name}b`, maps)
    add(name, new Add(), [before, last])
  }
  const halve = (name) => add(name, new MaxPool2d({ kernel: 2 }))

  unit('first', 24)
  unit('second', 48)
  halve('half')
  residual('third', 48)
  unit('fourth', 64)
  halve('quarter')
  unit('fifth', 88)
  halve('eighth')
  residual('sixth', 88)
  add('pool', new GlobalAvgPool())
  add('features', new Flatten())
  add('head', new Linear({ outFeatures: classes }))
  return new Graph(nodes, { inputs: { input: [3, 32, 32] }, seed })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await init()
  process.stdout.write(`${JSON.stringify(extractor({ classes: 8, seed: 1 }).toJSON())}\n`)
}
