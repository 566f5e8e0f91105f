/**
 * Writes docs/variants.md: which variants of convolution and pooling exist in which directions, with which gradients,
 * found by calling them. `--check` compares the page instead. Exit codes: 0 good; 1 something that the API promises is
 * missing or wrong, or the page differs; 2 wrong usage.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, URL } from 'node:url'
import { format, resolveConfig } from 'prettier'

const page = fileURLToPath(new URL('variants.md', import.meta.url))

const library = await import('../dist/index.js').catch((error) => {
  console.error(`docs/variants.mjs needs the built library (npm run build): ${error.message}`)
  process.exit(1)
})

await library.init()

const product = (values) => values.reduce((total, value) => total * value, 1)
/** The first entries of three: one for each direction. */
const first = (directions, values) => values.slice(0, directions)

/** Values that lie at least 0.05 apart, in an order of their own: no ties, and no kinks near by. */
function distinct(shape, seed, lowest) {
  const values = Array.from({ length: product(shape) }, (_, i) => i)
  let state = seed
  for (let i = values.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const j = (state >>> 8) % (i + 1)
    ;[values[i], values[j]] = [values[j], values[i]]
  }
  const distance = Math.max(0.05, 4 / values.length)
  const from = lowest ?? (-distance * (values.length - 1)) / 2 + distance / 3
  return library.tensor(
    Float32Array.from(values, (i) => from + i * distance),
    shape,
  )
}

const outputExtents = (input, kernel, { stride, dilation, padding }) =>
  input.map((n, axis) => {
    const [lo, hi] = padding[axis]
    return Math.floor((n + lo + hi - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1
  })

/** Options with every entry filled in, as numbers. */
function resolve(directions, kernel, options) {
  const each = (value = 1) => (Array.isArray(value) ? value : new Array(directions).fill(value))
  const { stride, dilation, padding = 0 } = options
  const resolved = { stride: each(stride), dilation: each(dilation) }
  const reach = kernel.map((taps, axis) => resolved.dilation[axis] * (taps - 1))
  const named = {
    valid: reach.map(() => [0, 0]),
    full: reach.map((zeros) => [zeros, zeros]),
    // For stride one.
    same: reach.map((zeros) => [Math.floor(zeros / 2), Math.ceil(zeros / 2)]),
  }
  const pairs = named[padding] ?? each(padding).map((zeros) => (Array.isArray(zeros) ? zeros : [zeros, zeros]))
  return { ...resolved, padding: pairs }
}

/** The product with the operation's matrix, image by image, and the bias added: what a linear operation must give. */
function byMatrix(x, w, input, options, bias, output) {
  const matrix = library.convMatrix(w, input, options)
  const values = x.data()
  const added = bias?.data()
  const pixels = product(output)
  return Array.from({ length: x.shape[0] }, (_, n) => {
    const image = library.multiplyMatrix(matrix, values.subarray(n * matrix.cols, (n + 1) * matrix.cols))
    if (!added) return [...image]
    return [...image].map(
      (value, i) => value + (added.length === image.length ? added[i] : added[Math.floor(i / pixels)]),
    )
  }).flat()
}

// A case is { inputs, run, shape, values? }: tensors by name, the call, and what its result must be.

/** conv1d, conv2d, conv3d with options of three directions. */
const convolution =
  ({ bias: biasKind = 'channel', kernel: extents = [3, 2, 2], C = 2, K = 3, ...choice } = {}) =>
  (operation, directions) => {
    const options = Object.fromEntries(
      Object.entries(choice).map(([name, value]) => [name, Array.isArray(value) ? first(directions, value) : value]),
    )
    const input = first(directions, [6, 5, 4])
    const kernel = first(directions, extents)
    const output = outputExtents(input, kernel, resolve(directions, kernel, options))
    const { activation, ...linear } = options
    const x = distinct([2, C, ...input], 1)
    const w = distinct([K, C / (options.groups ?? 1), ...kernel], 2)
    const bias = distinct(biasKind === 'location' ? [K, ...output] : [K], 3)
    return {
      inputs: { x, w, bias },
      run: (given) => operation(given.x, given.w, { ...options, bias: given.bias }),
      shape: [2, K, ...output],
      values: activation ? undefined : byMatrix(x, w, input, linear, bias, output),
    }
  }

/** g and h with the options of the convolution whose gradients they are. */
const convolutionGradient =
  (which, { kernel: extents = [3, 2, 2], C = 2, K = 3, ...choice } = {}) =>
  (operation, directions) => {
    const options = Object.fromEntries(
      Object.entries(choice).map(([name, value]) => [name, Array.isArray(value) ? first(directions, value) : value]),
    )
    const input = first(directions, [6, 5, 4])
    const kernel = first(directions, extents)
    const output = outputExtents(input, kernel, resolve(directions, kernel, options))
    const x = distinct([2, C, ...input], 1)
    const w = distinct([K, C / (options.groups ?? 1), ...kernel], 2)
    const dy = distinct([2, K, ...output], 3)
    const conv = library[`conv${directions}d`]
    const { pullback } = library.vjp((a, b) => conv(a, b, options), x, w)
    const [dx, dw] = pullback(dy)
    return which === 'g'
      ? {
          inputs: { x, dy },
          run: (given) => operation(given.x, given.dy, { kernel, ...options }),
          shape: w.shape,
          values: dw.data(),
        }
      : {
          inputs: { w, dy },
          run: (given) => operation(given.w, given.dy, { inputSize: input, ...options }),
          shape: x.shape,
          values: dx.data(),
        }
  }

const transposed =
  ({ kernel: extents = [3, 2, 2], added = 0, told = false, groups = 1, ...choice } = {}) =>
  (operation, directions) => {
    const options = Object.fromEntries(
      Object.entries({ ...choice, groups }).map(([name, value]) => [
        name,
        Array.isArray(value) ? first(directions, value) : value,
      ]),
    )
    const input = first(directions, [4, 3, 2])
    const kernel = first(directions, extents)
    const { stride, dilation, padding } = resolve(directions, kernel, options)
    const output = input.map(
      (n, axis) =>
        (n - 1) * stride[axis] - padding[axis][0] - padding[axis][1] + dilation[axis] * (kernel[axis] - 1) + 1 + added,
    )
    if (told) options.outputSize = output
    else if (added > 0) options.outputPadding = added
    const x = distinct([2, 4, ...input], 1)
    const w = distinct([4, 3, ...kernel], 2)
    const bias = distinct([3 * groups], 3)
    return {
      inputs: { x, w, bias },
      run: (given) => operation(given.x, given.w, { ...options, bias: given.bias }),
      shape: [2, 3 * groups, ...output],
      values: byMatrix(x, w, input, { variant: 'transpose', ...options }, bias, output),
    }
  }

const local =
  (variant, { periods: tiles = [2, 3, 2], ...choice } = {}) =>
  (operation, directions) => {
    const options = Object.fromEntries(
      Object.entries(choice).map(([name, value]) => [name, Array.isArray(value) ? first(directions, value) : value]),
    )
    const input = first(directions, [5, 4, 3])
    const kernel = first(directions, [3, 2, 2])
    const output = outputExtents(input, kernel, resolve(directions, kernel, options))
    const own = variant === 'locallyConnected'
    const periods = own ? output : first(directions, tiles)
    const x = distinct([2, 2, ...input], 1)
    const w = distinct(own ? [3, ...output, 2, ...kernel] : [3, 2, ...kernel, ...periods], 2)
    const bias = distinct([3, ...periods], 3)
    const places = distinct([3, ...output], 3).shape
    const strides = periods.map((_, axis) => product(periods.slice(axis + 1)))
    // The bias of each location.
    const spread = Float32Array.from({ length: product(places) }, (_, i) => {
      const pixel = output.map((extent, axis) => Math.floor(i / product(output.slice(axis + 1))) % extent)
      const kind = pixel.reduce((total, p, axis) => total + (p % periods[axis]) * strides[axis], 0)
      return bias.data()[Math.floor(i / product(output)) * product(periods) + kind]
    })
    return {
      inputs: { x, w, bias },
      run: (given) => operation(given.x, given.w, { ...options, bias: given.bias }),
      shape: [2, 3, ...output],
      values: byMatrix(x, w, input, { variant, ...options }, library.tensor(spread, places), output),
    }
  }

const separable =
  ({ perChannel = false, ...options } = {}) =>
  (operation, directions) => {
    const input = first(directions, [6, 5, 4])
    const kernel = first(directions, [3, 2, 2])
    const output = outputExtents(input, kernel, resolve(directions, kernel, options))
    const x = distinct([2, 2, ...input], 1)
    const column = distinct(perChannel ? [2, 3] : [3], 2)
    const row = distinct(perChannel ? [2, 2] : [2], 4)
    const bias = distinct([2], 3)
    const at = (vector, channel, i) => vector.data()[perChannel ? channel * vector.shape[1] + i : i]
    const outer = Float32Array.from(
      { length: 12 },
      (_, i) => at(column, Math.floor(i / 6), Math.floor(i / 2) % 3) * at(row, Math.floor(i / 6), i % 2),
    )
    return {
      inputs: { x, column, row, bias },
      run: (given) => operation(given.x, { column: given.column, row: given.row }, { ...options, bias: given.bias }),
      shape: [2, 2, ...output],
      values: byMatrix(x, library.tensor(outer, [2, 1, 3, 2]), input, { groups: 2, ...options }, bias, output),
    }
  }

const connected =
  (options = {}) =>
  (operation, directions) => {
    const table = [
      [true, false, true],
      [false, true, true],
    ]
    const input = first(directions, [6, 5, 4])
    const kernel = first(directions, [3, 2, 2])
    const output = outputExtents(input, kernel, resolve(directions, kernel, options))
    const x = distinct([2, 3, ...input], 1)
    const w = distinct([2, 3, ...kernel], 2)
    const bias = distinct([2], 3)
    return {
      inputs: { x, w, bias },
      run: (given) => operation(given.x, given.w, table, { ...options, bias: given.bias }),
      shape: [2, 2, ...output],
      values: byMatrix(x, w, input, { table, ...options }, bias, output),
    }
  }

/** A pooling: `call` gives the result, `output` the extents that (6, 5, 4) becomes. */
const pooling =
  (call, output, { lowest, channels = 2 } = {}) =>
  (operation, directions) => ({
    inputs: { x: distinct([2, 2, ...first(directions, [6, 5, 4])], 1, lowest) },
    run: ({ x }) => call(operation, x, directions),
    shape: [2, channels, ...first(directions, output)],
  })

const withOptions = (options) => (operation, x) => operation(x, options)

const unpooling = (operation, directions) => {
  const kernel = 2
  const { indices } = library.maxPool2dWithIndices(distinct([2, 2, 6, 4], 1), { kernel })
  return {
    inputs: { x: distinct([2, 2, 3, 2], 2) },
    run: ({ x }) => operation(x, indices, { kernel }),
    shape: [2, 2, ...first(directions, [6, 4])],
  }
}

/** The function of each direction by its number in the name, `maxPool#d`, or one function for all. */
const named = (pattern, directions) => library[pattern.replace('#', directions)]

const all = [1, 2, 3]
const weighted = ['x', 'w', 'bias']

/** Options of a convolution, also those whose gradients are g and h. */
const convolutions = {
  'no options: cross-correlation (9.6)': {},
  'flip: convolution (9.4)': { flip: true },
  'stride for each direction (9.8)': { stride: [2, 1, 3] },
  dilation: { dilation: [2, 1, 2] },
  groups: { groups: 2, C: 4, K: 4 },
  depthwise: { groups: 2, C: 2, K: 4 },
  'kernel of one element': { kernel: [1, 1, 1] },
  "padding 'same'": { padding: 'same' },
  "padding 'full'": { padding: 'full' },
  'padding for each side': {
    padding: [
      [2, 1],
      [0, 1],
      [1, 0],
    ],
  },
  "paddingMode 'zeros'": { padding: 2, paddingMode: 'zeros' },
  "paddingMode 'reflect'": { padding: 2, paddingMode: 'reflect' },
  "paddingMode 'replicate'": { padding: 2, paddingMode: 'replicate' },
  "paddingMode 'circular'": { padding: 2, paddingMode: 'circular' },
}

/** The names that a convolution takes as its activation, as it tells them where it is given another. */
const activations = library.scope(() => {
  const x = library.ones([1, 1, 1])
  try {
    library.conv1d(x, x, { activation: '' })
  } catch ({ message }) {
    return /must be one of (.*), given/.exec(message)[1].split(', ')
  }
  throw new Error('conv1d takes an activation without a name')
})

/**
 * Families of rows: `pattern` names the functions, `directions` are those that the API lists, `gradients` the inputs that
 * it promises a gradient for, `rows` the cases by name.
 */
const families = [
  {
    pattern: 'conv#d',
    directions: all,
    gradients: weighted,
    rows: {
      ...Object.fromEntries(Object.entries(convolutions).map(([name, options]) => [name, convolution(options)])),
      'bias for each location': convolution({ bias: 'location' }),
      ...Object.fromEntries(
        activations.map((activation) => [`activation '${activation}'`, convolution({ activation })]),
      ),
    },
  },
  {
    pattern: 'convTranspose#d',
    directions: all,
    gradients: weighted,
    rows: {
      'no options': transposed(),
      'stride for each direction': transposed({ stride: [2, 1, 3] }),
      outputPadding: transposed({ stride: 2, added: 1 }),
      outputSize: transposed({ stride: 2, added: 1, told: true }),
      padding: transposed({ padding: 1, kernel: [3, 3, 3] }),
      dilation: transposed({ dilation: 2 }),
      groups: transposed({ groups: 2 }),
    },
  },
  {
    pattern: 'locallyConnected#d',
    directions: [1, 2],
    gradients: weighted,
    rows: {
      'no options (9.9)': local('locallyConnected'),
      'stride for each direction': local('locallyConnected', { stride: [2, 1, 1] }),
      'padding for each side': local('locallyConnected', {
        padding: [
          [1, 0],
          [0, 2],
          [0, 0],
        ],
      }),
    },
  },
  {
    pattern: 'tiledConv#d',
    directions: [1, 2],
    gradients: weighted,
    rows: {
      'a period for each direction (9.10)': local('tiled'),
      'stride for each direction': local('tiled', { stride: [2, 1, 1] }),
      'padding for each side': local('tiled', {
        padding: [
          [1, 0],
          [0, 2],
          [0, 0],
        ],
      }),
    },
  },
  {
    pattern: 'separableConv#d',
    directions: [2],
    gradients: ['x', 'column', 'row', 'bias'],
    rows: {
      'no options': separable(),
      'a kernel for each channel': separable({ perChannel: true }),
      flip: separable({ flip: true }),
      'stride for each direction': separable({ stride: [2, 1] }),
      dilation: separable({ dilation: [2, 1] }),
      "padding 'same'": separable({ padding: 'same' }),
      "paddingMode 'reflect'": separable({ padding: 1, paddingMode: 'reflect' }),
    },
  },
  {
    pattern: 'connectedConv#d',
    directions: [2],
    gradients: weighted,
    rows: {
      'no options': connected(),
      flip: connected({ flip: true }),
      'stride for each direction': connected({ stride: [2, 1] }),
      "padding 'full'": connected({ padding: 'full' }),
      "paddingMode 'circular'": connected({ padding: 1, paddingMode: 'circular' }),
    },
  },
]

const trainingFamilies = [
  {
    pattern: 'conv#dWeightGrad',
    directions: all,
    gradients: ['x', 'dy'],
    rows: Object.fromEntries(
      Object.entries(convolutions).map(([name, options]) => [name, convolutionGradient('g', options)]),
    ),
  },
  {
    pattern: 'conv#dInputGrad',
    directions: all,
    gradients: ['w', 'dy'],
    rows: Object.fromEntries(
      Object.entries(convolutions).map(([name, options]) => [name, convolutionGradient('h', options)]),
    ),
  },
]

const pool = (pattern, directions, rows) => ({ pattern, directions, gradients: ['x'], rows })

const poolingFamilies = [
  pool('maxPool#d', all, {
    'windows side by side': pooling(withOptions({ kernel: 2 }), [3, 2, 2]),
    'windows that overlap (figure 9.8)': pooling(withOptions({ kernel: 3, stride: 1, padding: 1 }), [6, 5, 4]),
    dilation: pooling(withOptions({ kernel: 2, stride: 1, dilation: 2 }), [4, 3, 2]),
    'ceil: last window partial (figure 9.10)': pooling(withOptions({ kernel: 3, stride: 2, ceil: true }), [3, 2, 2]),
  }),
  pool('maxPool#dWithIndices', [2], {
    'no options': pooling((operation, x) => operation(x, { kernel: 2 }).y, [3, 2, 2]),
  }),
  pool('maxUnpool#d', [2], { 'no options': unpooling }),
  pool('avgPool#d', all, {
    'windows side by side': pooling(withOptions({ kernel: 2 }), [3, 2, 2]),
    padding: pooling(withOptions({ kernel: 3, stride: 2, padding: 1 }), [3, 3, 2]),
    'countIncludePad false': pooling(
      withOptions({ kernel: 3, stride: 2, padding: 1, countIncludePad: false }),
      [3, 3, 2],
    ),
    ceil: pooling(withOptions({ kernel: 3, stride: 2, ceil: true }), [3, 2, 2]),
  }),
  pool('lpPool#d', [1, 2], {
    'p = 2': pooling(withOptions({ kernel: 2 }), [3, 2, 2]),
    'p = 3': pooling(withOptions({ kernel: 2, stride: 1, p: 3 }), [5, 4, 3], { lowest: 0.5 }),
    ceil: pooling(withOptions({ kernel: 3, stride: 2, ceil: true }), [3, 2, 2]),
  }),
  pool('weightedPool#d', [2], {
    sigma: pooling(withOptions({ kernel: 3, stride: 1, sigma: 1 }), [4, 3, 2]),
    weights: pooling(
      withOptions({
        stride: 2,
        padding: 1,
        weights: [
          [1, 2, 1],
          [2, 4, 2],
          [1, 2, 1],
        ],
      }),
      [3, 3, 2],
    ),
  }),
  pool('adaptiveAvgPool#d', all, {
    'one number': pooling((operation, x) => operation(x, 2), [2, 2, 2]),
    'one for each direction': pooling(
      (operation, x, directions) => operation(x, first(directions, [4, 3, 1])),
      [4, 3, 1],
    ),
  }),
  pool('adaptiveMaxPool#d', all, {
    'one number': pooling((operation, x) => operation(x, 2), [2, 2, 2]),
    'one for each direction': pooling(
      (operation, x, directions) => operation(x, first(directions, [4, 3, 1])),
      [4, 3, 1],
    ),
  }),
  pool('globalAvgPool', all, { 'no options': pooling((operation, x) => operation(x), [1, 1, 1]) }),
  pool('globalMaxPool', all, { 'no options': pooling((operation, x) => operation(x), [1, 1, 1]) }),
  pool('maxout', all, { 'no options': pooling((operation, x) => operation(x, 2), [6, 5, 4], { channels: 1 }) }),
]

const holes = []

/** The columns that a gradient stands in. */
const columnOf = { x: 'dx', w: 'dw', column: 'dw', row: 'dw', bias: 'db', dy: 'ddy' }

/** What is wrong with a result, or undefined. */
function wrongResult(y, { shape, values }) {
  if (!(y instanceof library.Tensor)) return 'gives no tensor'
  if (y.shape.join() !== shape.join()) return `gives (${y.shape.join(', ')}), not (${shape.join(', ')})`
  const given = y.data()
  if (!given.every(Number.isFinite)) return 'gives what is not finite'
  if (given.every((value) => value === 0)) return 'gives zeros only'
  if (!values) return undefined
  const scale = Math.max(...values.map(Math.abs))
  const error = Math.max(...given.map((value, i) => Math.abs(value - values[i])))
  return error <= 1e-5 * scale ? undefined : `differs by ${error} from what it must be (at most ${scale})`
}

/** Calls one variant in one number of directions. Gives what is wrong by column; undefined where it is right. */
function probe(operation, directions, build) {
  return library.scope(() => {
    const test = build(operation, directions)
    const names = Object.keys(test.inputs)
    const inputs = Object.values(test.inputs)
    const call = (...given) => test.run(Object.fromEntries(names.map((name, i) => [name, given[i]])))
    const found = { fwd: wrongResult(call(...inputs), test) }
    const { value, pullback, dispose } = library.vjp(call, ...inputs)
    const gradients = pullback(library.uniform(value.shape, { low: 0.5, high: 1, seed: 5 }))
    const { errors } = library.gradcheck(call, inputs)
    names.forEach((name, i) => {
      const gradient = gradients[i].data()
      const wrong =
        gradients[i].shape.join() !== inputs[i].shape.join()
          ? `gradient of ${name} has the shape (${gradients[i].shape.join(', ')})`
          : !gradient.every(Number.isFinite) || gradient.every((entry) => entry === 0)
            ? `gradient of ${name} is zero or not finite`
            : !(errors[i] <= 5e-3)
              ? `gradient of ${name} differs from finite differences by ${errors[i]}`
              : undefined
      found[columnOf[name]] ??= wrong
    })
    dispose()
    return found
  })
}

/** The cells of one row: for each direction the result and the gradients. */
function cells({ pattern, directions, gradients, rows }, name, columns) {
  return all.flatMap((direction) => {
    const operation = named(pattern, direction)
    const promised = directions.includes(direction)
    const what = `${pattern.replace('#', direction)}, ${name}${pattern.includes('#') ? '' : `, ${direction}-D`}`
    if (typeof operation !== 'function') {
      if (!promised) return columns.map(() => '–')
      holes.push(`${what}: there is no such function`)
      return columns.map(() => '**MISSING**')
    }
    let found
    try {
      found = probe(operation, direction, rows[name])
    } catch (error) {
      holes.push(`${what}: ${error.message}`)
      return columns.map(() => '**MISSING**')
    }
    const wanted = new Set(['fwd', ...gradients.map((input) => columnOf[input])])
    return columns.map((column) => {
      if (!wanted.has(column)) return '–'
      if (column in found && found[column] === undefined) return '✓'
      holes.push(`${what}, ${column}: ${found[column] ?? 'there is no such gradient'}`)
      return '**MISSING**'
    })
  })
}

function table(tableFamilies, columns) {
  const header = ['', '', ...all.flatMap((direction) => columns.map((column) => `${direction}-D ${column}`))]
  const lines = tableFamilies.flatMap((family) =>
    Object.keys(family.rows).map((name, i) => [
      i === 0 ? `\`${family.pattern.replace('#', 'N')}\`` : '',
      name,
      ...cells(family, name, columns),
    ]),
  )
  const alignment = header.map((_, i) => (i < 2 ? '---' : ':-:'))
  return [header, alignment, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n')
}

async function write() {
  const text = `<!-- Written by docs/variants.mjs. Do not edit. -->

# Variants

Every variant of convolution and pooling, in one, two and three directions, as \`node docs/variants.mjs\` finds it by
calling it. N stands for the number of directions.

- **fwd** ✓: the result has the right shape; that of a convolution without activation equals the product with
  its matrix (\`convMatrix\`), that of g and h the gradient by the tape.
- **dx**, **dw**, **db** ✓: the gradient with respect to the input, the weights and the bias comes out of \`vjp\`, is not
  zero, and agrees with finite differences. **ddy**: the same for the gradient that g and h take.
- – : not a part of the API: there is no such function, or it takes no such argument.

## Convolution

Every call has a bias.

${table(families, ['fwd', 'dx', 'dw', 'db'])}

## The gradients g and h as operations

g (9.11) takes x and dy, h (9.13) takes w and dy.

${table(trainingFamilies, ['fwd', 'dx', 'dw', 'ddy'])}

## Pooling

Pooling has no weights and no bias.

${table(poolingFamilies, ['fwd', 'dx', 'dw', 'db'])}
`
  return format(text, { ...(await resolveConfig(page)), filepath: page })
}

const [option, ...rest] = process.argv.slice(2)
if (rest.length > 0 || (option !== undefined && option !== '--check')) {
  console.error('usage: node docs/variants.mjs [--check]')
  process.exit(2)
}
const text = await write()
if (option === '--check') {
  if ((await readFile(page, 'utf8').catch(() => '')) !== text) {
    console.error('docs/variants.md is not what docs/variants.mjs writes now; run node docs/variants.mjs')
    process.exitCode = 1
  }
} else {
  await writeFile(page, text)
}
for (const hole of holes) console.error(`missing: ${hole}`)
if (holes.length > 0) process.exitCode = 1
