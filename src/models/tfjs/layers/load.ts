/**
 * Layers-models: the layers of Keras, as Keras 2, Keras 3 or TensorFlow.js wrote them, as nodes of a program. A layer may be called
 * more than once, and a model may be a layer of another.
 */
import { FormatError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import { Tensor, type AnyTensor } from '../../../tensor/tensor.js'
import { checkTensor } from '../../../tensor/tensor.js'
import type { DType } from '../../../tensor/dtype.js'
import type { ProgramValue } from '../../imported.js'
import type { Refusals } from '../../refusals.js'
import type { Draft, Draw } from '../draft.js'
import { isMembers, listOf, member, objectOf, textOf, wholeOf, type Members } from '../json.js'
import { inOrder } from '../order.js'
import { Values } from '../values.js'
import type { Weights } from '../weights.js'
import { Config } from './config.js'
import { allFloats, type LayerReader } from './row.js'
import { rows } from './rows.js'

/** What a layer that the package does not know is given besides its inputs. */
export interface CustomLayer {
  /** The configuration that the file has for the layer. */
  readonly config: Readonly<Record<string, unknown>>
  /** Its weights by the last part of their names, such as `kernel`. */
  readonly weights: Readonly<Record<string, Tensor>>
}

/**
 * Layers by the names of their classes: each gives the output for its inputs, which have the model's layout, by operations of the
 * package.
 */
export type CustomLayers = Readonly<Record<string, (inputs: readonly Tensor[], layer: CustomLayer) => Tensor>>

/** Models are layers of models so deep at most. */
const MOST_DEPTH = 16
/** Calls of layers in all. */
const MOST_CALLS = 2 ** 14

/** An output of a call of a layer. */
interface Reference {
  readonly layer: string
  readonly call: number
  readonly output: number
}

/** One call of a layer. */
interface Call {
  readonly inputs: readonly Reference[]
  /** Whether it is called as outside of training, whatever the program does. */
  readonly isFrozen: boolean
}

/** A layer of a file. */
interface LayerEntry {
  readonly name: string
  readonly type: string
  readonly config: Members
  readonly calls: readonly Call[]
}

/** Classes that are models. */
const modelTypes = new Set(['Model', 'Functional', 'Sequential'])

/** A tuple [layer, call, output, arguments]. */
function referenceOf(given: unknown, what: string): Reference {
  const [layer, call, output] = listOf(given, what)
  return {
    layer: textOf(layer, `${what}: the layer`),
    call: wholeOf(call, `${what}: the call`, 0),
    output: wholeOf(output, `${what}: the output`, 0),
  }
}

/** Whether a list is one tuple, and no list of tuples. */
const isTuple = (list: readonly unknown[]): boolean => typeof list[0] === 'string' && typeof list[1] === 'number'

/** References of `input_layers` and `output_layers`: a tuple, or tuples in lists or by names. */
function referencesOf(given: unknown, what: string, depth = 0): Reference[] {
  if (depth > MOST_DEPTH) throw new FormatError(`${what}: it is nested too deep`)
  if (isMembers(given)) return Object.keys(given).flatMap((key) => referencesOf(given[key], what, depth + 1))
  const list = listOf(given, what)
  return isTuple(list) ? [referenceOf(list, what)] : list.map((each) => referenceOf(each, what))
}

/** Tensors within the arguments of a call that Keras 3 wrote. */
function tensorsIn(given: unknown, what: string, depth = 0): Reference[] {
  if (depth > MOST_DEPTH) throw new FormatError(`${what}: arguments are nested too deep`)
  if (Array.isArray(given)) return given.flatMap((each) => tensorsIn(each, what, depth + 1))
  if (!isMembers(given)) {
    if (given === null || given === undefined) return []
    throw new UnsupportedError(`${what}: the argument ${inWords(given)} is not supported`)
  }
  if (member(given, 'class_name') !== '__keras_tensor__')
    throw new UnsupportedError(`${what}: an argument ${inWords(member(given, 'class_name'))} is not supported`)
  const config = objectOf(member(given, 'config'), `${what}: a tensor`)
  return [referenceOf(member(config, 'keras_history'), `${what}: keras_history`)]
}

/** Arguments of a call that are no tensors: only such as change nothing, or say that it is not trained. */
function isFrozenBy(given: unknown, what: string): boolean {
  if (given === undefined || given === null) return false
  const fields = objectOf(given, `${what}: arguments`)
  for (const key of Object.keys(fields)) {
    const value = fields[key]
    if (
      value === null ||
      (key === 'training' && typeof value === 'boolean') ||
      (key === 'mask' && Array.isArray(value))
    )
      continue
    throw new UnsupportedError(`${what}: the argument ${inWords(key)} is not supported`)
  }
  return member(fields, 'training') === false
}

function callOf(given: unknown, what: string): Call {
  if (isMembers(given)) {
    return {
      inputs: tensorsIn(member(given, 'args') ?? [], what),
      isFrozen: isFrozenBy(member(given, 'kwargs'), what),
    }
  }
  const list = listOf(given, what)
  const tuples = isTuple(list) ? [list] : list.map((each) => listOf(each, what))
  const inputs = tuples.map((tuple) => referenceOf(tuple, what))
  return { inputs, isFrozen: tuples.map((tuple) => isFrozenBy(tuple[3], what)).includes(true) }
}

function layerOf(given: unknown, what: string): LayerEntry {
  const fields = objectOf(given, what)
  const type = textOf(member(fields, 'class_name'), `${what}: class_name`)
  const own = member(fields, 'config')
  // TensorFlow.js once wrote a Sequential as the list of its layers.
  const config = Array.isArray(own) ? { layers: own as unknown[] } : objectOf(own, `${what}: config`)
  const name = textOf(member(fields, 'name') ?? member(config, 'name'), `${what}: name`)
  const calls = listOf(member(fields, 'inbound_nodes') ?? [], `${what}: inbound_nodes`)
  return { name, type, config, calls: calls.map((call) => callOf(call, `layer ${inWords(name)}: a call`)) }
}

/** The configuration of the outermost model. */
function topologyOf(model: Members): { readonly type: string; readonly config: unknown; readonly isKeras3: boolean } {
  const topology = objectOf(member(model, 'modelTopology'), 'modelTopology')
  const inner = member(topology, 'model_config')
  const whole = isMembers(inner) ? inner : topology
  const version = member(topology, 'keras_version') ?? member(whole, 'keras_version')
  return {
    type: textOf(member(whole, 'class_name'), 'modelTopology: class_name'),
    config: member(whole, 'config'),
    isKeras3: typeof version === 'string' && /^(?:[3-9]|\d\d)\./.test(version),
  }
}

/** A model with its layers. */
interface ModelEntry {
  readonly layers: readonly LayerEntry[]
  readonly inputs: readonly Reference[]
  readonly outputs: readonly Reference[]
}

/** Extents that the configuration of a layer has for its input, the batch included. */
const batchShape = (config: Members): unknown => member(config, 'batch_shape') ?? member(config, 'batch_input_shape')

/** A model as a graph: layers in a row read each other. */
function modelOf(type: string, given: unknown, what: string): ModelEntry {
  const config = Array.isArray(given) ? { layers: given as unknown[] } : objectOf(given, `${what}: config`)
  const layers = listOf(member(config, 'layers'), `${what}: layers`).map((layer, i) =>
    layerOf(layer, `${what}: layers[${i}]`),
  )
  const names = new Set(layers.map(({ name }) => name))
  if (names.size < layers.length) {
    const twice = layers.find(({ name }, i) => layers.findIndex((other) => other.name === name) !== i)
    throw new FormatError(`${what}: two layers are called ${inWords(twice?.name)}`)
  }
  if (type !== 'Sequential') {
    return {
      layers,
      inputs: referencesOf(member(config, 'input_layers'), `${what}: input_layers`),
      outputs: referencesOf(member(config, 'output_layers'), `${what}: output_layers`),
    }
  }
  const [first] = layers
  if (!first) throw new FormatError(`${what}: there is no layer`)
  const row = [...layers]
  if (first.type !== 'InputLayer') {
    const shape = shapeWithin(first) ?? member(config, 'build_input_shape')
    let name = `${first.name}_input`
    while (names.has(name)) name += '_'
    row.unshift({ name, type: 'InputLayer', config: { batch_shape: shape, dtype: 'float32' }, calls: [] })
  }
  const reference = (layer: LayerEntry): Reference => ({ layer: layer.name, call: 0, output: 0 })
  const chained = row.map((layer, i): LayerEntry => ({
    ...layer,
    calls: i === 0 ? [] : [{ inputs: [reference(row[i - 1] as LayerEntry)], isFrozen: false }],
  }))
  return { layers: chained, inputs: [reference(row[0] ?? first)], outputs: [reference(layers.at(-1) ?? first)] }
}

/** The extents that a layer, or the first layer of a model in a row, has for its input. */
function shapeWithin({ type, config }: LayerEntry, depth = 0): unknown {
  const own = batchShape(config)
  if (own !== undefined || !modelTypes.has(type) || depth > MOST_DEPTH) return own
  const [first] = listOf(member(config, 'layers') ?? [], 'layers')
  return first === undefined ? undefined : shapeWithin(layerOf(first, 'layers[0]'), depth + 1)
}

/** What stands where it is called: values of inputs, and of every call. */
interface Place {
  /** Names of models around it, which begin the names of its values. */
  readonly prefix: string
  readonly depth: number
  readonly isFrozen: boolean
}

/** Reads a model as far as that can be done without its weights. */
export function draftLayers(model: Members, weights: Weights, refusals: Refusals, custom: CustomLayers): Draft {
  const { type, config, isKeras3 } = topologyOf(model)
  if (!modelTypes.has(type))
    throw new UnsupportedError(
      `the model is of the class ${inWords(type)}; supported are ${[...modelTypes].join(', ')}`,
    )
  const entry = modelOf(type, config, 'the model')
  checkTypes(entry, refusals, custom, '', 0)
  refusals.end()
  const lowering = new LayersLowering(weights, refusals, custom, isKeras3)
  return { lower: () => lowering.lower(entry) }
}

/** Notes every layer whose class is not known, in models within the model too. */
function checkTypes(model: ModelEntry, refusals: Refusals, custom: CustomLayers, prefix: string, depth: number): void {
  if (depth > MOST_DEPTH) throw new UnsupportedError(`models are in each other more than ${MOST_DEPTH} deep`)
  for (const { name, type, config } of model.layers) {
    refusals.attempt(`layer ${inWords(prefix + name)} (${type})`, () => {
      if (modelTypes.has(type)) {
        checkTypes(
          modelOf(type, config, `the model ${inWords(name)}`),
          refusals,
          custom,
          `${prefix}${name}/`,
          depth + 1,
        )
      } else if (type !== 'InputLayer' && !Object.hasOwn(rows, type) && !Object.hasOwn(custom, type)) {
        throw new UnsupportedError('the layer is not supported; give it in customLayers')
      }
    })
  }
}

/** Makes the nodes of a model. */
class LayersLowering {
  readonly #weights: Weights
  readonly #refusals: Refusals
  readonly #custom: CustomLayers
  readonly #isKeras3: boolean
  readonly #values: Values
  readonly #trained = new Set<string>()
  readonly #statistics = new Set<string>()
  readonly #inputs: ProgramValue[] = []
  /** Models within the model, by their configurations: one may be called again and again. */
  readonly #models = new Map<Members, ModelEntry>()
  #calls = 0

  constructor(weights: Weights, refusals: Refusals, custom: CustomLayers, isKeras3: boolean) {
    this.#weights = weights
    this.#refusals = refusals
    this.#custom = custom
    this.#isKeras3 = isKeras3
    this.#values = new Values(weights.entries.keys())
  }

  lower(model: ModelEntry): Draw {
    const outputs = this.#model(model, undefined, { prefix: '', depth: 0, isFrozen: false })
    const named = outputs.map((name, i): ProgramValue => {
      const own = (model.outputs[i] as Reference).layer
      const layer = model.layers.find((each) => each.name === own)
      if (!layer || !modelTypes.has(layer.type)) return { name, dtype: 'float32', shape: undefined }
      // What a model in the model gives has the name of that model.
      const value = this.#values.unique(own)
      this.#values.add(value, 'Identity', [name], [{ name: value, isFirst: false }], ([x]) => [
        (x as AnyTensor).alias(),
      ])
      return { name: value, dtype: 'float32', shape: undefined }
    })
    const unique = [...new Map(named.map((value) => [value.name, value])).values()]
    return {
      inputs: this.#inputs,
      outputs: unique,
      values: this.#values,
      weights: this.#trained,
      statistics: this.#statistics,
    }
  }

  /** The values that a model gives for values; without these it is the outermost one, and its inputs are those of the program. */
  #model(model: ModelEntry, given: readonly string[] | undefined, place: Place): string[] {
    const { layers } = model
    const byName = new Map(layers.map((layer) => [layer.name, layer]))
    const made = new Map<string, readonly string[]>()
    const keyOf = ({ layer, call }: Reference): string => JSON.stringify([layer, call])
    if (given && given.length !== model.inputs.length)
      throw new FormatError(`the model takes ${model.inputs.length} inputs, given ${given.length}`)
    model.inputs.forEach((reference, i) => {
      const layer = byName.get(reference.layer)
      if (layer?.type !== 'InputLayer') throw new FormatError(`the input ${inWords(reference.layer)} is no InputLayer`)
      made.set(keyOf({ ...reference, call: 0 }), [given ? (given[i] as string) : this.#input(layer)])
    })
    /** Calls with the layers that they are of. */
    const calls = layers.flatMap((layer) => {
      if (layer.type === 'InputLayer') return []
      return layer.calls.map((call, index) => ({
        layer,
        call,
        key: keyOf({ layer: layer.name, call: index, output: 0 }),
        index,
      }))
    })
    const shifts = shiftsOf(layers, [...calls.flatMap(({ call }) => call.inputs), ...model.outputs])
    const places = new Map(calls.map(({ key }, i) => [key, i]))
    /** References count the calls from 0; of models, Keras counts the making of the model as the first. */
    const own = (reference: Reference): string =>
      keyOf({ ...reference, call: reference.call - (shifts.get(reference.layer) ?? 0) })
    const needs = calls.map(({ call, layer }) =>
      call.inputs.flatMap((reference) => {
        const needed = places.get(own(reference))
        if (needed === undefined && !made.has(own(reference)))
          throw new FormatError(
            `layer ${inWords(place.prefix + layer.name)} reads ${inWords(reference.layer)}, which gives nothing to it`,
          )
        return needed === undefined ? [] : [needed]
      }),
    )
    const { order, circle } = inOrder(calls.length, (i) => needs[i] as number[])
    if (circle !== undefined)
      throw new FormatError(`layer ${inWords(calls[circle]?.layer.name)} needs itself: the layers are in a circle`)
    for (const i of order) {
      const { layer, call, key, index } = calls[i] as (typeof calls)[number]
      if (++this.#calls > MOST_CALLS) throw new UnsupportedError(`layers are called more than ${MOST_CALLS} times`)
      const name = place.prefix + layer.name + (index === 0 ? '' : ` (call ${index + 1})`)
      const inputs = call.inputs.map((reference) => made.get(own(reference))?.[reference.output])
      if (inputs.includes(undefined)) {
        // What it reads was refused, or is an output that there is not.
        if (this.#refusals.refused.length > 0) continue
        throw new FormatError(`layer ${inWords(name)} reads an output that there is not`)
      }
      const outputs = this.#refusals.attempt(`layer ${inWords(name)} (${layer.type})`, () =>
        this.#call(layer, name, inputs as string[], { ...place, isFrozen: place.isFrozen || call.isFrozen }),
      )
      if (outputs) made.set(key, outputs)
    }
    return model.outputs.flatMap((reference) => {
      const value = made.get(own(reference))?.[reference.output]
      if (value === undefined && this.#refusals.refused.length === 0)
        throw new FormatError(`the output ${inWords(reference.layer)} is given by nothing`)
      return value === undefined ? [] : [value]
    })
  }

  /** An input of the program. */
  #input({ name, config }: LayerEntry): string {
    const value = this.#values.unique(name)
    const given = batchShape(config)
    const shape =
      given === undefined || given === null
        ? undefined
        : listOf(given, `layer ${inWords(name)}: batch_shape`).map((extent) =>
            extent === null ? null : wholeOf(extent, `layer ${inWords(name)}: batch_shape`, 0),
          )
    this.#inputs.push({ name: value, dtype: dtypeOf(config, name), shape })
    return value
  }

  /** What a layer gives when it is called. */
  #call(layer: LayerEntry, name: string, inputs: readonly string[], place: Place): readonly string[] {
    const { type, config } = layer
    if (modelTypes.has(type)) {
      const model = this.#models.get(config) ?? modelOf(type, config, `the model ${inWords(name)}`)
      this.#models.set(config, model)
      return this.#model(model, inputs, { ...place, prefix: `${name}/`, depth: place.depth + 1 })
    }
    const value = this.#values.unique(name)
    if (Object.hasOwn(this.#custom, type)) this.#customCall(layer, value, inputs, place)
    else this.#knownCall(layer, value, inputs, place)
    return [value]
  }

  #knownCall(layer: LayerEntry, value: string, inputs: readonly string[], { prefix, isFrozen }: Place): void {
    const row = rows[layer.type] as (typeof rows)[string]
    const [least, most] = row.inputs
    if (inputs.length < least || inputs.length > most)
      throw new FormatError(`it takes ${least === most ? least : `${least} or more`} inputs, given ${inputs.length}`)
    // Keras lets normalization that is not trained keep its statistics, and use them.
    const keeps = isFrozen || (layer.type === 'BatchNormalization' && member(layer.config, 'trainable') === false)
    const config = new Config(layer.config, this.#isKeras3)
    const names: string[] = []
    const firsts = inputs.map((input) => this.#values.isFirst(input))
    const reader: LayerReader = {
      config,
      inputs: inputs.length,
      firsts,
      allFirst: !firsts.includes(false),
      weight: (...alternatives) => {
        const weight = this.#weight(prefix, layer, alternatives)
        if (member(layer.config, 'trainable') !== false) this.#trained.add(weight)
        return names.push(weight) - 1
      },
      statistic: (own) => {
        const weight = this.#weight(prefix, layer, [own])
        this.#statistics.add(weight)
        return names.push(weight) - 1
      },
    }
    const { step, readsFirst = false, givesFirst } = row.lower(reader)
    config.end()
    const isRead = typeof readsFirst === 'boolean' ? inputs.map(() => readsFirst) : readsFirst
    const read = inputs.map((input, i) => (isRead[i] ? this.#values.first(input) : input))
    const isFirst = givesFirst ?? isRead.includes(true)
    const count = inputs.length
    this.#values.add(value, layer.type, [...read, ...names], [{ name: value, isFirst }], (tensors, context) => {
      const y = step(
        allFloats(tensors.slice(0, count)),
        tensors.slice(count) as Tensor[],
        keeps ? { ...context, training: false } : context,
      )
      return [y]
    })
  }

  #customCall(layer: LayerEntry, value: string, inputs: readonly string[], { prefix }: Place): void {
    const of = this.#custom[layer.type] as CustomLayers[string]
    const own = this.#weightsOf(prefix, layer)
    const keys = [...own.keys()]
    if (member(layer.config, 'trainable') !== false) for (const weight of own.values()) this.#trained.add(weight)
    const count = inputs.length
    this.#values.add(value, layer.type, [...inputs, ...own.values()], [{ name: value, isFirst: false }], (tensors) => {
      const weights = Object.fromEntries(keys.map((key, i) => [key, tensors[count + i] as Tensor]))
      const y: unknown = of(tensors.slice(0, count) as Tensor[], { config: layer.config, weights })
      checkTensor(y, 'customLayers', `what ${inWords(layer.type)} gives`)
      return [y]
    })
  }

  /** The name that the file gives a weight of a layer: `layer/kernel`, behind the names of models around it or without them. */
  #weight(prefix: string, { name }: LayerEntry, alternatives: readonly string[]): string {
    for (const own of alternatives) {
      const found = this.#find(prefix, `${name}/${own}`)
      if (found !== undefined) return found
    }
    throw new FormatError(`the manifest has no weight ${inWords(`${name}/${alternatives[0] as string}`)}`)
  }

  #find(prefix: string, path: string): string | undefined {
    const { entries } = this.#weights
    // With all of the models around it, with those nearest to it, and alone.
    const around = prefix.split('/').slice(0, -1)
    for (let from = 0; from <= around.length; from++) {
      const full = [...around.slice(from), path].join('/')
      if (entries.has(full)) return full
    }
    const ending = [...entries.keys()].filter((entry) => entry.endsWith(`/${path}`))
    if (ending.length > 1)
      throw new FormatError(
        `the manifest has several weights that end in ${inWords(path)}: ${ending.map(inWords).join(', ')}`,
      )
    return ending[0]
  }

  /** Every weight of a layer, by the last part of its name. */
  #weightsOf(prefix: string, { name }: LayerEntry): Map<string, string> {
    const found = new Map<string, string>()
    for (const start of [`${prefix}${name}/`, `${name}/`]) {
      for (const entry of this.#weights.entries.keys()) {
        if (entry.startsWith(start)) found.set(entry.slice(start.length), entry)
      }
      if (found.size > 0) break
    }
    return found
  }
}

/** The type of an input. */
function dtypeOf(config: Members, name: string): DType {
  let given = member(config, 'dtype') ?? 'float32'
  if (isMembers(given)) given = member(objectOf(member(given, 'config') ?? {}, 'dtype: config'), 'name') ?? 'float32'
  if (given === 'int32' || given === 'bool') return given
  if (given === 'float32' || given === 'float16' || given === 'float64' || given === 'mixed_float16') return 'float32'
  throw new UnsupportedError(`layer ${inWords(name)} (InputLayer): the type ${inWords(given)} is not supported`)
}

/** Models whose calls are counted from 1 on. */
function shiftsOf(layers: readonly LayerEntry[], references: readonly Reference[]): ReadonlyMap<string, number> {
  const shifts = new Map<string, number>()
  for (const { name, type, calls } of layers) {
    if (!modelTypes.has(type)) continue
    const most = references.reduce(
      (largest, { layer, call }) => (layer === name ? Math.max(largest, call) : largest),
      0,
    )
    shifts.set(name, most >= calls.length ? 1 : 0)
  }
  return shifts
}
