// @ts-check
// ConvNetJS's side of the training step: the same network, the same weights, the same rule of learning.
//
// Its optimizer and ours do the same with these settings:
// - It trains on one example at a time and adds the gradients up; on every `batch_size`-th call it divides the sum by
//   `batch_size` and updates. A step is therefore `batch` calls, and the mean of their losses is the batch's loss.
// - It adds the weight decay to the sum before it divides: g = (l2_decay · w + Σ gradients) / batch_size. For the usual
//   g = weightDecay · w + mean gradient, l2_decay is weightDecay · batch.
// - Its layers exempt the biases from weight decay (`l2_decay_mul` 0). Ours decays every parameter, as PyTorch does, so
//   the multiplier is set to 1 here.
// - Its momentum v ← momentum · v − lr · g, w ← w + v is the usual v ← momentum · v + g, w ← w − lr · v as long as the
//   learning rate stays.
// What differs is to its disadvantage or its choice: it computes in float64 and also computes the gradient with
// respect to the images, which nobody needs.
import convnetjs from 'convnetjs'
import { LeftOutError } from '../lib/errors.mjs'
import { pair } from '../networks/steps.mjs'

/**
 * @param {import('../train-step.mjs').Problem} problem
 * @returns {import('../train-step.mjs').Contender}
 */
export function createTrainStep({ network: { input, steps }, images, labels, batch, optimizer }) {
  const [C, H, W] = /** @type {[number, number, number]} */ (input)
  const pixels = H * W
  const network = new convnetjs.Net()
  network.makeLayers([{ type: 'input', out_sx: W, out_sy: H, out_depth: C }, ...layersOf(steps)])
  const parametersOfLayers = network.getParamsAndGrads.bind(network)
  network.getParamsAndGrads = () => parametersOfLayers().map((entry) => ({ ...entry, l2_decay_mul: 1 }))

  const layers = layersWithParameters(network)
  const parameters = steps.flatMap(({ weight, bias }) => (weight && bias ? [weight.data, bias.data] : []))
  if (parameters.length !== 2 * layers.length) {
    throw new Error(`ConvNetJS has ${2 * layers.length} parameters, given ${parameters.length}`)
  }
  layers.forEach((layer, index) => {
    eachWeight(layer, parameters[2 * index], (ours, at, vol, theirAt) => (vol.w[theirAt] = Number(ours[at])))
    layer.biases.w.set(given(parameters[2 * index + 1], layer.biases.w.length))
  })

  const trainer = new convnetjs.Trainer(network, {
    method: 'sgd',
    learning_rate: optimizer.lr,
    momentum: optimizer.momentum,
    l2_decay: optimizer.weightDecay * batch,
    batch_size: batch,
  })
  const vols = Array.from(labels, (_label, image) => {
    const vol = new convnetjs.Vol(W, H, C, 0)
    for (let channel = 0; channel < C; channel++) {
      const from = (image * C + channel) * pixels
      for (let pixel = 0; pixel < pixels; pixel++) vol.w[pixel * C + channel] = Number(images[from + pixel])
    }
    return vol
  })
  let next = 0
  return {
    name: 'convnetjs',
    parameters: () =>
      layers.flatMap((layer) => {
        const weights = new Float32Array(layer.filters.reduce((sum, filter) => sum + filter.w.length, 0))
        eachWeight(layer, weights, (ours, at, vol, theirAt) => (ours[at] = Number(vol.w[theirAt])))
        return [weights, Float32Array.from(layer.biases.w)]
      }),
    step() {
      let loss = 0
      for (let image = next; image < next + batch; image++) {
        const vol = vols[image]
        const label = labels[image]
        if (vol === undefined || label === undefined) throw new Error(`image ${image} is missing`)
        loss += trainer.train(vol, label).cost_loss
      }
      next = (next + batch) % labels.length
      return loss / batch
    },
  }
}

/**
 * The network's layers as ConvNetJS describes them; the loss belongs to the last one.
 * @param {readonly import('../networks/steps.mjs').Step[]} steps
 * @returns {{ [option: string]: string | number }[]}
 */
function layersOf(steps) {
  /** @type {{ [option: string]: string | number }[]} */
  const layers = []
  for (const [index, { type, options, weight, relu }] of steps.entries()) {
    const activation = relu ? { activation: 'relu' } : {}
    const outputs = weight?.shape[0] ?? 0
    const [sx] = pair(options['kernel'], 1)
    const [pad] = pair(options['padding'], 0)
    if (type === 'Conv2d') {
      layers.push({ type: 'conv', sx, filters: outputs, stride: pair(options['stride'], 1)[0], pad, ...activation })
    } else if (type === 'MaxPool2d') layers.push({ type: 'pool', sx, stride: pair(options['stride'], sx)[0], pad })
    else if (type === 'Linear' && index === steps.length - 1) layers.push({ type: 'softmax', num_classes: outputs })
    else if (type === 'Linear') layers.push({ type: 'fc', num_neurons: outputs, ...activation })
    else if (type !== 'Flatten') throw new LeftOutError(`has no ${type}`)
  }
  return layers
}

/**
 * The layers with weights and biases, each with the shape [width, height, depth] of what one filter looks at. A fully
 * connected layer sees its input as one row of numbers, in the order of the volume that came in.
 * @param {import('convnetjs').Net} network
 */
function layersWithParameters(network) {
  return network.layers.flatMap((layer, index) => {
    const before = network.layers[index - 1]
    const filter = layer.filters?.[0]
    if (layer.filters === undefined || layer.biases === undefined || filter === undefined || before === undefined) {
      return []
    }
    const window =
      layer.layer_type === 'conv' ? filter : { sx: before.out_sx, sy: before.out_sy, depth: before.out_depth }
    return [{ filters: layer.filters, biases: layer.biases, window }]
  })
}

/**
 * Pairs every weight of ours, in the order (filter, channel, row, column), with its place in ConvNetJS's filters, whose
 * order is (row, column, channel).
 * @param {ReturnType<typeof layersWithParameters>[number]} layer
 * @param {Float32Array | undefined} ours
 * @param {(ours: Float32Array, at: number, vol: import('convnetjs').Vol, theirAt: number) => void} visit
 */
function eachWeight({ filters, window: { sx, sy, depth } }, ours, visit) {
  const weights = given(ours, filters.length * depth * sy * sx)
  let at = 0
  for (const filter of filters) {
    for (let channel = 0; channel < depth; channel++) {
      for (let row = 0; row < sy; row++) {
        for (let column = 0; column < sx; column++) visit(weights, at++, filter, (row * sx + column) * depth + channel)
      }
    }
  }
}

/**
 * @param {Float32Array | undefined} values
 * @param {number} size
 */
function given(values, size) {
  if (values?.length !== size) throw new Error(`ConvNetJS needs ${size} numbers here, given ${values?.length}`)
  return values
}
