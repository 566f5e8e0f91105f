/** `toeplitz explain`: which algorithm computes each convolutional layer, what it would cost, and the next best. */
import type { LayerExplanation, PassExplanation } from '../nn/explain.js'
import { init } from '../runtime/embedded.js'
import { showShape } from '../tensor/shape.js'
import type { ExplainOptions } from './actions.js'
import { UsageError } from './errors.js'
import { withModel } from './foreign.js'
import { columns, outputTo, type CliStreams } from './terminal.js'

/** The passes by what they are called on the command line. */
const passNames: Readonly<Record<ExplainOptions['pass'], readonly PassExplanation['pass'][]>> = {
  forward: ['forward'],
  'input-gradient': ['input gradient'],
  'weight-gradient': ['weight gradient'],
  all: ['forward', 'input gradient', 'weight gradient'],
}

/** The action behind `toeplitz explain`. */
export async function explainCommand(
  name: string,
  { batch: asked, pass, json, shape }: ExplainOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<undefined> {
  await init()
  const { layers, batch } = await withModel(name, shape, {
    own: (model) => model.explain(undefined, { batch: asked }),
    foreign: (program, shapes) => {
      if (asked !== 1) throw new UsageError(`--batch: the inputs of ${name} have their batch in --shape`)
      return program.explain(shapes)
    },
  })
  const wanted = passNames[pass]
  const shown = layers.map((layer) => ({
    ...layer,
    passes: layer.passes.filter((one) => wanted.includes(one.pass)),
  }))
  const out = outputTo(stdout)
  if (json) out.json({ layers: shown, batch })
  else out.text(table(shown, batch))
}

const HEAD = ['layer', 'input', 'pass', 'algorithm', 'ms', 'next best', 'ms'] as const
const isTime = (column: number): boolean => HEAD[column] === 'ms'

function table(layers: readonly LayerExplanation[], batch: number): string[] {
  if (layers.length === 0) return ['No convolutional layer: every other kind has one algorithm.']
  const rows = layers.flatMap((layer) =>
    layer.passes.map((pass, index) => [
      ...(index === 0 ? [`${layer.name} ${layer.layer}`, showShape([batch, ...layer.input])] : ['', '']),
      ...cells(pass),
    ]),
  )
  const aligned = columns([[...HEAD], ...rows], isTime)
  return [...aligned, '', `${totals(layers).join(', ')} in all; estimates for one thread.`]
}

/** What the chosen algorithms of each pass come to: `forward 240 ms`. */
function totals(layers: readonly LayerExplanation[]): string[] {
  const sums = new Map<string, number>()
  for (const { pass, candidates } of layers.flatMap(({ passes }) => passes)) {
    sums.set(pass, (sums.get(pass) ?? 0) + (candidates[0]?.milliseconds ?? 0))
  }
  return [...sums].map(([pass, sum]) => `${pass} ${showTime(sum)} ms`)
}

/** The next best is the cheapest of those that could be taken unasked. */
function cells({ pass, chosen, candidates: [first, ...others] }: PassExplanation): string[] {
  const next = others.find(({ reason }) => reason === undefined)
  return [pass, chosen, showTime(first?.milliseconds), next?.algorithm ?? '–', showTime(next?.milliseconds)]
}

/** Three digits, never with an exponent. */
function showTime(value: number | null | undefined): string {
  if (value === undefined || value === null) return '–'
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3)
}
