/** Compiles and instantiates the core: the only file that knows @assemblyscript/loader. */
import { type HttpResponse, type WasmBytes, type WasmExports, type WasmMemory, type WasmModule } from './platform.js'
import { demangle } from '@assemblyscript/loader'
import { FormatError, UnsupportedError } from './errors.js'
import type { Kernels } from './generated/kernels.js'
import { MAXIMUM_PAGES } from './memory.js'

/** What `init({ module })` accepts: a compiled module, its bytes, a response that delivers them, or a promise of one. */
export type ModuleSource = WasmModule | WasmBytes | HttpResponse | PromiseLike<WasmModule | WasmBytes | HttpResponse>

/** Pages of linear memory at the start: 4 MiB, the data segments and room for a small model. */
const INITIAL_PAGES = 64

/** Across realms `instanceof` fails, the tag does not. */
const isModule = (value: unknown): value is WasmModule =>
  Object.prototype.toString.call(value) === '[object WebAssembly.Module]'

const isBytes = (value: unknown): value is WasmBytes =>
  ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === '[object ArrayBuffer]'

/** A function with one v128 instruction: engines without SIMD reject it. */
const simdProbe = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]
/** The same with i32x4.relaxed_trunc_f32x4_s. */
const relaxedProbe = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 11, 1, 9, 0, 65, 0, 253, 15, 253, 129, 2, 11,
]

/** Whether the runtime has the SIMD that every core needs. */
export const supportsSimd = (): boolean => WebAssembly.validate(new Uint8Array(simdProbe))
/** Whether the runtime has relaxed SIMD, which the relaxed cores need. */
export const supportsRelaxedSimd = (): boolean => WebAssembly.validate(new Uint8Array(relaxedProbe))

/** A module on the memory of the core: other threads instantiate the same one there. */
export interface LinkedModule {
  readonly module: WasmModule
  readonly exports: WasmExports
}

/** A core that was instantiated, with its memory. */
export interface LoadedCore extends LinkedModule {
  readonly kernels: Kernels
  readonly memory: WasmMemory
  /** What the memory may grow to. */
  readonly maximumPages: number
  readonly shared: boolean
}

/** @throws UnsupportedError when the core cannot run here at all. */
export function checkRuntime(): void {
  if (typeof WebAssembly !== 'object') {
    throw new UnsupportedError('init: this runtime has no WebAssembly; use a current browser, Node, Deno or Bun')
  }
  if (!supportsSimd()) {
    throw new UnsupportedError(
      'init: this runtime has no WebAssembly SIMD; it came with Chrome and Edge 91, Firefox 89, Safari 16.4, Node 16.4, ' +
        'Deno 1.9 and Bun 0.1',
    )
  }
}

/** Says what a buffer that is no WebAssembly seems to be. */
function checkMagic(source: WasmBytes, where: string): void {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source)
  if (bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d) return
  const hint =
    bytes[0] === 0x3c
      ? 'it begins with "<" like an HTML page, so the address is probably wrong'
      : 'it does not begin with \\0asm'
  throw new FormatError(`init: ${where} is not a WebAssembly module: ${hint}`)
}

/** Shared memory reserves its maximum at once, which a small device may refuse: then less. */
function createMemory(shared: boolean): { memory: WasmMemory; maximumPages: number } {
  for (let maximum = MAXIMUM_PAGES; ; maximum /= 2) {
    try {
      return {
        memory: new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared }),
        maximumPages: maximum,
      }
    } catch (error) {
      if (!shared || maximum <= MAXIMUM_PAGES / 16) throw error
    }
  }
}

/** What engines say when they may not compile, and what helps. */
const refusals: readonly (readonly [RegExp, string])[] = [
  [
    /unsafe-eval|Content Security Policy|blocked by CSP/i,
    "the page's Content-Security-Policy blocks WebAssembly; add 'wasm-unsafe-eval' to script-src",
  ],
  [
    /disallowed by embedder/i,
    "this runtime compiles no WebAssembly at run time; import toeplitz with the condition 'workerd' or 'edge-light', " +
      "or give a module that was imported: import module from 'toeplitz/core.wasm', then init({ module })",
  ],
]

function explain(error: unknown): never {
  const message = error instanceof Error ? error.message : ''
  const refusal = refusals.find(([pattern]) => pattern.test(message))
  if (refusal) throw new UnsupportedError(`init: ${refusal[1]}`, { cause: error })
  if (error instanceof WebAssembly.CompileError) {
    throw new UnsupportedError(`init: the core does not compile here (${message})`, { cause: error })
  }
  if (error instanceof WebAssembly.LinkError || error instanceof TypeError) {
    throw new FormatError(`init: the module is not a toeplitz core (${message})`, { cause: error })
  }
  throw error
}

function notAModule(what: string, given: unknown): UnsupportedError {
  const shown = given === null ? 'null' : typeof given === 'string' ? `the text ${JSON.stringify(given)}` : typeof given
  const others = what === 'init' ? ', its bytes, or a Response with them, as from fetch(address)' : ' or its bytes'
  return new UnsupportedError(`${what}: module must be a WebAssembly.Module${others}; given ${shown}`)
}

/** Bytes of a response, checked, with its address in the errors. */
async function responseBytes(response: Response): Promise<ArrayBuffer> {
  const where = response.url || 'the response'
  if (!response.ok) throw new FormatError(`init: ${where} answered ${response.status}, not 200`)
  if (response.bodyUsed) throw new FormatError(`init: ${where} has been read already; fetch it again`)
  const bytes = await response.arrayBuffer()
  checkMagic(bytes, where)
  return bytes
}

/** Compiles what `init` was given. */
export async function compileCore(given: ModuleSource): Promise<WasmModule> {
  const source = await given
  if (isModule(source)) return source
  let bytes: WasmBytes
  if (isBytes(source)) {
    checkMagic(source, 'module')
    bytes = source
  } else {
    if (typeof (source as Partial<Response> | undefined)?.arrayBuffer !== 'function') throw notAModule('init', source)
    bytes = await responseBytes(source)
  }
  return WebAssembly.compile(bytes).catch(explain)
}

/** Compiles a module, or its bytes, at once. */
export function compileCoreSync(source: WasmModule | WasmBytes): WasmModule {
  if (isModule(source)) return source
  if (!isBytes(source)) throw notAModule('initSync', source)
  checkMagic(source, 'module')
  try {
    return new WebAssembly.Module(source)
  } catch (error) {
    return explain(error)
  }
}

/** Instantiates the core on memory of its own: shared as asked for, or else as the module wants it. */
export function instantiateCore(module: WasmModule, shared: boolean): LoadedCore {
  try {
    return link(module, shared)
  } catch (error) {
    if (!(error instanceof WebAssembly.LinkError) || typeof SharedArrayBuffer !== 'function') return explain(error)
  }
  try {
    return link(module, !shared)
  } catch (error) {
    return explain(error)
  }
}

/**
 * Instantiates a module of more kernels on the memory of the core. It may import nothing but that memory, and has no data of its
 * own there, since the compiler places them where those of the core and tensors lie: that is seen on a memory that is thrown away.
 */
export function linkBeside(
  { memory, exports: own, shared }: LoadedCore,
  module: WasmModule,
  name: string,
): LinkedModule {
  const imports = WebAssembly.Module.imports(module).map((one) => `${one.module}.${one.name}`)
  if (imports.join() !== 'env.memory') {
    throw new FormatError(
      `${name}: a module of kernels imports env.memory alone, not ${imports.join(', ') || 'nothing'}`,
    )
  }
  const on = (memory: WasmMemory): WasmExports => new WebAssembly.Instance(module, { env: { memory } }).exports
  try {
    const trial = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: INITIAL_PAGES, shared })
    const kernels = on(trial)
    if (new Float64Array(trial.buffer).some((value) => !Object.is(value, 0))) {
      throw new FormatError(
        `${name}: the module has data of its own, which would lie over those of the core and over tensors`,
      )
    }
    const twice = Object.keys(kernels).find((kernel) => typeof kernels[kernel] === 'function' && kernel in own)
    if (twice !== undefined) {
      throw new FormatError(`${name}: the core has a kernel ${twice} already; each name is one kernel`)
    }
    return { module, exports: on(memory) }
  } catch (error) {
    return error instanceof WebAssembly.LinkError
      ? refuse(`${name}: the module does not fit the core that is loaded (${error.message})`, error)
      : explain(error)
  }
}

function refuse(message: string, cause: unknown): never {
  throw new FormatError(message, { cause })
}

function link(module: WasmModule, shared: boolean): LoadedCore {
  const { memory, maximumPages } = createMemory(shared)
  // The loader's own instantiation carries helpers for managed objects, of which the core has none. What it makes of
  // the exports tells them by their names; calls go to the exports themselves, without a wrapper.
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const { heapBase, isRelaxed } = demangle<Partial<Kernels>>(exports)
  if (typeof heapBase !== 'function' || typeof isRelaxed !== 'function') {
    throw new FormatError(
      'init: the module is not a toeplitz core of this release: it does not export what a core does',
    )
  }
  return { kernels: exports as unknown as Kernels, memory, maximumPages, module, exports, shared }
}
