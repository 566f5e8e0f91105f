/** Optimizers by name, as `--optimizer` takes them. */
import type { Graph } from '../nn/graph.js'
import { Adagrad } from '../optim/adagrad.js'
import { Adam, AdamW } from '../optim/adam.js'
import type { Optimizer } from '../optim/optimizer.js'
import { RMSprop } from '../optim/rmsprop.js'
import { SGD } from '../optim/sgd.js'
import type { ParameterGroup } from '../optim/optimizer.js'
import { parameterGroups, type GroupOptions } from '../training/tuning.js'
import type { OptimizerName, RunSettings } from './settings.js'
import { headOf } from './tuning.js'

type Rates = Pick<RunSettings, 'optimizer' | 'lr' | 'momentum' | 'weightDecay'> & Partial<Pick<RunSettings, 'lrHead'>>

type Rest = Omit<Rates, 'optimizer' | 'lrHead'>

const makers: Readonly<
  Record<OptimizerName, (groups: readonly ParameterGroup<GroupOptions>[], rates: Rest) => Optimizer>
> = {
  sgd: (groups, { lr, momentum, weightDecay }) => new SGD(groups, { lr, momentum, weightDecay }),
  adam: (groups, { lr, weightDecay }) => new Adam(groups, { lr, weightDecay }),
  adamw: (groups, { lr, weightDecay }) => new AdamW(groups, { lr, weightDecay }),
  rmsprop: (groups, { lr, momentum, weightDecay }) => new RMSprop(groups, { lr, momentum, weightDecay }),
  adagrad: (groups, { lr, weightDecay }) => new Adagrad(groups, { lr, weightDecay }),
}

/** The optimizer of a run; the last layer learns at `lrHead`, where that is above 0. */
export function makeOptimizer(model: Graph, { optimizer, lrHead = 0, ...rates }: Rates): Optimizer {
  const groups =
    lrHead > 0
      ? parameterGroups(model, [{ layers: headOf(model, '--lr-head'), lr: lrHead }])
      : [{ parameters: model.parameters() }]
  return makers[optimizer](groups, rates)
}
