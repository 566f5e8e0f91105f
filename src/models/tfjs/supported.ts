/** What can be loaded, for people and programs that want to know before. */
import { operators } from './graph/operators/index.js'
import { rows } from './layers/rows.js'

/**
 * The operators of graph-models that `loadTfjs` knows, by their names in TensorFlow.
 *
 *     tfjsOperators.includes('ResizeBilinear')
 */
export const tfjsOperators: readonly string[] = /* @__PURE__ */ Object.freeze(
  [...Object.keys(operators), 'Const', 'NoOp', 'Placeholder'].sort(),
)

/**
 * The layers of layers-models that `loadTfjs` knows, by the names of Keras' classes.
 *
 *     tfjsLayers.includes('Conv2D')
 */
export const tfjsLayers: readonly string[] = /* @__PURE__ */ Object.freeze(
  [...Object.keys(rows), 'Functional', 'InputLayer', 'Model', 'Sequential'].sort(),
)
