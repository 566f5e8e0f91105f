import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Add } from '../../src/nn/index.js'
import { sortNodes, type GraphNode } from '../../src/nn/wiring.js'
import { ShapeError } from '../../src/runtime/errors.js'

const layer = new Add()

/** Of those that are ready, the first that was given, looked for anew each time: what the order is by definition. */
function sortSlowly(nodes: readonly GraphNode[]): string[] {
  const rest = new Map(nodes.map((node) => [node.name, node]))
  const sorted: string[] = []
  while (rest.size > 0) {
    const ready = [...rest.values()].find(({ inputs }) => !inputs.some((input) => rest.has(input)))
    if (!ready) return []
    sorted.push(ready.name)
    rest.delete(ready.name)
  }
  return sorted
}

describe('sortNodes', () => {
  it('gives the first node of those that are ready, as declared', () => {
    const graphs = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 4 })).chain(([count, degree]) =>
      fc.record({
        reads: fc.array(fc.array(fc.nat(count), { minLength: 1, maxLength: degree }), {
          minLength: count,
          maxLength: count,
        }),
        order: fc.shuffledSubarray(
          Array.from({ length: count }, (_, i) => i),
          { minLength: count },
        ),
        cyclic: fc.integer({ min: 0, max: 9 }),
      }),
    )
    let cycles = 0
    fc.assert(
      fc.property(graphs, ({ reads, order, cyclic }) => {
        // A node reads those of lower numbers, or the input; in one graph of ten also others, maybe twice.
        const nodes = order.map((i): GraphNode => {
          const inputs = reads[i]!.map((from) => (from < i || cyclic === 0 ? `n${from}` : 'input'))
          return { name: `n${i}`, layer, inputs }
        })
        const expected = sortSlowly(nodes)
        if (expected.length > 0) expect(sortNodes(nodes).map(({ name }) => name)).toEqual(expected)
        else {
          cycles++
          expect(() => sortNodes(nodes)).toThrow(ShapeError)
          expect(() => sortNodes(nodes)).toThrow(
            /^Graph: the nodes (n\d+)( -> n\d+)* -> \1 form a cycle; a node may only read/,
          )
        }
      }),
      { numRuns: 500 },
    )
    expect(cycles).toBeGreaterThan(5)
  })
})
