import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runInNewContext } from 'node:vm'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { supportsRelaxedSimd } from '../../src/runtime/load.js'

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

  it('takes a promise of a module, and a module of another realm', async () => {
    const foreign: unknown = runInNewContext('new WebAssembly.Module(bytes)', { bytes: new Uint8Array(strict) })
    expect(foreign instanceof WebAssembly.Module).toBe(false)
    for (const module of [WebAssembly.compile(strict), foreign as WebAssembly.Module]) {
      const { init, tensor } = await fresh()
      await init({ module })
      expect(tensor([2]).item()).toBe(2)
    }
    const { initSync, tensor } = await fresh()
    initSync({ module: foreign as WebAssembly.Module })
    expect(tensor([2]).item()).toBe(2)
  })

  it('knows the relaxed core from the strict one', async () => {
    if (!supportsRelaxedSimd()) return
    const relaxed = readFileSync('build/relaxed.wasm')
    await expect(library.init({ module: relaxed })).rejects.toThrow(
      "module is the relaxed core; give the strict one, or say simd: 'relaxed', which is not reproducible",
    )
    await expect(library.init({ module: strict, simd: 'relaxed' })).rejects.toThrow(/give the relaxed one/)
    await library.init({ module: relaxed, simd: 'auto' })
    expect(library.runtimeInfo().simd).toBe('relaxed')
  })

  it('names the address that answers with a page, and can be called again', async () => {
    const server = createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html')
      response.end('<!DOCTYPE html><title>Not here</title>')
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/core.wasm`
    try {
      await expect(library.init({ module: fetch(address) })).rejects.toThrow(
        `init: ${address} is not a WebAssembly module: it begins with "<" like an HTML page`,
      )
    } finally {
      server.close()
    }
    await library.init()
    expect(library.tensor([1]).item()).toBe(1)
  })

  it('refuses a response that was read before', async () => {
    const module = new Response(strict)
    await module.arrayBuffer()
    await expect(library.init({ module })).rejects.toThrow('the response has been read already; fetch it again')
  })

  it('says what is missing without SIMD, and which versions have it', async () => {
    const validate = vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    try {
      await expect(library.init()).rejects.toThrow(/no WebAssembly SIMD; .*Chrome and Edge 91, Firefox 89, Safari 16.4/)
      expect(() => library.initSync()).toThrow(library.UnsupportedError)
    } finally {
      validate.mockRestore()
    }
    await library.init()
  })

  // V8 has no SIMD on x64 processors without SSE 4.1.
  it.runIf(process.arch === 'x64')('says so in an engine that has none, and the process goes on', () => {
    const program = `import { init } from 'toeplitz'
      await init().catch(({ code, message }) => console.log(code, message))
      console.log('goes on')`
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--no-enable-sse4-1', '--input-type=module', '--eval', program],
      { encoding: 'utf8' },
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(
      /^UNSUPPORTED init: this runtime has no WebAssembly SIMD; it came with Chrome .*\ngoes on\n$/,
    )
  })

  it('has a synchronous form', () => {
    library.initSync({ module: new WebAssembly.Module(strict) })
    expect(library.tensor([3]).item()).toBe(3)
  })

  it.each<[string, object, RegExp]>([
    ['an HTML page', { module: new TextEncoder().encode('<!DOCTYPE html>') }, /begins with "<" like an HTML page/],
    ['a page that was not found', { module: new Response('no', { status: 404 }) }, /answered 404, not 200/],
    ['another module', { module: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) }, /not a toeplitz core/],
    ['a number', { module: 7 }, /module must be a WebAssembly.Module, its bytes, or a Response.*given number/],
    ['an address', { module: '/core.wasm' }, /as from fetch\(address\); given the text "\/core.wasm"/],
    ['nothing', { module: null }, /given null/],
    ['an empty file', { module: new Uint8Array(0) }, /does not begin with \\0asm/],
    ['an unknown variant', { simd: 'fast' }, /simd must be 'strict', 'relaxed' or 'auto', not "fast"/],
    ['no threads', { threads: 0 }, /threads must be a whole number from 1 to 64, not 0/],
  ])('refuses %s', async (_, options, message) => {
    await expect(library.init(options)).rejects.toThrow(message)
    await expect(library.init(options)).rejects.toBeInstanceOf(library.ToeplitzError)
  })

  it('loads the relaxed core where the runtime has it, and else says so', async () => {
    await library.init({ simd: 'auto' })
    const { simd } = library.runtimeInfo()
    const { init } = await fresh()
    if (simd === 'strict') await expect(init({ simd: 'relaxed' })).rejects.toThrow(/no relaxed SIMD/)
    else await expect(init({ simd: 'relaxed' })).resolves.toBeUndefined()
  })
})

describe('toeplitz/slim', () => {
  it('asks for a module, and works with one', async () => {
    vi.resetModules()
    const slim = await import('../../src/slim.js')
    await expect(slim.init()).rejects.toThrow(/no module inside; give one, as in init\(\{ module: fetch/)
    await expect(slim.init({ simd: 'auto' })).rejects.toThrow(slim.UnsupportedError)
    expect(() => slim.initSync()).toThrow(/no module inside/)
    await slim.init({ module: new Response(strict) })
    expect(slim.tensor([4]).item()).toBe(4)
  })
})
