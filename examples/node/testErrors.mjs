/** What the examples that compare layers have in common: a model is trained once by each seed, and tested. */
import { accuracy, crossEntropy, evaluate, fit } from 'toeplitz'

/**
 * The test errors of a model by seed, their mean, and the number of its parameters. `model(seed)` makes the model, `optimizer(model)` what
 * changes its weights, and `examples(seed)` gives what it is trained on; `unseen` are the examples of the test.
 */
export async function testErrors(seeds, { model: make, optimizer: of, examples, unseen, epochs, batchSize }) {
  const errors = []
  let parameters
  for (const seed of seeds) {
    const model = make(seed)
    const optimizer = of(model)
    await fit(model, examples(seed), { epochs, batchSize, loss: crossEntropy, optimizer, seed })
    const { metrics } = await evaluate(model, unseen, { batchSize: 100, loss: crossEntropy, metrics: { accuracy } })
    errors.push(1 - metrics.accuracy)
    parameters = model.summary().total.parameters
    for (const each of [optimizer, model]) each.dispose()
  }
  return { parameters, test_error: errors.reduce((sum, error) => sum + error) / errors.length, errors }
}
