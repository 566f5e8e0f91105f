/** Graphs of ONNX as they are rewritten. */
import { describe, expect, it } from 'vitest'
import { readersIn } from '../../src/quant/graph.js'
import { graph, node, value } from '../helpers/onnx.js'

describe('readersIn', () => {
  it('lists the nodes that read a value, and once more where the graph gives it', () => {
    const [a, b] = [node('Relu', ['x'], ['y']), node('Add', ['y', 'y'], ['z'])]
    const readers = readersIn(graph({ nodes: [a, b], outputs: [value('y'), value('z')] }))
    expect(readers).toEqual(
      new Map([
        ['x', [a]],
        ['y', [b, b, undefined]],
        ['z', [undefined]],
      ]),
    )
  })

  it('takes a time that grows as the nodes do', () => {
    // To copy the list for each of these readers is 5 · 10⁹ steps, for which the test would run out of time.
    const nodes = Array.from({ length: 100_000 }, (_, i) => node('Relu', ['x'], [`y${i}`]))
    expect(readersIn(graph({ nodes })).get('x')).toHaveLength(nodes.length)
  })
})
