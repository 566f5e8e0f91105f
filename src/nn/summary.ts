/** A model as a table: output volume, parameters and operations of each layer. */
export interface SummaryRow {
  /** The layer in the notation of the lecture, such as `conv(5, 32)`. */
  readonly layer: string
  /** Extents of one output, without the batch: (C, H, W) or (features). */
  readonly output: readonly number[]
  /** Trained numbers. */
  readonly parameters: number
  /** Multiply-adds, comparisons and bias additions for one input, as the lecture counts them. */
  readonly operations: number
}

export interface SummaryData {
  readonly layers: readonly SummaryRow[]
  readonly total: { readonly parameters: number; readonly operations: number }
}

export class Summary implements SummaryData {
  readonly layers: readonly SummaryRow[]
  readonly total: { readonly parameters: number; readonly operations: number }

  constructor(layers: readonly SummaryRow[]) {
    const sum = (of: (row: SummaryRow) => number): number => layers.reduce((total, row) => total + of(row), 0)
    this.layers = layers
    this.total = { parameters: sum((row) => row.parameters), operations: sum((row) => row.operations) }
  }

  toJSON(): SummaryData {
    return { layers: this.layers, total: this.total }
  }

  /** The table as text, numbers aligned. */
  toString(): string {
    const group = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',')
    const head = ['layer', 'output', 'parameters', 'operations']
    const body = this.layers.map((row) => [
      row.layer,
      row.output.join(' × '),
      group(row.parameters),
      group(row.operations),
    ])
    const foot = ['total', '', group(this.total.parameters), group(this.total.operations)]
    const widths = head.map((_, column) =>
      Math.max(...[head, ...body, foot].map((row) => (row[column] as string).length)),
    )
    const line = (row: string[]): string =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
        )
        .join('  ')
        .trimEnd()
    const rule = widths.map((width) => '─'.repeat(width)).join('──')
    return [line(head), rule, ...body.map(line), rule, line(foot)].join('\n')
  }
}
