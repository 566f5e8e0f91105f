/**
 * Writes test/fixtures/tfjs: small models of each operator and each layer, inputs, and what TensorFlow.js (backend cpu) gives for them:
 * `node test/tfjs/fixtures.mjs [FOLDER]`. FOLDER has the library, as `npm run test:tfjs` puts it into build/tfjs.
 */
import { Buffer } from 'node:buffer'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL, URL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = process.argv[2] ?? join(root, 'build', 'tfjs')
const require = createRequire(join(folder, 'package.json'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const tf = await load('@tensorflow/tfjs-core')
const converter = await load('@tensorflow/tfjs-converter')
const { default: unnamed, ...rest } = await load('@tensorflow/tfjs-layers')
const layers = { ...rest, ...unnamed }
await load('@tensorflow/tfjs-backend-cpu')
await tf.setBackend('cpu')
const to = join(root, 'test', 'fixtures', 'tfjs')
mkdirSync(to, { recursive: true })

let state = 1
/** Numbers between two, by a rule, with three digits behind the point. */
const random = (count, low, high) =>
  Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.fround(Math.round((low + (state / 2 ** 32) * (high - low)) * 1000) / 1000)
  })
const sizeOf = (shape) => shape.reduce((product, extent) => product * extent, 1)
const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }
const base64 = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
const packed = (shape, dtype, values) => ({ shape, dtype, data: base64(arrays[dtype].from(values)) })
const tensorOf = ({ shape, dtype, values }) => tf.tensor(Array.from(values), shape, dtype)

/** An input of a node that the program is given. */
const given = (shape, { low = -1, high = 1, dtype = 'float32', values } = {}) => ({
  shape,
  dtype,
  values:
    values ??
    (dtype === 'float32' ? random(sizeOf(shape), low, high) : random(sizeOf(shape), low, high).map(Math.floor)),
})
/** One that is a constant of the file. */
const held = (...args) => ({ ...given(...args), isConstant: true })
const ints = (...values) => held([values.length], { values, dtype: 'int32' })
const one = (value, dtype = 'int32') => held([], { values: [value], dtype })
const s = (text) => ({ s: Buffer.from(text).toString('base64') })
const i = (value) => ({ i: String(value) })
const b = (value) => ({ b: value })
const f = (value) => ({ f: value })
const list = (...values) => ({ list: { i: values.map(String) } })
const names = (...values) => ({ list: { s: values.map((text) => Buffer.from(text).toString('base64')) } })
const type = (name) => ({ type: name })
const codes = { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL' }

const graphs = []
async function graph(op, inputs, attr = {}, { outputs = 1, name = op } = {}) {
  const named = inputs.map((input, index) => ({ ...input, name: `${input.isConstant ? 'k' : 'x'}${index}` }))
  const node = [
    ...named.map(({ name: own, isConstant, dtype, shape }) => ({
      name: own,
      op: isConstant ? 'Const' : 'Placeholder',
      attr: {
        dtype: type(codes[dtype]),
        ...(isConstant ? {} : { shape: { shape: { dim: shape.map((size) => ({ size: String(size) })) } } }),
      },
    })),
    { name: 'y', op, input: named.map(({ name: own }) => own), attr: { T: type('DT_FLOAT'), ...attr } },
  ]
  const constants = named.filter(({ isConstant }) => isConstant)
  const weights = constants.map(({ name: own, shape, dtype }) => ({ name: own, shape, dtype }))
  const bytes = Buffer.concat(constants.map(({ dtype, values }) => Buffer.from(arrays[dtype].from(values).buffer)))
  const results = Array.from({ length: outputs }, (_, index) => (index === 0 ? 'y' : `y:${index}`))
  const model = {
    format: 'graph-model',
    modelTopology: { node, versions: {} },
    signature: { outputs: Object.fromEntries(results.map((own) => [own, { name: own }])) },
    weightsManifest: [{ paths: ['w.bin'], weights }],
  }
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const run = await converter.loadGraphModel({
    load: () => Promise.resolve({ ...model, weightSpecs: weights, weightData }),
  })
  const fed = named.filter(({ isConstant }) => !isConstant)
  let due
  try {
    due = await run.executeAsync(Object.fromEntries(fed.map((input) => [input.name, tensorOf(input)])), results)
  } catch (error) {
    console.error(`${name}: TensorFlow.js does not run it: ${error.message}`)
    process.exitCode = 1
    return
  }
  graphs.push({
    name,
    op,
    model,
    weights: bytes.toString('base64'),
    inputs: Object.fromEntries(fed.map((input) => [input.name, packed(input.shape, input.dtype, input.values)])),
    outputs: Object.fromEntries(
      (Array.isArray(due) ? due : [due]).map((y, index) => [results[index], packed(y.shape, y.dtype, y.dataSync())]),
    ),
  })
}

const maps = [2, 5, 6, 3]
for (const op of [
  'Abs',
  'Neg',
  'Relu',
  'Relu6',
  'Elu',
  'Selu',
  'Sigmoid',
  'Tanh',
  'Softplus',
  'Exp',
  'Expm1',
  'Sin',
  'Cos',
  'Tan',
  'Sinh',
  'Cosh',
  'Asinh',
  'Atan',
  'Erf',
  'Floor',
  'Ceil',
  'Round',
  'Sign',
  'Square',
  'ZerosLike',
  'OnesLike',
  'Identity',
  'IsNan',
  'StopGradient',
  'Snapshot',
])
  await graph(op, [given([2, 7], { low: -3, high: 3 })])
for (const op of ['Sqrt', 'Rsqrt', 'Log', 'Log1p', 'Reciprocal'])
  await graph(op, [given([2, 7], { low: 0.1, high: 3 })])
for (const op of ['Asin', 'Acos', 'Atanh']) await graph(op, [given([2, 7], { low: -0.95, high: 0.95 })])
await graph('Acosh', [given([2, 7], { low: 1, high: 4 })])
await graph('LeakyRelu', [given([2, 7])], { alpha: f(0.3) })
for (const op of [
  'Add',
  'AddV2',
  'Sub',
  'Mul',
  'RealDiv',
  'Div',
  'Maximum',
  'Minimum',
  'SquaredDifference',
  'Atan2',
  'FloorMod',
  'Mod',
])
  await graph(op, [given([2, 3, 4], { low: 0.5, high: 3 }), given([3, 1], { low: 0.5, high: 2 })])
// Of floats TensorFlow.js says that ⌊a / b⌋ is of int32, which TensorFlow does not.
for (const op of ['AddV2', 'Sub', 'Mul', 'FloorDiv', 'FloorMod', 'Maximum', 'Minimum'])
  await graph(
    op,
    [given([2, 3], { low: -9, high: 9, dtype: 'int32' }), given([3], { values: [2, 3, 4], dtype: 'int32' })],
    { T: type('DT_INT32') },
    { name: `${op} of whole numbers` },
  )
await graph('Pow', [given([2, 3], { low: 0.2, high: 2 }), given([3], { low: -2, high: 2 })])
for (const op of ['Equal', 'NotEqual', 'Less', 'LessEqual', 'Greater', 'GreaterEqual'])
  await graph(op, [given([2, 3], { values: [1, 2, 3, 3, 2, 1] }), given([3], { values: [1, 3, 2] })])
const bools = (...values) => given([values.length], { values, dtype: 'bool' })
for (const op of ['LogicalAnd', 'LogicalOr']) await graph(op, [bools(0, 0, 1, 1), bools(0, 1, 0, 1)])
await graph('LogicalNot', [bools(0, 1)])
await graph('Select', [bools(0, 1, 1), given([3]), given([3])])
await graph('SelectV2', [bools(0, 1, 1), given([2, 3]), given([1])])
await graph('AddN', [given([2, 3]), given([2, 3]), given([2, 3])], { N: i(3) })
await graph('ClipByValue', [given([2, 6]), one(-0.5, 'float32'), one(0.25, 'float32')])
await graph('Cast', [given([6], { low: -3, high: 3 })], { DstT: type('DT_INT32'), SrcT: type('DT_FLOAT') })
await graph(
  'Cast',
  [given([4], { values: [0, 2, 0, -1], dtype: 'int32' })],
  { DstT: type('DT_BOOL'), SrcT: type('DT_INT32') },
  { name: 'Cast to bool' },
)
await graph('Prelu', [given(maps), held([1, 1, 3], { low: 0, high: 0.5 })])

const window = (strides, padding, more = {}) => ({
  strides: list(...strides),
  padding: s(padding),
  data_format: s('NHWC'),
  dilations: list(1, 1, 1, 1),
  explicit_paddings: { list: {} },
  ...more,
})
for (const [strides, padding] of [
  [[1, 1, 1, 1], 'SAME'],
  [[1, 2, 2, 1], 'SAME'],
  [[1, 2, 1, 1], 'VALID'],
])
  await graph('Conv2D', [given(maps), held([3, 2, 3, 4])], window(strides, padding), {
    name: `Conv2D ${padding} ${strides}`,
  })
await graph(
  'Conv2D',
  [given(maps), held([3, 2, 3, 4])],
  window([1, 2, 2, 1], 'EXPLICIT', { explicit_paddings: list(0, 0, 1, 2, 0, 1, 0, 0) }),
  { name: 'Conv2D EXPLICIT' },
)
await graph(
  'Conv2D',
  [given(maps), held([3, 2, 3, 4])],
  window([1, 1, 1, 1], 'SAME', { dilations: list(1, 2, 1, 1) }),
  { name: 'Conv2D dilated' },
)
await graph('Conv3D', [given([1, 4, 4, 3, 2]), held([2, 2, 2, 2, 3])], {
  strides: list(1, 2, 1, 1, 1),
  padding: s('SAME'),
  data_format: s('NDHWC'),
  dilations: list(1, 1, 1, 1, 1),
})
await graph('DepthwiseConv2dNative', [given(maps), held([3, 3, 3, 2])], window([1, 2, 2, 1], 'SAME'))
const fused = (...ops) => ({
  fused_ops: names(...ops),
  num_args: i(ops.includes('Prelu') ? 2 : 1),
  epsilon: f(0),
  leakyrelu_alpha: f(0.2),
})
for (const ops of [
  ['BiasAdd'],
  ['BiasAdd', 'Relu'],
  ['BiasAdd', 'Relu6'],
  ['BiasAdd', 'Elu'],
  ['BiasAdd', 'Sigmoid'],
  ['BiasAdd', 'LeakyRelu'],
  ['BiasAdd', 'Prelu'],
]) {
  const slope = ops.includes('Prelu') ? [held([1, 1, 4], { low: 0, high: 0.5 })] : []
  await graph(
    '_FusedConv2D',
    [given(maps), held([3, 2, 3, 4]), held([4]), ...slope],
    { ...window([1, 2, 2, 1], 'SAME'), ...fused(...ops) },
    { name: `_FusedConv2D ${ops}` },
  )
}
await graph('FusedDepthwiseConv2dNative', [given(maps), held([3, 3, 3, 2]), held([6])], {
  ...window([1, 1, 1, 1], 'SAME'),
  ...fused('BiasAdd', 'Relu6'),
})
for (const padding of ['SAME', 'VALID']) {
  const size = padding === 'SAME' ? [9, 12] : [11, 13]
  await graph(
    'Conv2DBackpropInput',
    [ints(2, ...size, 3), held([3, 2, 3, 4]), given([2, 5, 6, 4])],
    window([1, 2, 2, 1], padding),
    { name: `Conv2DBackpropInput ${padding}` },
  )
}
for (const op of ['MaxPool', 'AvgPool'])
  for (const padding of ['SAME', 'VALID'])
    await graph(
      op,
      [given(maps)],
      { ...window([1, 2, 2, 1], padding), ksize: list(1, 3, 3, 1) },
      { name: `${op} ${padding}` },
    )
for (const op of ['MaxPool3D', 'AvgPool3D'])
  await graph(op, [given([1, 4, 5, 3, 2])], {
    strides: list(1, 2, 2, 2, 1),
    padding: s('SAME'),
    data_format: s('NDHWC'),
    ksize: list(1, 2, 3, 2, 1),
  })
for (const op of ['FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3'])
  await graph(op, [given(maps), held([3]), held([3]), held([3]), held([3], { low: 0.5, high: 2 })], {
    epsilon: f(0.01),
    data_format: s('NHWC'),
    is_training: b(false),
  })
await graph('BiasAdd', [given(maps), held([3])], { data_format: s('NHWC') })
await graph('LRN', [given([1, 2, 3, 7])], { depth_radius: i(2), bias: f(1.5), alpha: f(0.3), beta: f(0.6) })
for (const op of ['ResizeBilinear', 'ResizeNearestNeighbor'])
  for (const [align, half] of [
    [false, false],
    [true, false],
    [false, true],
  ])
    for (const size of [
      [7, 4],
      [10, 12],
    ])
      await graph(
        op,
        [given(maps), ints(...size)],
        { align_corners: b(align), half_pixel_centers: b(half) },
        { name: `${op} ${align ? 'aligned' : half ? 'centred' : 'plain'} ${size}` },
      )
await graph('DepthToSpace', [given([1, 2, 3, 8])], { block_size: i(2), data_format: s('NHWC') })
await graph('MatMul', [given([3, 4]), held([5, 4])], { transpose_a: b(false), transpose_b: b(true) })
await graph(
  'MatMul',
  [given([4, 3]), held([4, 5])],
  { transpose_a: b(true), transpose_b: b(false) },
  { name: 'MatMul of a transposed' },
)
await graph('_FusedMatMul', [given([3, 4]), held([4, 5]), held([5])], {
  transpose_a: b(false),
  transpose_b: b(false),
  ...fused('BiasAdd', 'Relu'),
})
await graph('BatchMatMul', [given([2, 3, 4]), given([2, 4, 2])], { adj_x: b(false), adj_y: b(false) })
await graph('BatchMatMulV2', [given([2, 3, 4]), given([1, 2, 4])], { adj_x: b(false), adj_y: b(true) })

await graph('Reshape', [given([2, 6]), ints(3, -1)])
await graph('Squeeze', [given([1, 3, 1, 2])], { squeeze_dims: list(0, -2) })
await graph('ExpandDims', [given([3, 2]), one(-2)])
await graph('Transpose', [given([2, 3, 4]), ints(2, 0, 1)])
await graph('ConcatV2', [given([2, 3]), given([2, 1]), one(-1)], { N: i(2) })
await graph('Concat', [one(1), given([2, 3]), given([2, 1])], { N: i(2) })
await graph('Pack', [given([2, 3]), given([2, 3])], { N: i(2), axis: i(1) })
await graph('Unpack', [given([2, 3])], { num: i(3), axis: i(1) }, { outputs: 3 })
await graph('Split', [one(1), given([2, 6])], { num_split: i(3) }, { outputs: 3 })
await graph('SplitV', [given([2, 6]), ints(1, 3, 2), one(1)], { num_split: i(3) }, { outputs: 3 })
await graph('Pad', [given([2, 3]), held([2, 2], { values: [1, 0, 2, 1], dtype: 'int32' })])
await graph('PadV2', [given([2, 3]), held([2, 2], { values: [1, 0, 2, 1], dtype: 'int32' }), one(0.5, 'float32')])
await graph('MirrorPad', [given([3, 4]), held([2, 2], { values: [1, 2, 2, 1], dtype: 'int32' })], {
  mode: s('REFLECT'),
})
const masks = (begin, end, ellipsis, added, shrunk) => ({
  begin_mask: i(begin),
  end_mask: i(end),
  ellipsis_mask: i(ellipsis),
  new_axis_mask: i(added),
  shrink_axis_mask: i(shrunk),
})
for (const [from, to2, steps, ...given5] of [
  [[0, 1], [2, 4], [1, 2], 0, 0, 0, 0, 0],
  [[1, -1], [0, 0], [1, -1], 1, 2, 0, 0, 0],
  [[0, 1], [0, 2], [1, 1], 1, 1, 0, 0, 2],
  [[0, 0, 1], [0, 0, 3], [1, 1, 1], 0, 0, 1, 2, 0],
  [[0, 2], [0, 3], [1, 1], 0, 0, 1, 0, 2],
])
  await graph('StridedSlice', [given([3, 4, 5]), ints(...from), ints(...to2), ints(...steps)], masks(...given5), {
    name: `StridedSlice ${from} ${to2} ${steps} ${given5}`,
  })
await graph('Slice', [given([3, 4]), ints(1, 0), ints(2, -1)])
await graph('GatherV2', [given([3, 4]), ints(2, 0, 2), one(1)], { batch_dims: i(0) })
await graph('Gather', [given([3, 4]), ints(2, 0)])
await graph('GatherNd', [given([3, 4]), held([2, 2], { values: [2, 1, 0, 3], dtype: 'int32' })])
await graph('Tile', [given([2, 3]), ints(2, 2)])
await graph('Fill', [ints(2, 3), one(0.5, 'float32')])
await graph('BroadcastTo', [given([3, 1]), ints(2, 3, 4)])
await graph('Range', [one(1), one(9), one(3)], { Tidx: type('DT_INT32') })
await graph('Shape', [given([2, 3, 4])], { out_type: type('DT_INT32') })
await graph('Size', [given([2, 3, 4])], { out_type: type('DT_INT32') })
await graph('Rank', [given([2, 3, 4])])
await graph(
  'OneHot',
  [given([3], { values: [2, 0, 5], dtype: 'int32' }), one(4), one(2, 'float32'), one(-1, 'float32')],
  { axis: i(-1), dtype: type('DT_FLOAT') },
)
await graph('ReverseV2', [given([3, 4]), ints(1)])
await graph('SparseToDense', [
  held([2, 2], { values: [0, 1, 1, 2], dtype: 'int32' }),
  ints(2, 3),
  given([2]),
  one(0.25, 'float32'),
])
await graph('SpaceToBatchND', [given([1, 4, 5, 2]), ints(2, 3), held([2, 2], { values: [0, 0, 1, 0], dtype: 'int32' })])
await graph('BatchToSpaceND', [given([6, 2, 2, 2]), ints(2, 3), held([2, 2], { values: [0, 1, 1, 0], dtype: 'int32' })])
await graph('PlaceholderWithDefault', [held([2, 3])], {
  shape: { shape: { dim: [{ size: '2' }, { size: '3' }] } },
  dtype: type('DT_FLOAT'),
})
for (const op of ['Sum', 'Mean', 'Max', 'Min', 'Prod']) {
  await graph(op, [given([2, 3, 4]), ints(0, -1)], { keep_dims: b(false) })
  await graph(op, [given([2, 3, 4]), ints(1)], { keep_dims: b(true) }, { name: `${op} that keeps axes` })
}
for (const op of ['All', 'Any'])
  await graph(op, [given([2, 3], { values: [0, 1, 1, 1, 1, 1], dtype: 'bool' }), ints(1)], { keep_dims: b(false) })
for (const op of ['ArgMax', 'ArgMin']) await graph(op, [given([2, 3, 4]), one(1)])
for (const op of ['Softmax', 'LogSoftmax']) await graph(op, [given([2, 5], { low: -3, high: 3 })])
await graph('Cumsum', [given([2, 5]), one(1)], { exclusive: b(true), reverse: b(true) })
await graph('TopKV2', [given([2, 6]), one(3)], { sorted: b(true) }, { outputs: 2 })
writeFileSync(join(to, 'graphs.json'), `${JSON.stringify(graphs)}\n`)
console.log(`${graphs.length} graphs, ${new Set(graphs.map(({ op }) => op)).size} operators`)

/** Layers: models of one layer or a few, with weights by the rule. */
const made = []
async function layer(name, shapes, build) {
  try {
    await record(name, shapes, build)
  } catch (error) {
    console.error(`${name}: TensorFlow.js does not run it: ${error.message}`)
    process.exitCode = 1
  }
}
async function record(name, shapes, build) {
  const inputs = shapes.map((shape, index) => layers.input({ shape, name: `in${index}` }))
  const built = build(inputs.length === 1 ? inputs[0] : inputs)
  const model = layers.model({ inputs, outputs: built })
  for (const weight of model.weights) {
    const low = weight.name.includes('variance') ? 0.5 : -0.5
    weight.val.assign(tf.tensor(random(sizeOf(weight.shape), low, low + 1), weight.shape))
  }
  let saved
  await model.save({
    save(artifacts) {
      saved = artifacts
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } })
    },
  })
  const fed = shapes.map((shape) => given([2, ...shape]))
  const due = model.predict(fed.length === 1 ? tensorOf(fed[0]) : fed.map(tensorOf))
  const topology = typeof saved.modelTopology === 'string' ? JSON.parse(saved.modelTopology) : saved.modelTopology
  made.push({
    name,
    layers: topology.config.layers.map(({ class_name: own }) => own),
    model: {
      format: 'layers-model',
      modelTopology: topology,
      weightsManifest: [{ paths: ['w.bin'], weights: saved.weightSpecs }],
    },
    weights: Buffer.from(saved.weightData ?? new ArrayBuffer(0)).toString('base64'),
    inputs: Object.fromEntries(fed.map((input, index) => [`in${index}`, packed(input.shape, 'float32', input.values)])),
    outputs: (Array.isArray(due) ? due : [due]).map((y) => packed(y.shape, y.dtype, y.dataSync())),
  })
}
const L = layers.layers ?? layers
const map = [5, 6, 3]
const apply = (of) => (x) => of.apply(x)
for (const activation of [
  'linear',
  'relu',
  'relu6',
  'elu',
  'selu',
  'softplus',
  'softsign',
  'tanh',
  'sigmoid',
  'hardSigmoid',
  'swish',
  'gelu',
  'gelu_new',
  'softmax',
  'logSoftmax',
  'mish',
])
  await layer(`activation ${activation}`, [[7]], apply(L.activation({ activation })))
for (const [padding, strides, more] of [
  ['same', 2, {}],
  ['valid', [1, 2], { activation: 'relu6' }],
  ['same', 1, { dilationRate: 2, useBias: false, activation: 'softmax' }],
])
  await layer(
    `conv2d ${padding} ${strides}`,
    [map],
    apply(L.conv2d({ filters: 4, kernelSize: [3, 2], padding, strides, ...more })),
  )
for (const padding of ['same', 'valid'])
  await layer(`conv1d ${padding}`, [[8, 3]], apply(L.conv1d({ filters: 4, kernelSize: 3, padding })))
await layer(
  'conv3d',
  [[4, 4, 3, 2]],
  apply(L.conv3d({ filters: 3, kernelSize: 2, strides: [2, 1, 1], padding: 'same' })),
)
await layer(
  'depthwiseConv2d',
  [map],
  apply(L.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, strides: 2, padding: 'same', activation: 'relu' })),
)
await layer(
  'separableConv2d',
  [map],
  apply(L.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2, padding: 'same' })),
)
for (const padding of ['same', 'valid'])
  await layer(
    `conv2dTranspose ${padding}`,
    [map],
    apply(L.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, padding })),
  )
await layer(
  'conv3dTranspose',
  [[2, 3, 2, 2]],
  apply(L.conv3dTranspose({ filters: 3, kernelSize: 2, strides: 2, padding: 'same' })),
)
await layer('dense', [[7]], apply(L.dense({ units: 4, activation: 'tanh' })))
await layer('dense of rows', [[3, 7]], apply(L.dense({ units: 4, useBias: false })))
await layer('batchNormalization', [map], apply(L.batchNormalization({ epsilon: 0.01 })))
await layer('batchNormalization of vectors', [[4]], apply(L.batchNormalization({ scale: false, center: false })))
await layer('layerNormalization', [[3, 6]], apply(L.layerNormalization({})))
await layer('reLU', [[7]], apply(L.reLU({ maxValue: 0.5 })))
await layer('leakyReLU', [[7]], apply(L.leakyReLU({ alpha: 0.2 })))
await layer('prelu', [map], apply(L.prelu({ sharedAxes: [1, 2] })))
await layer('elu', [[7]], apply(L.elu({})))
await layer('thresholdedReLU', [[7]], apply(L.thresholdedReLU({ theta: 0.3 })))
await layer('softmax', [[3, 4]], apply(L.softmax({ axis: -1 })))
for (const of of ['maxPooling', 'averagePooling']) {
  await layer(`${of}1d`, [[8, 3]], apply(L[`${of}1d`]({ poolSize: 3, strides: 2, padding: 'same' })))
  await layer(`${of}2d`, [map], apply(L[`${of}2d`]({ poolSize: 3, strides: 2, padding: 'same' })))
  await layer(`${of}2d valid`, [map], apply(L[`${of}2d`]({ poolSize: [2, 3] })))
  await layer(`${of}3d`, [[4, 5, 3, 2]], apply(L[`${of}3d`]({ poolSize: 2, strides: 2, padding: 'same' })))
}
for (const of of ['globalMaxPooling', 'globalAveragePooling']) {
  await layer(`${of}1d`, [[8, 3]], apply(L[`${of}1d`]({})))
  await layer(`${of}2d`, [map], apply(L[`${of}2d`]({})))
}
await layer(
  'zeroPadding2d',
  [map],
  apply(
    L.zeroPadding2d({
      padding: [
        [1, 2],
        [0, 3],
      ],
    }),
  ),
)
await layer(
  'cropping2D',
  [map],
  apply(
    L.cropping2D({
      cropping: [
        [1, 2],
        [0, 3],
      ],
    }),
  ),
)
await layer('upSampling2d', [map], apply(L.upSampling2d({ size: [2, 3] })))
await layer('upSampling2d bilinear', [map], apply(L.upSampling2d({ size: [2, 3], interpolation: 'bilinear' })))
for (const of of ['add', 'multiply', 'average', 'maximum', 'minimum']) await layer(of, [map, map, map], apply(L[of]()))
await layer('concatenate', [map, [5, 6, 2]], apply(L.concatenate({ axis: -1 })))
for (const normalize of [false, true])
  await layer(
    `dot ${normalize}`,
    [
      [4, 3],
      [5, 3],
    ],
    apply(L.dot({ axes: 2, normalize })),
  )
await layer('dot of vectors', [[4], [4]], apply(L.dot({ axes: 1 })))
await layer('flatten', [map], apply(L.flatten()))
await layer('reshape', [[12]], apply(L.reshape({ targetShape: [3, -1] })))
await layer('permute', [map], apply(L.permute({ dims: [3, 1, 2] })))
await layer('repeatVector', [[4]], apply(L.repeatVector({ n: 3 })))
for (const of of ['dropout', 'spatialDropout1d']) await layer(of, [[3, 4]], apply(L[of]({ rate: 0.5 })))
await layer('gaussianNoise', [[4]], apply(L.gaussianNoise({ stddev: 1 })))
await layer('gaussianDropout', [[4]], apply(L.gaussianDropout({ rate: 0.5 })))
await layer('rescaling', [[4]], apply(L.rescaling({ scale: 0.5, offset: 1 })))
await layer('a network', [map], (x) => {
  const first = L.conv2d({ filters: 4, kernelSize: 3, padding: 'same', name: 'first' }).apply(x)
  const shared = L.conv2d({ filters: 4, kernelSize: 3, padding: 'same', name: 'shared' })
  const sum = L.add().apply([shared.apply(L.batchNormalization({}).apply(first)), shared.apply(first)])
  const gate = L.reshape({ targetShape: [1, 1, 4] }).apply(
    L.dense({ units: 4, activation: 'sigmoid' }).apply(L.globalAveragePooling2d({}).apply(sum)),
  )
  const pooled = L.maxPooling2d({ poolSize: 2 }).apply(L.multiply().apply([sum, gate]))
  return L.dense({ units: 3, activation: 'softmax' }).apply(L.flatten().apply(pooled))
})
await layer('a model in a model', [map], (x) => {
  const inner = layers.sequential({
    layers: [L.conv2d({ filters: 3, kernelSize: 3, padding: 'same', inputShape: map, name: 'inside' }), L.reLU()],
  })
  return L.add().apply([inner.apply(inner.apply(x)), x])
})
writeFileSync(join(to, 'layers.json'), `${JSON.stringify(made)}\n`)
console.log(`${made.length} models of layers, ${new Set(made.flatMap(({ layers: own }) => own)).size} layers`)
