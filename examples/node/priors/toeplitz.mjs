/**
 * From a dense layer to a convolution by the strength of `toeplitzPenalty`: how far the weights are from a convolution, and the test
 * error, where what is to be learned is a filter whose weights differ a little from place to place, and where it is a filter exactly.
 */
import { Adam, add, linear, mseLoss, normal, scope, square, sum, tensor, valueAndGrad } from 'toeplitz'
import { toeplitzPenalty } from 'toeplitz/priors'

const LENGTH = 48
const filter = [0.5, -1, 2, -1, 0.5]
const convolution = { input: [1, 1, LENGTH], kernel: [1, filter.length], padding: 'same' }

/** The matrix of the filter, each of its weights moved by a number drawn for its place. */
function matrix(deviation, seed) {
  const drawn = scope(() => normal([LENGTH, LENGTH], { std: 1, seed, stream: 7 }).data())
  return Float32Array.from({ length: LENGTH * LENGTH }, (_, i) => {
    const tap = (i % LENGTH) - Math.floor(i / LENGTH) + 2
    return tap >= 0 && tap < filter.length ? filter[tap] + deviation * drawn[i] : 0
  })
}

/** ‖W − T(W)‖ / ‖W‖: 0 for a convolution. */
const distanceOf = (w) =>
  scope(() => Math.sqrt(toeplitzPenalty(w, { ...convolution, strength: 2 }).item() / sum(square(w)).item()))

/** Trains W on 40 noisy examples of 48 numbers; its distance from a convolution, and its error on others without noise. */
function train(strength, deviation, seed) {
  return scope(() => {
    const truth = tensor(matrix(deviation, seed), [LENGTH, LENGTH])
    const x = normal([40, LENGTH], { seed })
    const y = add(linear(x, truth), normal([40, LENGTH], { seed, stream: 1, std: 0.3 }))
    const test = normal([500, LENGTH], { seed, stream: 2 })
    const due = linear(test, truth)
    const w = normal([LENGTH, LENGTH], { std: 0.1, seed, stream: 3 })
    const optimizer = new Adam([w], { lr: 0.02 })
    const loss = (own) => add(mseLoss(linear(x, own), y), toeplitzPenalty(own, { ...convolution, strength }))
    for (let step = 0; step < 1500; step++) {
      if (step === 1000) optimizer.lr = 0.002
      scope(() => optimizer.step(valueAndGrad(loss)(w).gradients))
    }
    optimizer.dispose()
    return { distance: distanceOf(w), error: mseLoss(linear(test, w), due).item() }
  })
}

/** Distances and test errors from the dense layer to the convolution, as means over seeds. */
export function sweepStrength(seeds) {
  return [0, 0.1].flatMap((deviation) =>
    [0, 1e-4, 1e-3, 1e-2, 1e-1, 1].map((strength) => {
      const runs = seeds.map((seed) => train(strength, deviation, seed))
      const mean = (of) => runs.reduce((total, run) => total + of(run), 0) / runs.length
      const row = { deviation, strength, distance: mean((run) => run.distance), error: mean((run) => run.error) }
      console.log(JSON.stringify(row))
      return row
    }),
  )
}
