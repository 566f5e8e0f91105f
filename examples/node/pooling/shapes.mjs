/** Maxout units that are trained to be |x|, x² and a step: each is the largest of a few lines, and so convex; a step is the difference of two. */
import { Adam, Linear, Maxout, mseLoss, scope, Sequential, tensor, valueAndGrad } from 'toeplitz'

/** From −1 to 1, without the place where a step has no value. */
const at = Float32Array.from({ length: 200 }, (_, i) => (i - 99.5) / 100)

const shapes = [
  { name: '|x|', units: 1, pieces: 2, of: Math.abs },
  { name: 'x²', units: 1, pieces: 4, of: (x) => x * x },
  { name: 'a step', units: 2, pieces: 2, of: (x) => (x > 0 ? 1 : 0) },
]

/** Lines of any slope, that cross anywhere. */
const drawn = { name: 'normal', std: 1 }

/** Trains one network from one seed; gives its lines and how far it is off. */
function train({ units, pieces, of }, seed) {
  const target = at.map(of)
  const layers = [
    new Linear({ outFeatures: units * pieces, weightInit: drawn, biasInit: drawn }),
    new Maxout({ groupSize: pieces }),
  ]
  if (units > 1) layers.push(new Linear({ outFeatures: 1 }))
  const model = new Sequential(layers, { input: [1], seed })
  const [x, y] = [tensor(at, [at.length, 1]), tensor(target, [at.length, 1])]
  const parameters = model.parameters()
  const optimizer = new Adam(parameters, { lr: 0.02 })
  for (let step = 0; step < 4000; step++) {
    if (step === 3000) optimizer.lr = 0.002
    scope(() => optimizer.step(valueAndGrad(() => mseLoss(model.forward(x), y))(...parameters).gradients))
  }
  const fitted = scope(() => model.forward(x).data())
  const [slopes, offsets, mix = [1], shift = [0]] = parameters.map((weights) => [...weights.data()])
  for (const each of [x, y, optimizer, model]) each.dispose()
  const apart = fitted.map((value, i) => Math.abs(value - target[i]))
  return {
    rms: Math.sqrt(apart.reduce((sum, value) => sum + value * value, 0) / apart.length),
    worst: Math.max(...apart),
    seed,
    // Lines a·x + b by unit, the factor of each unit, and what is added to their sum.
    lines: Array.from({ length: units }, (_, unit) =>
      Array.from({ length: pieces }, (_, piece) => [slopes[unit * pieces + piece], offsets[unit * pieces + piece]]),
    ),
    factors: mix,
    shift: shift[0],
  }
}

/** The best of eight seeds for each shape: a line that is never the largest learns nothing. */
export const fitShapes = () =>
  shapes.map((shape) => {
    const [best] = Array.from({ length: 8 }, (_, seed) => train(shape, seed)).sort((a, b) => a.rms - b.rms)
    console.log(
      `${shape.name}: ${shape.units} unit(s) of ${shape.pieces} lines, error ${best.rms.toFixed(4)} (root of the mean square)`,
    )
    return { name: shape.name, units: shape.units, pieces: shape.pieces, ...best }
  })
