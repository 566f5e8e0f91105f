/** A model as a table: output volume, parameters, operations, receptive field and memory of each layer. */
import { checkList } from '../runtime/check.js'
import { visible } from '../runtime/text.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { joinFields, ownField, throughWindow, type ReceptiveField } from './receptive.js'
import { measureLowering } from './lowering.js'
import { measureMemory, planSteps, type ModelMemory, type Shapes } from './schedule.js'
import type { Layer } from './layer.js'
import type { GraphNode } from './wiring.js'

/** Bytes of one layer. */
export interface LayerMemory {
  /** Its output, for the whole batch; 0 where it is the input's memory. */
  readonly output: number
  /** Trained numbers and running statistics. */
  readonly weights: number
  /** Weights packed or transformed for a fast algorithm, kept from the second pass on. */
  readonly packed: number
  /** Used while it runs. */
  readonly workspace: number
}

/** One layer of a summary. */
export interface SummaryRow {
  /** The layer in the notation of the lecture, such as `conv(5, 32)`. */
  readonly layer: string
  /** Name of the node, the block or the input. */
  readonly name: string
  /** Extents of one output, without the batch: (C, H, W) or (features). */
  readonly output: readonly number[]
  /** Trained numbers; 0 where the layer shares those of one above. */
  readonly parameters: number
  /** Multiply-adds, comparisons and bias additions for one input, as the lecture counts them. */
  readonly operations: number
  /** What one output sees of the first input; null where that is no regular window. */
  readonly receptiveField: ReceptiveField | null
  /** What the layer takes, in bytes. */
  readonly memory: LayerMemory
  /** The layers of a block. */
  readonly children?: readonly SummaryRow[]
}

/** All layers together. */
export interface SummaryTotal {
  /** Trained numbers; a shared layer counts once. */
  readonly parameters: number
  /** Operations for one input, as the lecture counts them. */
  readonly operations: number
  /** What the model takes, in bytes. */
  readonly memory: ModelMemory
}

/** A summary as data. */
export interface SummaryData {
  /** One row for each node or block, in the order of computation. */
  readonly layers: readonly SummaryRow[]
  /** The sums. */
  readonly total: SummaryTotal
  /** Inputs of the pass whose memory is counted. */
  readonly batch: number
}

/** What a summary is asked for, beside the nodes of the model and their shapes. */
export interface SummaryOptions {
  readonly batch: number
  readonly outputs: readonly string[]
  readonly blocks: Readonly<Record<string, string>>
  /** Bytes of the weights of the whole model. */
  readonly weights: number
  readonly keepPacked: boolean
}

const none: LayerMemory = { output: 0, weights: 0, packed: 0, workspace: 0 }

function inputRow(name: string, shape: Shape, batch: number): SummaryRow {
  const [C, H, W] = shape
  const layer = shape.length === 3 ? `input(${H === W ? H : `${H}×${W}`}, ${C})` : `input(${shape.join(', ')})`
  return {
    layer,
    name,
    output: shape,
    parameters: 0,
    operations: 0,
    receptiveField: ownField(shape),
    memory: { ...none, output: 4 * batch * sizeOf(shape) },
  }
}

/** The rows of one block as one row. */
function blockRow(name: string, layer: string, children: readonly SummaryRow[]): SummaryRow {
  const total = (of: (row: SummaryRow) => number): number => children.reduce((sum, row) => sum + of(row), 0)
  const last = children.at(-1) as SummaryRow
  return {
    layer,
    name,
    output: last.output,
    parameters: total((row) => row.parameters),
    operations: total((row) => row.operations),
    receptiveField: last.receptiveField,
    memory: {
      output: last.memory.output,
      weights: total((row) => row.memory.weights),
      packed: total((row) => row.memory.packed),
      workspace: children.reduce((most, row) => Math.max(most, row.memory.workspace), 0),
    },
    children,
  }
}

/** Neighbouring nodes of one block together. */
function groupBlocks(
  nodes: readonly GraphNode[],
  rows: readonly SummaryRow[],
  blocks: Readonly<Record<string, string>>,
): SummaryRow[] {
  const shown: SummaryRow[] = []
  for (let begin = 0; begin < nodes.length;) {
    const { block } = nodes[begin] as GraphNode
    let end = begin + 1
    if (block === undefined) shown.push(rows[begin] as SummaryRow)
    else {
      while (nodes[end]?.block === block) end++
      const called = Object.hasOwn(blocks, block) ? (blocks[block] as string) : block
      shown.push(blockRow(block, called, rows.slice(begin, end)))
    }
    begin = end
  }
  return shown
}

/** The table of the nodes of a pass. */
export function summarize(
  inputs: Shapes,
  nodes: readonly GraphNode[],
  shapes: Shapes,
  { batch, outputs, blocks, weights, keepPacked }: SummaryOptions,
): Summary {
  const full = new Map([...inputs].map(([name, shape]) => [name, [batch, ...shape]]))
  const measured = measureLowering({ steps: planSteps(nodes, outputs), inputs: full, shapes, wanted: outputs })
  const shared = ({ name, inputs: [from = ''] }: GraphNode): boolean =>
    measured !== undefined && measured.results.get(name) === measured.results.get(from)
  const fields = new Map<string, ReceptiveField | undefined>()
  for (const [name, shape] of inputs) fields.set(name, ownField(shape))
  const counted = new Set<Layer>()
  const rows = nodes.map((node): SummaryRow => {
    const { name, layer, inputs: read } = node
    const input = shapes.get(read[0] as string) as Shape
    const output = shapes.get(name) as Shape
    const joined = joinFields(read.map((from) => fields.get(from)))
    const field = joined && throughWindow(joined, layer.window(input))
    fields.set(name, field)
    const first = !counted.has(layer)
    counted.add(layer)
    const bytes = layer.weights(input).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
    return {
      layer: layer.describe(),
      name,
      output,
      parameters: first ? layer.parameterCount(input) : 0,
      operations: layer.operations(input),
      receptiveField: field ?? null,
      memory: {
        output: shared(node) ? 0 : 4 * batch * sizeOf(output),
        weights: first ? bytes : 0,
        ...(measured?.byOwner.get(name) ?? { workspace: 0, packed: 0 }),
      },
    }
  })
  const memory = measureMemory(measured, weights)
  return new Summary(
    [...[...inputs].map(([name, shape]) => inputRow(name, shape, batch)), ...groupBlocks(nodes, rows, blocks)],
    keepPacked ? memory : { ...memory, packed: 0, peak: memory.firstPeak },
    batch,
  )
}

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',')

const megabytes = (bytes: number): string =>
  bytes === 0 ? '' : bytes < 1e5 ? String(Number((bytes / 1e6).toPrecision(2))) : (bytes / 1e6).toFixed(1)

/** `212 s32 @-90`: size, stride and offset; both directions where they differ. */
function showField(field: ReceptiveField | null): string {
  if (!field || field.size.length === 0) return ''
  const show = (values: readonly number[]): string =>
    values.every((value) => value === values[0]) ? String(values[0]) : values.join('×')
  return `${show(field.size)} s${show(field.stride)} @${show(field.offset)}`
}

const HEAD = ['layer', 'output', 'parameters', 'operations', 'field', 'output MB', 'weights MB', 'packed MB'] as const
/** The other columns are numbers, which stand at the right. */
const TEXT_COLUMNS = 2

/** What `model.summary()` gives: data by layer, and as text a table in the lecture's notation. */
export class Summary implements SummaryData {
  /** One row for each node or block, in the order of computation. */
  readonly layers: readonly SummaryRow[]
  /** The sums. */
  readonly total: SummaryTotal
  readonly batch: number

  constructor(layers: readonly SummaryRow[], memory: ModelMemory, batch: number) {
    checkList(layers, 'Summary: layers', 'a list of rows, as model.summary() makes it')
    const sum = (of: (row: SummaryRow) => number): number => layers.reduce((total, row) => total + of(row), 0)
    this.layers = layers
    this.batch = batch
    this.total = { parameters: sum((row) => row.parameters), operations: sum((row) => row.operations), memory }
  }

  /** The summary as plain data. */
  toJSON(): SummaryData {
    return { layers: this.layers, total: this.total, batch: this.batch }
  }

  /** The table as text, numbers aligned. */
  toString(): string {
    const cells = (row: SummaryRow, indent: string): string[] => [
      // Blocks are called as the model's file says.
      `${indent}${visible(row.layer)}`,
      row.output.join(' × '),
      grouped(row.parameters),
      grouped(row.operations),
      showField(row.receptiveField),
      megabytes(row.memory.output),
      megabytes(row.memory.weights),
      megabytes(row.memory.packed),
    ]
    const body = this.layers.flatMap((row) => [
      cells(row, ''),
      ...(row.children ?? []).map((child) => cells(child, '  ')),
    ])
    const { parameters, operations, memory } = this.total
    const foot = ['total', '', grouped(parameters), grouped(operations), '', '', megabytes(memory.weights), '']
    foot[HEAD.length - 1] = megabytes(memory.packed)
    const lines = [[...HEAD], ...body, foot]
    const widths = HEAD.map((_, column) =>
      lines.reduce((most, row) => Math.max(most, (row[column] as string).length), 0),
    )
    const line = (row: readonly string[]): string =>
      row
        .map((cell, column) =>
          column < TEXT_COLUMNS ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
        )
        .join('  ')
        .trimEnd()
    const rule = widths.map((width) => '─'.repeat(width)).join('──')
    const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
    const peak =
      `a forward pass of ${this.batch} peaks at ${MB(memory.peak)}: ${MB(memory.weights)} of weights, ` +
      `${MB(memory.packed)} of weights packed for fast algorithms, ${MB(memory.peak - memory.weights - memory.packed)} of activations and workspace` +
      (memory.packed > 0 ? `; the first alone, or without keepPacked, at ${MB(memory.firstPeak)}` : '')
    return [line(HEAD), rule, ...body.map(line), rule, line(foot), '', peak].join('\n')
  }
}
