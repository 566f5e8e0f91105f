import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, vi } from 'vitest'

/** A fresh copy of the library, whose core is not loaded. */
async function fresh(): Promise<typeof import('../../src/index.js')> {
  vi.resetModules()
  return import('../../src/index.js')
}

let library: Awaited<ReturnType<typeof fresh>>
beforeEach(async () => {
  library = await fresh()
})

const strict = readFileSync('build/strict.wasm')

describe('init', () => {
  it('is needed before anything else, and the error says so', () => {
    expect(() => library.runtimeInfo()).toThrow(library.NotInitializedError)
    expect(() => library.tensor([1, 2])).toThrow(
      /tensor: the WebAssembly core is not loaded; call `await init\(\)` once before it/,
    )
  })

  it('can be called again, and tells what it loaded', async () => {
    await Promise.all([library.init(), library.init()])
    await library.init()
    const info = library.runtimeInfo()
    expect(info).toMatchObject({ simd: 'strict', threads: 1 })
    expect(info.kernels).toContain('conv_gemm_fwd')
  })

  it('can be repeated after it failed', async () => {
    await expect(library.init({ module: new Uint8Array([1, 2, 3]) })).rejects.toThrow(library.FormatError)
    await library.init()
    expect(library.tensor([1]).item()).toBe(1)
  })

  it('takes bytes, a module or a response', async () => {
    for (const module of [
      new Uint8Array(strict),
      new WebAssembly.Module(strict),
      new Response(strict, { headers: { 'Content-Type': 'application/wasm' } }),
      Promise.resolve(new Response(strict)),
    ]) {
      const { init, tensor } = await fresh()
      await init({ module })
      expect(tensor([2]).item()).toBe(2)
    }
  })

  it('has a synchronous form', () => {
    library.initSync({ module: new WebAssembly.Module(strict) })
    expect(library.tensor([3]).item()).toBe(3)
  })

  it.each<[string, object, RegExp]>([
    ['an HTML page', { module: new TextEncoder().encode('<!DOCTYPE html>') }, /begins with "<" like an HTML page/],
    ['a page that was not found', { module: new Response('no', { status: 404 }) }, /answered 404, not 200/],
    ['another module', { module: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) }, /not a toeplitz core/],
    ['a number', { module: 7 }, /module must be a WebAssembly.Module, its bytes, or a Response/],
    ['an unknown variant', { simd: 'fast' }, /simd must be 'strict', 'relaxed' or 'auto', not "fast"/],
    ['no threads', { threads: 0 }, /threads must be a whole number from 1 on, not 0/],
  ])('refuses %s', async (_, options, message) => {
    await expect(library.init(options)).rejects.toThrow(message)
    await expect(library.init(options)).rejects.toBeInstanceOf(library.ToeplitzError)
  })

  it('says why threads are off', async () => {
    await library.init({ threads: 4 })
    expect(library.runtimeInfo()).toMatchObject({
      threads: 1,
      threadsOffBecause: expect.stringContaining('one thread') as string,
    })
  })

  it('loads the relaxed core where the runtime has it, and else says so', async () => {
    await library.init({ simd: 'auto' })
    const { simd } = library.runtimeInfo()
    const { init } = await fresh()
    if (simd === 'strict') await expect(init({ simd: 'relaxed' })).rejects.toThrow(/no relaxed SIMD/)
    else await expect(init({ simd: 'relaxed' })).resolves.toBeUndefined()
  })
})
