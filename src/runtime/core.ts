/** The one loaded core: its kernels, its memory, and how it was started. */
import { NotInitializedError, UnsupportedError } from './errors.js'
import type { Kernels } from './generated/kernels.js'
import strictModule from './generated/strict.js'
import {
  decodeBase64,
  loadCore,
  loadCoreSync,
  supportsRelaxedSimd,
  type LoadedCore,
  type ModuleSource,
} from './load.js'
import { Allocator, type MemoryUsage } from './memory.js'

declare const __VERSION__: string | undefined

/** `strict` gives the same bits everywhere; `relaxed` uses fused multiply-add where the machine has it. */
export type Simd = 'strict' | 'relaxed'

export interface InitOptions {
  /** Default `strict`. `relaxed` is faster and not reproducible across machines; `auto` takes it where it exists. */
  readonly simd?: Simd | 'auto'
  /** Worker threads to compute with. Only 1 is available so far. */
  readonly threads?: number
  /** The core to load instead of the embedded one. */
  readonly module?: ModuleSource
}

export interface RuntimeInfo {
  readonly simd: Simd
  readonly threads: number
  /** Why fewer threads run than were asked for. */
  readonly threadsOffBecause?: string
  readonly version: string
  /** Names of the kernels that the core exports. */
  readonly kernels: readonly string[]
}

interface Core {
  readonly kernels: Kernels
  readonly allocator: Allocator
  readonly simd: Simd
  readonly threadsOffBecause: string | undefined
}

let core: Core | undefined
let loading: Promise<void> | undefined

function start(loaded: LoadedCore, simd: Simd, threads = 1): void {
  core = {
    kernels: loaded.kernels,
    allocator: new Allocator(loaded.memory, loaded.kernels.heapBase()),
    simd,
    threadsOffBecause: threads > 1 ? 'this release computes on one thread' : undefined,
  }
}

function checkOptions({ simd = 'strict', threads = 1 }: InitOptions): Simd {
  if (simd !== 'strict' && simd !== 'relaxed' && simd !== 'auto') {
    throw new UnsupportedError(`init: simd must be 'strict', 'relaxed' or 'auto', not ${JSON.stringify(simd)}`)
  }
  if (!Number.isInteger(threads) || threads < 1) {
    throw new UnsupportedError(`init: threads must be a whole number from 1 on, not ${threads}`)
  }
  if (simd === 'strict') return simd
  if (supportsRelaxedSimd()) return 'relaxed'
  if (simd === 'auto') return 'strict'
  throw new UnsupportedError(
    "init: this runtime has no relaxed SIMD; use simd: 'strict', or 'auto' to take it where it exists",
  )
}

async function load(options: InitOptions): Promise<void> {
  const simd = checkOptions(options)
  const embedded = async (): Promise<ModuleSource> =>
    decodeBase64(simd === 'relaxed' ? (await import('./generated/relaxed.js')).default : strictModule)
  start(await loadCore(options.module ?? (await embedded())), simd, options.threads)
}

/**
 * Loads the core. Every operation needs it once before; later calls return at once, and a failed call can be
 * repeated.
 * @throws UnsupportedError when the runtime lacks what was asked for, FormatError when `module` is not the core.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  if (core) return
  loading ??= load(options)
  try {
    await loading
  } finally {
    loading = undefined
  }
}

/** Loads the core synchronously from a compiled module (or, outside a browser's main thread, its bytes). */
export function initSync(options: { readonly module?: WebAssembly.Module | BufferSource } = {}): void {
  if (core) return
  start(loadCoreSync(options.module ?? decodeBase64(strictModule)), 'strict')
}

/** How the core was started. @throws NotInitializedError before `init`. */
export function runtimeInfo(): RuntimeInfo {
  const { kernels, simd, threadsOffBecause } = need('runtimeInfo')
  return {
    simd,
    threads: 1,
    ...(threadsOffBecause === undefined ? {} : { threadsOffBecause }),
    version: typeof __VERSION__ === 'string' ? __VERSION__ : 'source',
    kernels: Object.keys(kernels).filter((name) => name.includes('_')),
  }
}

function need(what: string): Core {
  if (!core) throw new NotInitializedError(what)
  return core
}

/** The kernels, for the operation `what`. */
export const kernels = (what = 'this operation'): Kernels => need(what).kernels

/** Bytes handed out now, at the peak, and held by the runtime. */
export const memoryUsage = (): MemoryUsage => need('memoryUsage').allocator.usage()

/** Pointer to a block of `bytes` bytes, which the caller returns with `release`. */
export const allocate = (bytes: number, what = 'a tensor'): number => need(what).allocator.allocate(bytes)

export const release = (pointer: number): void => need('release').allocator.release(pointer)

/** `length` floats at `pointer`. The view dies when memory grows: use it at once and drop it. */
export const floatsAt = (pointer: number, length: number): Float32Array =>
  new Float32Array(need('a view').allocator.memory.buffer, pointer, length)

/** `length` 32-bit integers at `pointer`; the same care applies. */
export const integersAt = (pointer: number, length: number): Int32Array =>
  new Int32Array(need('a view').allocator.memory.buffer, pointer, length)

/** Runs `use` with `bytes` bytes of workspace, returned afterwards whatever happens. */
export function withWorkspace<T>(bytes: number, use: (pointer: number) => T): T {
  const pointer = allocate(bytes, 'workspace')
  try {
    return use(pointer)
  } finally {
    release(pointer)
  }
}

/** Runs `use` with a copy of `values` in linear memory. */
export function withIntegers<T>(values: readonly number[] | Int32Array, use: (pointer: number) => T): T {
  return withWorkspace(values.length * 4, (pointer) => {
    integersAt(pointer, values.length).set(values)
    return use(pointer)
  })
}
