/** Random stacks and graphs of layers with random options, and JSON that is none. */
import { modelFromJSON } from '../../../src/nn/registry.js'
import { mutateJson, type Json } from '../mutate.js'
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
  const model = modelFromJSON(config)
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
