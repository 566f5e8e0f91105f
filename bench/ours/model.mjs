// @ts-check
// Our side of a model from elsewhere, as a user of the library would run it.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { scope, tensor } from '../../dist/index.js'
import { loadOnnx } from '../../dist/onnx.js'
import { asFloats, extentsOf, inputsFor } from '../models/values.mjs'
import { countedAlgorithms } from './algorithms.mjs'

/**
 * Reads the file; says what its inputs are given and which algorithms its convolutions take.
 * @param {import('../models/files.mjs').ModelFiles} model
 */
export function createModel({ onnx, extents: given }) {
  const program = loadOnnx(readFileSync(onnx), { name: basename(onnx) })
  const extents = extentsOf(program.inputs, given)
  const inputs = inputsFor(extents)
  const feeds = Object.fromEntries(inputs.map(({ name, shape, data }) => [name, tensor(data, shape)]))
  return {
    extents,
    inputs,
    algorithm: countedAlgorithms(program.explain(Object.fromEntries(extents.map(({ name, shape }) => [name, shape])))),
    run: () => scope(() => void program.run(feeds)),
    outputs: () =>
      scope(() =>
        Object.fromEntries(Object.entries(program.run(feeds)).map(([name, value]) => [name, asFloats(value.data())])),
      ),
    dispose() {
      for (const x of Object.values(feeds)) x.dispose()
      program.dispose()
    },
  }
}
