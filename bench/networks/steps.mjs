// @ts-check
// A model of the library as a list of plain steps, from which the same network is made for a peer.

/**
 * One step: an operation on the outputs of earlier steps ('x' is the input), with its numbers. Shapes are without the
 * batch. `relu`: a ReLU follows, and nothing else reads what is before it.
 * @typedef {{
 *   name: string,
 *   type: string,
 *   inputs: string[],
 *   options: Record<string, any>,
 *   inputShape: readonly number[],
 *   weight?: { shape: readonly number[], data: Float32Array },
 *   bias?: { shape: readonly number[], data: Float32Array },
 *   relu: boolean,
 * }} Step
 * @typedef {{ input: readonly number[], steps: Step[] }} Network
 */

/**
 * The steps that compute the model's first output. Dropout, and a softmax that belongs to the loss, which do nothing here, are
 * left out.
 * @param {import('../../dist/index.js').Graph} model
 * @returns {Network}
 */
export function networkOf(model) {
  const json = graphOf(model)
  /** @type {string} */
  const input = Object.keys(json.inputs)[0] ?? ''
  const parameters = model.namedParameters()
  const constant = (/** @type {string} */ name) => {
    const tensor = parameters.get(name)
    return tensor === undefined ? undefined : { shape: tensor.shape, data: tensor.data() }
  }
  const nodes = new Map(json.nodes.map((/** @type {any} */ node) => [node.name, node]))
  const needed = new Set()
  const visit = (/** @type {string} */ name) => {
    if (name === input || needed.has(name)) return
    for (const before of nodes.get(name).inputs) visit(before)
    needed.add(name)
  }
  visit(json.outputs[0])
  const shapes = shapesOf(model, json)
  /** Where the value of a node is found: that of the node before a Dropout, 'x' for the input. */
  const alias = new Map([[input, 'x']])
  /** @type {Step[]} */
  const steps = []
  for (const name of needed) {
    const { inputs, layer, shares } = nodes.get(name)
    if (shares !== undefined) throw new Error(`${name}: shared layers are not supported here`)
    const from = inputs.map((/** @type {string} */ before) => alias.get(before) ?? before)
    if (layer.type === 'Dropout' || (layer.type === 'Softmax' && layer.inLoss)) {
      alias.set(name, from[0])
      continue
    }
    const { type, ...options } = layer
    const weight = constant(`${name}.weight`)
    const bias = constant(`${name}.bias`)
    const before = nodes.get(inputs[0])
    const source = before?.layer?.type === 'Flatten' ? before.inputs[0] : inputs[0]
    steps.push({
      name,
      type,
      inputs: from,
      options,
      inputShape: shapes.get(source) ?? [],
      ...(weight && { weight }),
      ...(bias && { bias }),
      relu: false,
    })
  }
  return { input: shapes.get(input) ?? [], steps: fuse(steps) }
}

/**
 * A step whose −Σ (x − w)² − b, of an RBF layer, is a linear layer of x from which Σ x² is still to be subtracted: weights
 * 2·w, biases −Σ w² − b. Other steps are returned as they are.
 * @param {Step} step
 * @returns {Step}
 */
export function asProducts(step) {
  const { type, weight, bias } = step
  if (type !== 'RBF' || weight === undefined) return step
  const { shape, data } = weight
  const [units = 0, features = 0] = shape
  const offsets = Float32Array.from({ length: units }, (_, unit) => {
    const code = data.subarray(unit * features, (unit + 1) * features)
    return -code.reduce((sum, value) => sum + value * value, 0) - (bias?.data[unit] ?? 0)
  })
  return { ...step, weight: { shape, data: data.map((value) => 2 * value) }, bias: { shape: [units], data: offsets } }
}

/**
 * The JSON form of a model as a graph, also where it is a chain.
 * @param {import('../../dist/index.js').Graph} model
 */
function graphOf(model) {
  const json = /** @type {any} */ (model.toJSON())
  if (json.type !== 'Sequential') return json
  const nodes = json.layers.map((/** @type {any} */ layer, /** @type {number} */ index) => {
    return { name: String(index), inputs: [index === 0 ? 'input' : String(index - 1)], layer, shares: layer.shares }
  })
  return { inputs: { input: json.input }, nodes, outputs: [String(nodes.length - 1)] }
}

/**
 * Output shapes by node, without the batch.
 * @param {import('../../dist/index.js').Graph} model
 * @param {any} json
 */
function shapesOf(model, json) {
  const names = json.nodes.map((/** @type {any} */ node) => node.name)
  /** @type {Map<string, readonly number[]>} */
  const shapes = new Map(Object.entries(json.inputs))
  const rows = model.shapes()
  names.forEach((/** @type {string} */ name, /** @type {number} */ index) => shapes.set(name, rows[index] ?? []))
  return shapes
}

/**
 * Joins each ReLU to the convolution or linear layer that only it reads.
 * @param {Step[]} steps
 */
function fuse(steps) {
  const readers = new Map()
  for (const { inputs } of steps) for (const name of inputs) readers.set(name, (readers.get(name) ?? 0) + 1)
  const byName = new Map(steps.map((step) => [step.name, step]))
  const renamed = new Map()
  const rest = []
  for (const step of steps) {
    step.inputs = step.inputs.map((name) => renamed.get(name) ?? name)
    const before = byName.get(step.inputs[0] ?? '')
    if (
      step.type === 'ReLU' &&
      before &&
      ['Conv2d', 'Linear'].includes(before.type) &&
      readers.get(before.name) === 1
    ) {
      before.relu = true
      renamed.set(step.name, before.name)
    } else rest.push(step)
  }
  return rest
}

/**
 * An option of two directions: one number for both, or a pair.
 * @param {any} value
 * @param {number} otherwise
 * @returns {[number, number]}
 */
export function pair(value, otherwise) {
  if (value === undefined) return [otherwise, otherwise]
  return typeof value === 'number' ? [value, value] : value
}
