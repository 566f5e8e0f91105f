/** An imported model as a table: what each node gives, and the weights that it reads. */
import { Trace } from '../graph/trace.js'
import type { DType } from '../tensor/dtype.js'
import type { MatmulProblem } from '../plan/matmul.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { planning, scope, UnplannedError, type AnyTensor } from '../tensor/tensor.js'
import { visible } from '../runtime/text.js'
import type { ImportedModel } from './imported.js'
import { Explanation, explainLayer } from '../nn/explain.js'
import { notation } from '../nn/notation.js'
import type { Conv } from '../ops/conv.js'
import type { RunNode } from './segments.js'

/** A value that a node gives. */
export interface SummaryValue {
  /** Its name in the file. */
  readonly name: string
  /** Its type; undefined where it depends on numbers. */
  readonly dtype: DType | undefined
  /** Its extents; undefined where they depend on numbers. */
  readonly shape: Shape | undefined
}

/** One node. */
export interface ProgramRow {
  /** Its name. */
  readonly name: string
  /** The operator in the words of the file. */
  readonly operator: string
  /** What it gives. */
  readonly outputs: readonly SummaryValue[]
  /** Trained numbers that it reads, counted with the first node that does. */
  readonly parameters: number
}

/** The nodes of a program with shapes and weights; as text a table. */
export class ProgramSummary {
  /** One row for each node, in the order of computation. */
  readonly rows: readonly ProgramRow[]
  /** All trained numbers. */
  readonly parameters: number

  /** @internal */
  constructor(rows: readonly ProgramRow[]) {
    this.rows = rows
    this.parameters = rows.reduce((sum, row) => sum + row.parameters, 0)
  }

  /** A table of names, operators, outputs and parameters. */
  toString(): string {
    const head = ['node', 'operator', 'output', 'parameters']
    const cells = this.rows.map(({ name, operator, outputs, parameters }) => [
      visible(name),
      visible(operator),
      outputs
        .map(
          ({ shape, dtype }) => `${shape ? showShape(shape) : '?'}${dtype && dtype !== 'float32' ? ` ${dtype}` : ''}`,
        )
        .join(' '),
      parameters === 0 ? '' : parameters.toLocaleString('en'),
    ])
    const widths = head.map((title, column) =>
      Math.max(title.length, ...cells.map((row) => (row[column] as string).length)),
    )
    const line = (row: readonly string[]): string =>
      row
        .map((cell, column) =>
          column === 3 ? cell.padStart(widths[3] as number) : cell.padEnd(widths[column] as number),
        )
        .join('  ')
        .trimEnd()
    const total = `${this.rows.length} nodes, ${this.parameters.toLocaleString('en')} parameters`
    return [line(head), ...cells.map(line), total].join('\n')
  }
}

/** What a pass for inputs of these shapes notes, and what is known of the values that nodes give, as far as that depends on no numbers. */
function noted<T>(
  model: ImportedModel,
  shapes: ReadonlyMap<string, Shape>,
  runNode: RunNode,
  look: (trace: Trace, told: ReadonlyMap<string, SummaryValue>) => T,
): T {
  const trace = new Trace()
  const told = new Map<string, SummaryValue>()
  try {
    planning(trace, () => {
      scope(() => {
        const values = new Map<string, AnyTensor>(model.constants)
        for (const { name, dtype } of model.inputs)
          values.set(name, trace.input(name, shapes.get(name) as Shape, dtype))
        model.nodes.forEach((node, index) => {
          const inputs = node.inputs.map((name) => values.get(name))
          // What follows a value that is not known is not known either.
          if (node.inputs.some((name, place) => name !== '' && !inputs[place])) return
          try {
            const outputs = runNode(node, index, inputs)
            node.outputs.forEach((name, place) => {
              const y = outputs[place]
              if (name === '' || !y) return
              values.set(name, y)
              told.set(name, { name, dtype: y.dtype, shape: y.shape })
            })
          } catch (error) {
            if (!(error instanceof UnplannedError)) throw error
          }
        })
      })
    })
    return look(trace, told)
  } finally {
    for (const constant of trace.constants) constant.dispose()
  }
}

/** What the nodes give for inputs of these shapes. */
export function summarizeProgram(
  model: ImportedModel,
  shapes: ReadonlyMap<string, Shape>,
  runNode: RunNode,
): ProgramSummary {
  const counted = new Set<string>()
  return noted(
    model,
    shapes,
    runNode,
    (_, told) =>
      new ProgramSummary(
        model.nodes.map(({ name, operator, inputs, outputs }) => ({
          name,
          operator,
          outputs: outputs
            .filter((output) => output !== '')
            .map((output) => told.get(output) ?? { name: output, dtype: undefined, shape: undefined }),
          parameters: inputs.reduce((sum, input) => {
            const weights = counted.has(input) ? undefined : model.parameters.get(input)
            if (weights) counted.add(input)
            return sum + (weights?.size ?? 0)
          }, 0),
        })),
      ),
  )
}

/** Which algorithms compute the convolutions for inputs of these shapes. */
export function explainProgram(
  model: ImportedModel,
  shapes: ReadonlyMap<string, Shape>,
  runNode: RunNode,
): Explanation {
  return noted(model, shapes, runNode, ({ nodes }) => {
    const convolutions = nodes.flatMap(({ name, owner, described, shapes: read }) => {
      const transposed = name.startsWith('convTranspose')
      if (!transposed && !/^conv\dd$/.test(name)) return []
      const { problem, algorithm } = described as Conv
      const { kernel, stride, dilation, groups, lo, hi, K, C } = problem
      const short = (list: readonly number[]): number | readonly number[] =>
        list.every((item) => item === list[0]) ? (list[0] as number) : list
      const options = { padding: short([...lo, ...hi]), stride: short(stride), dilation: short(dilation), groups }
      const text = notation(transposed ? 'convT' : 'conv', options, [kernel, transposed ? C : K])
      const [N = 1, ...input] = read.get('x') as Shape
      return [{ N, layer: explainLayer(owner, text, input, { problem, algorithm, transposed }) }]
    })
    return new Explanation(
      convolutions.map(({ layer }) => layer),
      convolutions[0]?.N ?? 1,
    )
  })
}

/** Multiplications and additions of convolutions and products of matrices, a bias counted as one more product. */
export function countOperations(model: ImportedModel, shapes: ReadonlyMap<string, Shape>, runNode: RunNode): number {
  return noted(model, shapes, runNode, ({ nodes }) =>
    nodes.reduce((total, { name, described, shape, shapes: read }) => {
      const w = read.get('w')
      if (w && (name.startsWith('conv') || name.startsWith('localConv'))) {
        const factors = name.startsWith('convTranspose') ? sizeOf(read.get('x') as Shape) : sizeOf(shape)
        return total + (sizeOf(w.slice(1)) + 1) * factors
      }
      if (name !== 'matmul') return total
      const { M, K, N } = described as MatmulProblem
      return total + (K + 1) * M * N
    }, 0),
  )
}
