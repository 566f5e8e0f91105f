/** A second module of kernels on the memory of the core: loaded when it is needed, called like the core's own. */
import asc from 'assemblyscript/asc'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { defineOp } from '../../src/autodiff/op.js'
import { addKernels, callKernel, forceChunks, memoryUsage, runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { relu } from '../../src/ops/index.js'
import type { Shape } from '../../src/tensor/shape.js'

/** y = x · x for begin ≤ i < end. */
const squares = `
export function beside_square_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    const value = load<f32>(x + ((<usize>i) << 2))
    store<f32>(y + ((<usize>i) << 2), value * value)
  }
}`

/** The module of a source, for the memory that the core has. */
async function compiled(source: string, shared: boolean): Promise<Uint8Array<ArrayBuffer>> {
  let binary: Uint8Array | undefined
  const { error } = await asc.main(
    [
      ...['index.ts', '--outFile', 'out.wasm', '--runtime', 'stub', '--importMemory', '--use', 'abort='],
      ...['--stackSize', '0', '-O2', '--bindings', 'raw', '--initialMemory', '1', '--noAssert'],
      ...(shared ? ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536'] : []),
    ],
    {
      readFile: (name) => (name === 'index.ts' ? source : null),
      writeFile: (name, contents) => {
        if (name === 'out.wasm') binary = contents as unknown as Uint8Array
      },
      listFiles: () => [],
    },
  )
  if (error || !binary) throw error ?? new Error('no module was made')
  return new Uint8Array(binary)
}

const modules = new Map<string, Uint8Array<ArrayBuffer>>()
const moduleOf = (source: string): Uint8Array<ArrayBuffer> => modules.get(source) as Uint8Array<ArrayBuffer>
/** An origin for a core that has shared memory. */
const originOf = (source: string, asked: string[] = []) => ({
  strict: (): never => {
    throw new Error('the core has shared memory')
  },
  relaxed: (): never => {
    throw new Error('the core is strict')
  },
  threads: (simd: string) => {
    asked.push(simd)
    return moduleOf(source)
  },
})

/** As many as reach beyond the core's own data and records, into tensors. */
const withData = `const table = memory.data<i32>([${Array.from({ length: 5000 }, (_, i) => i + 1).join()}])\nexport function beside_data(i: i32): i32 { return load<i32>(table + (i << 2)) }`
const withImport = `@external('env', 'hook') declare function hook(): void\nexport function beside_hook(): void { hook() }`
const taken = `export function relu_fwd(y: usize, x: usize, begin: i32, end: i32): void {}`

/** A tensor at the beginning of memory. */
let kept: Tensor

beforeAll(async () => {
  for (const source of [squares, withData, withImport, taken]) modules.set(source, await compiled(source, true))
  await init({ threads: 3 })
  kept = normal([20_000], { seed: 9 })
}, 60_000)
afterEach(() => {
  forceChunks(undefined)
})
afterAll(() => init({ threads: 1 }))

const square = defineOp('square', {
  infer: ({ x }: { x: Tensor }) => x.shape,
  output: (shape: Shape) => shape,
  prepare: (list, shape) => {
    const size = shape.reduce((product, extent) => product * extent, 1)
    // The name is no kernel of the core.
    ;(list as unknown as { call(...args: unknown[]): void }).call(
      'beside_square_fwd',
      size,
      1,
      list.out,
      list.operand('x'),
    )
  },
})

describe('kernels beside the core', () => {
  it('are asked for by name before they are there', () => {
    const x = normal([4])
    const { liveBytes } = memoryUsage()
    expect(() => square({ x }, undefined)).toThrow(
      new UnsupportedError('beside_square_fwd: this kernel is in a module that must be loaded first'),
    )
    expect(memoryUsage().liveBytes).toBe(liveBytes)
    x.dispose()
  })

  for (const [what, source, message] of [
    ['has data of its own', withData, /^kernels: the module has data of its own, which would lie over/],
    ['imports more than memory', withImport, /^kernels: a module of kernels imports env.memory alone, not .*env\.hook/],
    ['has a kernel of the core', taken, /^kernels: the core has a kernel relu_fwd already; each name is one kernel$/],
  ] as const) {
    it(`are refused where the module ${what}, and the core goes on`, async () => {
      const x = tensor([-1, 2])
      const before = kept.data()
      await expect(addKernels('kernels', originOf(source))).rejects.toThrow(message)
      expect(kept.data()).toEqual(before)
      expect([...relu(x).data()]).toEqual([0, 2])
      expect(runtimeInfo().kernels).not.toContain('beside_data')
      x.dispose()
    })
  }

  it('are refused where their memory is not that of the core, or there is no module', async () => {
    const single = await compiled(squares, false)
    const origin = (bytes: unknown) => ({ ...originOf(squares), threads: () => bytes as Uint8Array<ArrayBuffer> })
    await expect(addKernels('kernels', origin(single))).rejects.toThrow(/^kernels: the module does not fit the core/)
    await expect(addKernels('kernels', origin(Uint8Array.of(60, 33)))).rejects.toThrow(/not a WebAssembly module/)
  }, 60_000)

  it('compute on all threads, with the same bits however the items are divided, and leave tensors as they were', async () => {
    const x = normal([10_007], { seed: 1 })
    const before = x.data()
    const asked: string[] = []
    await Promise.all([
      addKernels('kernels', originOf(squares, asked)),
      addKernels('kernels', originOf(squares, asked)),
    ])
    await addKernels('kernels', originOf(squares, asked))
    expect(asked).toEqual(['strict'])
    expect(runtimeInfo().threads).toBe(3)
    expect(runtimeInfo().kernels).toEqual(expect.arrayContaining(['beside_square_fwd', 'relu_fwd']))
    expect(x.data()).toEqual(before)
    for (const chunk of [undefined, 1, 64, 5000]) {
      forceChunks(chunk)
      scope(() => {
        expect(square({ x }, undefined).data()).toEqual(before.map((value) => Math.fround(value * value)))
        expect(relu(x).data()).toEqual(before.map((value) => Math.max(0, value)))
      })
    }
    x.dispose()
  })

  it('are there for threads that are started later', async () => {
    await init({ threads: 1 })
    await init({ threads: 2 })
    forceChunks(3)
    scope(() => {
      const x = normal([1000], { seed: 2 })
      expect(square({ x }, undefined).data()).toEqual(x.data().map((value) => Math.fround(value * value)))
    })
    expect(() => callKernel('nothing_fwd', undefined, 0, [], [])).toThrow(/must be loaded first/)
  })
})
