/** Models of very many layers: everything that is done with them takes time and stack that do not grow beyond their number. */
import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { decodeModel, encodeModel } from '../../src/io/model-file.js'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import { Add, Graph, Linear, modelFromJSON, ReLU, Sequential, type NodeOptions } from '../../src/nn/index.js'
import { sum } from '../../src/ops/reduce.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** Layers that are built and described, which took 104 s when it took the square of their number; and that are run too. */
const MANY = 100_000
const N = 20_000
/** For a machine that does other things as well: without them it is seconds. */
const TIMEOUT = 120_000

const node = (name: string, inputs: string | readonly string[], layer = new ReLU()): NodeOptions => ({
  ...{ name, inputs, layer },
})

/** Graphs of so many nodes, each wired in a way of its own; all of them give relu of the input, or N times that. */
const graphs: [string, (N: number) => Graph][] = [
  [
    'a chain',
    (N) =>
      new Sequential(
        Array.from({ length: N }, () => new ReLU()),
        { input: [2] },
      ),
  ],
  [
    'one layer again and again',
    (N) => {
      const layer = new ReLU()
      return new Sequential(
        Array.from({ length: N }, () => layer),
        { input: [2] },
      )
    },
  ],
  [
    'a chain, declared from its end',
    (N) => {
      const nodes = Array.from({ length: N }, (_, i) => node(`n${i}`, i === N - 1 ? 'input' : `n${i + 1}`))
      return new Graph(nodes, { inputs: { input: [2] }, outputs: ['n0'] })
    },
  ],
  [
    'a chain, declared in a mixed order',
    (N) => {
      // 61 and N have no common factor.
      const nodes = Array.from({ length: N }, (_, k) => (k * 61) % N).map((i) =>
        node(`n${i}`, i === 0 ? 'input' : `n${i - 1}`),
      )
      return new Graph(nodes, { inputs: { input: [2] }, outputs: [`n${N - 1}`] })
    },
  ],
  [
    'N branches and their sum',
    (N) => {
      const nodes = Array.from({ length: N }, (_, i) => node(`n${i}`, 'input'))
      const all = nodes.map(({ name }) => name)
      return new Graph([...nodes, { name: 'sum', layer: new Add(), inputs: all }], { inputs: { input: [2] } })
    },
  ],
]

describe.each(graphs)('%s', (name, make) => {
  it(
    'of 100,000 is built, sorted and described',
    () => {
      const model = make(MANY)
      expect(model.nodes).toHaveLength(name.startsWith('N') ? MANY + 1 : MANY)
      // Each node comes after what it reads.
      const seen = new Set(['input'])
      expect(model.nodes.every((each) => each.inputs.every((input) => seen.has(input)) && seen.add(each.name))).toBe(
        true,
      )
      expect(JSON.stringify(model.toJSON()).length).toBeGreaterThan(MANY)
    },
    TIMEOUT,
  )

  it(
    'is read, saved, loaded, summarized and run',
    () => {
      const model = make(N)
      const json = JSON.stringify(model.toJSON())
      const again = modelFromJSON(JSON.parse(json), 'model')
      expect(JSON.stringify(again.toJSON())).toBe(json)
      expect(again.nodes.map((each) => each.name)).toEqual(model.nodes.map((each) => each.name))
      again.load(model.save())
      again.dispose()
      expect(model.namedParameters().size).toBe(0)
      expect(model.summary().toString().split('\n').length).toBeGreaterThan(N)
      expect(model.explain().layers).toHaveLength(0)
      scope(() => {
        const factor = name.startsWith('N') ? N : 1
        expect([...model.forward(tensor([[3, -1]])).data()]).toEqual([3 * factor, 0])
      })
      model.dispose()
      expect(memoryUsage().liveBytes).toBe(0)
    },
    TIMEOUT,
  )
})

describe('the description of a model', () => {
  const relu = { type: 'ReLU' }
  const chain = (layers: unknown[]) => ({ type: 'Sequential', input: [2], layers })
  const graph = (nodes: unknown[], inputs: object = { x: [2] }) => ({ type: 'Graph', inputs, nodes, outputs: ['n'] })

  it(
    'of 100,000 layers is read in a file',
    () => {
      const description = {
        ...{ format: 'toeplitz-model', version: 1, name: 'long', normalization: { mean: 0, std: 1 } },
        ...{ classes: ['a', 'b'], architecture: chain(new Array(MANY).fill(relu)) },
      }
      const bytes = encodeSafetensors({}, { 'toeplitz-model': JSON.stringify(description) })
      const before = process.cpuUsage()
      const { model } = decodeModel(bytes, 'long')
      const { user } = process.cpuUsage(before)
      expect(model.nodes).toHaveLength(MANY)
      // 1 s; an order of magnitude is for the machine.
      expect(user / 1e6).toBeLessThan(10)
    },
    TIMEOUT,
  )

  it.each<[string, () => object, RegExp]>([
    [
      'more layers than are read',
      () => chain(new Array(2 ** 17 + 1).fill(relu)),
      /there are 131073 layers; at most 131072 are read/,
    ],
    [
      'more nodes than are read',
      () => graph(new Array(2 ** 17 + 1).fill({ name: 'n', inputs: ['x'], layer: relu })),
      /there are 131073 nodes; at most 131072 are read/,
    ],
    [
      'a node of more inputs than are read',
      () => graph([{ name: 'n', inputs: new Array(100_001).fill('x'), layer: { type: 'Add' } }]),
      /node 'n' has 100001 inputs; at most 100000 are read/,
    ],
    [
      'more inputs than are read',
      () =>
        graph(
          [{ name: 'n', inputs: ['x0'], layer: relu }],
          Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`x${i}`, [2]])),
        ),
      /model has 100001 inputs; at most 100000 are read/,
    ],
    [
      'an input of more axes than there are',
      () => ({ ...chain([relu]), input: new Array(65).fill(1) }),
      /a shape of 65 extents; a tensor has at most 64 axes/,
    ],
  ])('with %s is refused', (_, make, message) => {
    expect(() => modelFromJSON(make())).toThrow(FormatError)
    expect(() => modelFromJSON(make())).toThrow(message)
  })
})

describe('a model of 20,000 layers', () => {
  it(
    'with weights goes into a file and back',
    () => {
      const layers = Array.from({ length: N - 1 }, () => new Linear({ outFeatures: 1, weightInit: 'zeros' }))
      const model = new Sequential([...layers, new Linear({ outFeatures: 2 })], { input: [1] })
      const facts = { name: 'deep', normalization: { mean: 0, std: 1 }, classes: ['a', 'b'] }
      const bytes = encodeModel(model, facts)
      const { file, model: read } = decodeModel(bytes, 'deep')
      expect(file.classes).toEqual(['a', 'b'])
      expect(read.namedParameters().size).toBe(2 * N)
      expect(Buffer.compare(read.save(), model.save())).toBe(0)
      model.dispose()
      read.dispose()
      expect(memoryUsage().liveBytes).toBe(0)
    },
    TIMEOUT,
  )

  it(
    'has a gradient',
    () => {
      const model = new Sequential(
        Array.from({ length: N }, () => new ReLU()),
        { input: [2] },
      )
      scope(() => {
        const { gradients } = valueAndGrad((x) => sum(model.forward(x)))(tensor([[3, -1]]))
        expect([...gradients[0]!.data()]).toEqual([1, 0])
      })
      model.dispose()
    },
    TIMEOUT,
  )

  it(
    'is refused in one line of ordinary length',
    () => {
      const nodes = Array.from({ length: N }, (_, i) => node(`n${i}`, i === 0 ? 'input' : `n${i - 1}`))
      const message = (...[given, options]: ConstructorParameters<typeof Graph>): string => {
        try {
          new Graph(given, options)
        } catch (error) {
          expect(error).toBeInstanceOf(ShapeError)
          expect((error as Error).message.length).toBeLessThan(1000)
          return (error as Error).message
        }
        throw new Error('no error was thrown')
      }
      const cycle = [node('n0', `n${N - 1}`), ...nodes.slice(1), node('end', 'input')]
      expect(message(cycle, { outputs: ['end', 'n0'] })).toMatch(/n\d+ -> n\d+ -> .* … \(19981 more\) form a cycle/)
      expect(message([...nodes, node('end', 'nowhere')])).toMatch(
        /'end' reads 'nowhere', which does not exist; there are 'input', 'n0', .*, … \(19982 more\)/,
      )
      expect(message(nodes, { outputs: ['nowhere'] })).toMatch(
        /no node 'nowhere' to be an output; nodes are 'n0', .* more\)/,
      )
      expect(message([...nodes, node('end', 'input')])).toMatch(/node 'n0', relu, leads to no output/)
      const model = new Graph(nodes)
      expect(() => model.run(tensor([[1]]), ['nowhere'])).toThrow(
        /^run: there is no node 'nowhere'; nodes are .{0,500} more\)$/,
      )
      model.dispose()
    },
    TIMEOUT,
  )
})
