// @ts-check
// Our side of a network: a model of the zoo, as a user of the library would run it.
import { scope, tensor } from '../../dist/index.js'
import { createModel } from '../../dist/zoo.js'
import { networkOf } from '../networks/steps.mjs'

/**
 * The model, its steps for the peers, and our side.
 * @param {string} name
 * @param {Float32Array | undefined} image
 */
export function createNetwork(name, image) {
  const model = createModel(name, { seed: 1 }).eval()
  const shape = model.input ?? []
  const x = tensor(image ?? new Float32Array(shape.reduce((size, extent) => size * extent, 1)), [1, ...shape])
  return {
    model,
    run: () => scope(() => void model.forward(x)),
    output: () => scope(() => model.forward(x).data()),
    dispose() {
      x.dispose()
      model.dispose()
    },
  }
}

export { networkOf }
