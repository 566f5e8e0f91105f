/** A dense layer of a filter's responses, seen in few and noisy examples, finds by `MixturePrior` that its weights are few values. */
import { Adam, add, conv1d, linear, mseLoss, mul, normal, scope, tensor, valueAndGrad } from 'toeplitz'
import { MixturePrior } from 'toeplitz/priors'

const LENGTH = 16
export const kernel = [-1, 2, 0.5]

/** Signals (count, LENGTH) and the responses of the filter, with noise. */
function signals(count, seed, noise) {
  const x = normal([count, LENGTH], { seed })
  const y = scope(() =>
    add(
      conv1d(x.reshape([count, 1, LENGTH]), tensor(kernel, [1, 1, 3]), { padding: 1 }).reshape([count, LENGTH]),
      normal([count, LENGTH], { seed, stream: 1, std: noise }),
    ),
  )
  return { x, y }
}

/** Trains the layer, then the mixture, then both. */
function train(strength, seed) {
  const training = signals(24, seed, 0.3)
  const test = signals(500, seed + 100, 0)
  const w = normal([LENGTH, LENGTH], { std: 0.1, seed })
  const prior = new MixturePrior({ components: 6, range: 2 })
  const optimizer = new Adam([w], { lr: 0.02 })
  const both = new Adam([w, ...prior.parameters()], { lr: 0.01 })
  const fitted = (own) => mseLoss(linear(training.x, own), training.y)
  for (let step = 0; step < 500; step++) scope(() => optimizer.step(valueAndGrad(fitted)(w).gradients))
  // The mixture first fits the weights that the examples alone gave.
  if (strength > 0) {
    const first = new Adam(prior.parameters(), { lr: 0.02 })
    for (let step = 0; step < 300; step++)
      scope(() => first.step(valueAndGrad(() => prior.penalty([w]))(...prior.parameters()).gradients))
    first.dispose()
  }
  const penalized = (own) => (strength === 0 ? fitted(own) : add(fitted(own), mul(prior.penalty([own]), strength)))
  for (let step = 0; step < 2000; step++) {
    const own = strength === 0 ? [w] : [w, ...prior.parameters()]
    scope(() => (strength === 0 ? optimizer : both).step(valueAndGrad(penalized)(...own).gradients))
  }
  const errorOf = () => scope(() => mseLoss(linear(test.x, w), test.y).item())
  const row = { error: errorOf() }
  if (strength > 0) {
    const { distinct, counts } = prior.share([w])
    row.shared_error = errorOf()
    row.distinct = distinct
    row.values = [...prior.parameters()[0].data()]
      .map((value, i) => ({ value, weights: counts[i] }))
      .filter(({ weights }) => weights > 0)
  }
  for (const each of [w, prior, optimizer, both, training.x, training.y, test.x, test.y]) each.dispose()
  return row
}

/** Errors with and without the prior; the values are those of the first seed. */
export function findShared(seeds) {
  return [0, 3e-5, 1e-4, 3e-4, 1e-3].map((strength) => {
    const runs = seeds.map((seed) => train(strength, seed))
    const mean = (of) => runs.reduce((total, run) => total + of(run), 0) / runs.length
    const row = { strength, error: mean(({ error }) => error) }
    if (strength > 0) {
      row.shared_error = mean((run) => run.shared_error)
      row.shared_errors = runs.map((run) => run.shared_error)
      row.distinct = runs.map(({ distinct }) => distinct)
      row.values = runs[0].values
    }
    console.log(JSON.stringify(row))
    return row
  })
}
