/** Optimizers by name, as `--optimizer` takes them. */
import type { Graph } from '../nn/graph.js'
import { Adagrad } from '../optim/adagrad.js'
import { Adam, AdamW } from '../optim/adam.js'
import type { Optimizer } from '../optim/optimizer.js'
import { RMSprop } from '../optim/rmsprop.js'
import { SGD } from '../optim/sgd.js'
import type { OptimizerName, RunSettings } from './settings.js'

type Rates = Pick<RunSettings, 'optimizer' | 'lr' | 'momentum' | 'weightDecay'>
type Parameters = ReturnType<Graph['parameters']>

const makers: Readonly<Record<OptimizerName, (parameters: Parameters, rates: Omit<Rates, 'optimizer'>) => Optimizer>> =
  {
    sgd: (parameters, { lr, momentum, weightDecay }) => new SGD(parameters, { lr, momentum, weightDecay }),
    adam: (parameters, { lr, weightDecay }) => new Adam(parameters, { lr, weightDecay }),
    adamw: (parameters, { lr, weightDecay }) => new AdamW(parameters, { lr, weightDecay }),
    rmsprop: (parameters, { lr, momentum, weightDecay }) => new RMSprop(parameters, { lr, momentum, weightDecay }),
    adagrad: (parameters, { lr, weightDecay }) => new Adagrad(parameters, { lr, weightDecay }),
  }

/** The optimizer of a run. */
export const makeOptimizer = (model: Graph, { optimizer, ...rates }: Rates): Optimizer =>
  makers[optimizer](model.parameters(), rates)
