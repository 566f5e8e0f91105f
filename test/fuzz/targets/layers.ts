/** Random stacks and graphs of layers with random options, and JSON that is none. */
import { modelFromJSON } from '../../../src/nn/registry.js'
import { ones } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { mutateJson, type Json } from '../mutate.js'
import { readModel } from '../../helpers/layers.js'
import { examine, randomModel } from '../models.js'
import type { Random } from '../random.js'
import { accepted, defineTarget, type Outcome } from '../target.js'

interface Case {
  readonly model: Json
  readonly input: number[]
  readonly batch: number
}

const caseOf = (model: Json, random: Random): Json => ({
  model,
  input: random.list(random.pick([1, 2, 3, 3, 4]), () => random.between(1, 9)),
  batch: random.pick([1, 1, 2, 3, 5]),
})

function check(given: Json): Outcome {
  const { model: config, input, batch } = given as unknown as Case
  const model = readModel(config)
  try {
    examine(model, input, batch)
    return accepted()
  } finally {
    model.dispose()
  }
}

export const layers = defineTarget<Json>({
  about: 'random layers with random options: built, described, run, repeated, copied and differentiated',
  cases: 300,
  make: (random) => caseOf(randomModel(random), random),
  check,
})

export const modelJson = defineTarget<Json>({
  about: 'modelFromJSON of descriptions that were changed anywhere',
  cases: 300,
  make: (random) => caseOf(mutateJson(randomModel(random), random), random),
  check,
})

interface Long {
  readonly kind: 'chain' | 'reversed' | 'fan' | 'cycle' | 'ladder'
  readonly count: number
}

/** A graph of many nodes: one after another, in any order, all of one, in a circle, or each joined with the one before. */
function longModel({ kind, count }: Long): object {
  const name = (i: number): string => (i < 0 ? 'x' : `n${i}`)
  const node = (i: number): object => {
    if (kind === 'fan') return { name: name(i), inputs: ['x'], layer: { type: 'ReLU' } }
    if (kind === 'ladder')
      return { name: name(i), inputs: [name(i - 1), name(Math.max(-1, i - 2))], layer: { type: 'Add' } }
    const before = kind === 'cycle' && i === 0 ? count - 1 : i - 1
    return { name: name(i), inputs: [name(before)], layer: { type: 'Tanh' } }
  }
  const nodes = Array.from({ length: count }, (_, i) => node(kind === 'reversed' ? count - 1 - i : i))
  const outputs = kind === 'fan' ? Array.from({ length: count }, (_, i) => name(i)) : [name(count - 1)]
  return { type: 'Graph', inputs: { x: [3] }, nodes, outputs }
}

export const longModels = defineTarget<Json>({
  about: 'graphs of up to 20,000 nodes: made, described, run and written in time that grows with their number',
  cases: 10,
  make: (random) => ({
    kind: random.pick(['chain', 'reversed', 'fan', 'cycle', 'ladder']),
    count: random.pick([1000, 10_000, 20_000]),
  }),
  check(given) {
    const model = modelFromJSON(longModel(given as unknown as Long))
    try {
      String(model.summary())
      JSON.stringify(model)
      scope(() => {
        model.forward(ones([1, 3]))
      })
      return accepted()
    } finally {
      model.dispose()
    }
  },
})
