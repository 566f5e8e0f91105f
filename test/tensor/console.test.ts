/** Tensors in a console. */
import { inspect } from 'node:util'
import { build } from 'esbuild'
import { beforeAll, expect, it, vi } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

it('show shape, type and values, of many the first and the last', () => {
  scope(() => {
    expect(
      inspect(
        tensor([
          [1, 2.5],
          [-0.125, 4],
        ]),
      ),
    ).toBe('Tensor (2, 2) float32 [1, 2.5, -0.125, 4]')
    const long = tensor(Array.from({ length: 1000 }, (_, i) => i))
    expect(inspect(long)).toBe('Tensor (1000) float32 [0, 1, 2, 3, 4, …, 997, 998, 999]')
    expect(inspect({ x: [tensor(7)] })).toBe('{ x: [ Tensor () float32 [7] ] }')
    const deno = Symbol.for('Deno.customInspect') as unknown as keyof Tensor
    expect((long[deno] as unknown as () => string)()).toBe(inspect(long))
  })
  const gone = scope(() => {
    const x = normal([3])
    return x
  })
  gone.dispose()
  expect(inspect(gone)).toBe('Tensor (3) (disposed)')
  expect(inspect(Tensor.prototype)).toBe('Object [Tensor] {}')
})

it('are called Tensor in a minified bundle too', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents:
        "import { initSync } from './src/runtime/embedded.js'; import { tensor } from './src/tensor/create.js'; export { initSync, tensor }",
      resolveDir: process.cwd(),
    },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    write: false,
  })
  const url = `data:text/javascript;base64,${Buffer.from(outputFiles[0]!.contents).toString('base64')}`
  const library = (await import(url)) as { initSync(): void; tensor(values: readonly number[]): object }
  library.initSync()
  const x = library.tensor([1, 2])
  expect(Object.prototype.toString.call(x)).toBe('[object Tensor]')
  expect(inspect(x)).toBe('Tensor (2) float32 [1, 2]')
})

it('give a browser’s console a formatter, beside those that a page has', async () => {
  type Formatter = { header(value: unknown): unknown; hasBody(value: unknown): boolean }
  const own = { header: () => null, hasBody: () => false }
  vi.stubGlobal('document', {})
  vi.stubGlobal('devtoolsFormatters', [own])
  vi.resetModules()
  try {
    const { init: start } = await import('../../src/runtime/embedded.js')
    const { tensor: make } = await import('../../src/tensor/create.js')
    await start()
    const formatters = (globalThis as unknown as { devtoolsFormatters: Formatter[] }).devtoolsFormatters
    expect(formatters).toHaveLength(2)
    expect(formatters[0]).toBe(own)
    const [, { header, hasBody }] = formatters as [Formatter, Formatter]
    const x = make([1, 2.5])
    expect(header(x)).toEqual(['span', {}, 'Tensor (2) float32 [1, 2.5]'])
    expect(hasBody(x)).toBe(false)
    for (const other of [null, undefined, 7, {}, [x], new Float32Array(2)]) expect(header(other)).toBeNull()
    x.dispose()
    expect(header(x)).toEqual(['span', {}, 'Tensor (2) (disposed)'])
  } finally {
    vi.unstubAllGlobals()
    vi.resetModules()
  }
  expect('devtoolsFormatters' in globalThis).toBe(false)
})
