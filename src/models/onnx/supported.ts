/** What can be loaded, for people and programs that want to know before. */
import { operators } from './operators/index.js'
import { NEWEST, OLDEST } from './opsets.js'

/**
 * The operators that `loadOnnx` knows, each with the first opset of those that it takes in which it has a meaning of its own.
 *
 *     'GridSample' in onnxOperators        // whether a model may use it
 */
export const onnxOperators: Readonly<Record<string, readonly number[]>> = /* @__PURE__ */ Object.freeze(
  Object.fromEntries(
    Object.keys(operators)
      .sort()
      .map((name) => [
        name,
        [...new Set((operators[name] ?? []).map(({ since }) => Math.max(since, OLDEST)))].filter(
          (since) => since <= NEWEST,
        ),
      ]),
  ),
)
