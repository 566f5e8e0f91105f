/** Models that ask for far more than they are: told by an error of the library, at once, and nothing stays in memory. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import { ones } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { constant, graph, node, onnx, value } from '../../helpers/onnx.js'

beforeAll(() => init())

const far = 2n ** 60n
type Constants = ReturnType<typeof constant>[]
const whole = (name: string, ...values: bigint[]): Constants[number] => constant(name, [values.length], values)
const one = (name: string, given: bigint): Constants[number] => constant(name, [], [given])
const floats = (name: string, ...values: number[]): Constants[number] => constant(name, [values.length], values)

const cases: Readonly<
  Record<string, readonly [nodes: ReturnType<typeof node>[], constants: Constants, opset?: number]>
> = {
  'Range of 2^60': [[node('Range', ['a', 'b', 'c'], ['y'])], [one('a', 0n), one('b', far), one('c', 1n)]],
  'Range of a step next to 0': [
    [node('Range', ['a', 'b', 'c'], ['y'])],
    [constant('a', [], [0]), constant('b', [], [1]), constant('c', [], [1e-30])],
  ],
  'ConstantOfShape whose product wraps': [[node('ConstantOfShape', ['s'], ['y'])], [whole('s', 2n ** 32n, 2n ** 32n)]],
  'ConstantOfShape of 2^40': [[node('ConstantOfShape', ['s'], ['y'])], [whole('s', 2n ** 40n)]],
  'ConstantOfShape below 0': [[node('ConstantOfShape', ['s'], ['y'])], [whole('s', -1n)]],
  'Expand to 2^40': [[node('Expand', ['x', 's'], ['y'])], [whole('s', 2n ** 40n, 1n, 1n)]],
  'Tile 2^40 times': [[node('Tile', ['x', 's'], ['y'])], [whole('s', 2n ** 40n, 1n)]],
  'Tile below 0': [[node('Tile', ['x', 's'], ['y'])], [whole('s', -1n, 1n)]],
  'Pad by 2^40': [[node('Pad', ['x', 's'], ['y'])], [whole('s', 0n, 0n, 0n, 2n ** 40n)]],
  'Pad that cuts all': [[node('Pad', ['x', 's'], ['y'])], [whole('s', -far, 0n, 0n, 0n)]],
  'Reshape to 2^60': [[node('Reshape', ['x', 's'], ['y'])], [whole('s', far, -1n)]],
  'Split into 2^40': [[node('Split', ['x'], ['y'], { num_outputs: 2n ** 40n })], [], 18],
  'OneHot of 2^40': [
    [node('OneHot', ['i', 'd', 'v'], ['y'])],
    [whole('i', 1n), one('d', 2n ** 40n), floats('v', 0, 1)],
  ],
  'TopK of 2^40': [[node('TopK', ['x', 'k'], ['y', ''])], [whole('k', 2n ** 40n)]],
  'Resize to 2^31': [
    [node('Resize', ['x', '', '', 's'], ['y'], { mode: 'linear' })],
    [whole('s', 2n ** 31n, 2n ** 31n)],
  ],
  'Resize by 1e30': [[node('Resize', ['x', '', 's'], ['y'], { mode: 'nearest' })], [floats('s', 1e30, 1e30)]],
  'Resize by NaN': [[node('Resize', ['x', '', 's'], ['y'])], [floats('s', NaN, 1)]],
  'Upsample by 1e30': [[node('Upsample', ['x', 's'], ['y'])], [floats('s', 1e30, 1)], 9],
  'Gather beyond': [[node('Gather', ['x', 'i'], ['y'])], [whole('i', far)]],
  'GatherND beyond': [[node('GatherND', ['x', 'i'], ['y'])], [whole('i', far)]],
  'ScatterND beyond': [[node('ScatterND', ['x', 'i', 'x'], ['y'])], [whole('i', far)]],
  'Concat whose extents do not fit': [[node('Concat', ['x', 'i'], ['y'], { axis: 5n })], [floats('i', 1)]],
  'Transpose of axes that are not there': [[node('Transpose', ['x'], ['y'], { perm: [0n, far] })], []],
  'Unsqueeze at 2^60': [[node('Unsqueeze', ['x', 's'], ['y'])], [whole('s', far)]],
  'Flatten at 2^60': [[node('Flatten', ['x'], ['y'], { axis: far })], []],
  'DepthToSpace of 0': [
    [node('DepthToSpace', ['m'], ['y'], { blocksize: 0n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'DepthToSpace of 2^40': [
    [node('DepthToSpace', ['m'], ['y'], { blocksize: 2n ** 40n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'SpaceToDepth of 3 in 2': [
    [node('SpaceToDepth', ['m'], ['y'], { blocksize: 3n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'Conv of groups 0': [[node('Conv', ['m', 'm'], ['y'], { group: 0n })], [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])]],
  'Conv of pads 2^60': [
    [node('Conv', ['m', 'm'], ['y'], { pads: [far, far, far, far] })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'Conv of strides 0': [
    [node('Conv', ['m', 'm'], ['y'], { strides: [0n, 0n] })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'ConvTranspose to 2^40': [
    [node('ConvTranspose', ['m', 'm'], ['y'], { output_shape: [2n ** 40n, 2n ** 40n] })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'MaxPool of kernel 0': [
    [node('MaxPool', ['m'], ['y'], { kernel_shape: [0n, 0n] })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'MaxPool of pads 2^60': [
    [node('MaxPool', ['m'], ['y'], { kernel_shape: [2n, 2n], pads: [far, far, far, far] })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])],
  ],
  'AveragePool without a kernel': [[node('AveragePool', ['m'], ['y'])], [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])]],
  'LRN of 2^60': [[node('LRN', ['m'], ['y'], { size: far })], [constant('m', [1, 1, 2, 2], [1, 2, 3, 4])]],
  'LSTM of 2^40': [[node('LSTM', ['m', 'm', 'm'], ['y'], { hidden_size: 2n ** 40n })], [constant('m', [1, 1, 1], [1])]],
  'GRU of 0': [[node('GRU', ['m', 'm', 'm'], ['y'], { hidden_size: 0n })], [constant('m', [1, 1, 1], [1])]],
  'RoiAlign to 2^40': [
    [node('RoiAlign', ['m', 'r', 'i'], ['y'], { output_height: 2n ** 40n, output_width: 2n ** 40n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4]), constant('r', [1, 4], [0, 0, 1, 1]), whole('i', 0n)],
  ],
  'RoiAlign of 2^40 samples': [
    [node('RoiAlign', ['m', 'r', 'i'], ['y'], { sampling_ratio: 2n ** 40n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4]), constant('r', [1, 4], [0, 0, 1, 1]), whole('i', 0n)],
  ],
  'RoiAlign of infinite regions': [
    [node('RoiAlign', ['m', 'r', 'i'], ['y'])],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4]), constant('r', [1, 4], [0, 0, 1e30, 1e30]), whole('i', 0n)],
  ],
  'MaxUnpool to 2^40': [
    [node('MaxUnpool', ['m', 'i', 's'], ['y'], { kernel_shape: [2n, 2n] })],
    [constant('m', [1, 1, 1, 1], [1]), constant('i', [1, 1, 1, 1], [0n]), whole('s', 1n, 1n, 2n ** 40n, 2n ** 40n)],
  ],
  'NonMaxSuppression of texts': [[node('NonMaxSuppression', ['x', 'x'], ['y'])], []],
  'Loop whose condition never fails': [
    [
      node('Loop', ['', '', 'x'], ['y'], {
        body: graph({
          inputs: [value('i', [], 'int64'), value('on', [], 'bool'), value('before')],
          outputs: [value('go', [], 'bool'), value('after')],
          nodes: [node('Identity', ['on'], ['go']), node('Identity', ['before'], ['after'])],
        }),
      }),
    ],
    [],
  ],
  'EyeLike of a map': [[node('EyeLike', ['m'], ['y'])], [constant('m', [1, 1, 1], [1])]],
  'Einsum of other letters': [[node('Einsum', ['x'], ['y'], { equation: 'abc->a' })], []],
  'ReverseSequence of 2^60': [[node('ReverseSequence', ['x', 'i'], ['y'])], [whole('i', far, far)]],
  'Cast to nothing': [[node('Cast', ['x'], ['y'], { to: far })], []],
  'CumSum along 2^60': [[node('CumSum', ['x', 'i'], ['y'])], [one('i', far)]],
  'Slice by steps of 0': [
    [node('Slice', ['x', 'a', 'b', 'c', 'd'], ['y'])],
    [whole('a', 0n), whole('b', 1n), whole('c', 0n), whole('d', 0n)],
  ],
  'GroupNormalization of 0': [
    [node('GroupNormalization', ['m', 'g', 'g'], ['y'], { num_groups: 0n })],
    [constant('m', [1, 1, 2, 2], [1, 2, 3, 4]), floats('g', 1)],
    21,
  ],
  'MatMul of a number': [[node('MatMul', ['x', 'n'], ['y'])], [constant('n', [], [1])]],
}

describe('a model that asks for too much', () => {
  it.each(Object.entries(cases))('%s', (_, [nodes, initializers, opset]) => {
    const bytes = onnx({ inputs: [value('x')], outputs: [value('y')], initializers, nodes }, opset ?? 17)
    const before = memoryUsage().liveBytes
    const start = performance.now()
    let error: unknown
    try {
      const program = loadOnnx(bytes)
      try {
        scope(() => {
          program.run(ones([2, 2]))
        })
      } finally {
        program.dispose()
      }
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ToeplitzError)
    expect((error as ToeplitzError).code).not.toBe('CORE')
    expect((error as Error).message.length).toBeLessThan(500)
    expect(memoryUsage().liveBytes).toBe(before)
    expect(performance.now() - start).toBeLessThan(60_000)
  })
})
