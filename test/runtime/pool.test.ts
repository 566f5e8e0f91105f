/** Workers that fail: one clear error for the call, and the pool goes on. */
import { readFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { instantiateCore } from '../../src/runtime/load.js'
import type { Worker } from 'node:worker_threads'
import { Pool } from '../../src/runtime/pool.js'
import type { WorkerHandle } from '../../src/runtime/threads.js'
import { faultyWorker } from '../helpers/threads.js'

const { memory, module, exports, kernels } = instantiateCore(
  new WebAssembly.Module(readFileSync('build/threads.wasm')),
  true,
)
const base = Math.ceil(kernels.heapBase() / 64) * 64
const items = 1 << 17

let pool: Pool | undefined
afterEach(() => pool?.close())

interface Setting {
  readonly patience?: number
  readonly threads?: number
  /** The kernels of this thread. */
  readonly own?: WebAssembly.Exports
}

const start = async (
  createWorker: (() => WorkerHandle) | undefined,
  { patience, threads = 2, own = exports }: Setting = {},
): Promise<Pool> => {
  pool = await Pool.start({ modules: [{ module, exports: own }], memory, threads, createWorker, patience })
  return pool
}

/** Workers one after another, by those that make them; the last makes all others. */
function inTurn(...makers: (() => Worker)[]): { readonly make: () => Worker; readonly made: Worker[] } {
  const made: Worker[] = []
  const make = (): Worker => {
    const worker = (makers[made.length] ?? makers.at(-1))()
    made.push(worker)
    return worker
  }
  return { make, made }
}

const sound = faultyWorker('none', '')

/** relu over `items` floats, in many chunks. */
function relu(): void {
  pool!.run('relu_fwd', [base + 4 * items, base], [0, 0], items, 64)
}

/** Runs relu until a worker has taken part and failed. */
function failure(): Error {
  for (let attempt = 0; attempt < 2000; attempt++) {
    try {
      relu()
    } catch (error) {
      return error as Error
    }
  }
  throw new Error('no worker took part')
}

function expectRight(): void {
  const floats = new Float32Array(memory.buffer, base, 2 * items)
  for (let i = 0; i < items; i++) floats[i] = (i % 7) - 3
  floats.fill(9, items)
  relu()
  expect(floats.findIndex((value, i) => i >= items && value !== Math.max(0, floats[i - items]!))).toBe(-1)
}

const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20))
}

beforeEach(() => {
  const missing = base + 8 * items - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / 65536))
})

describe('the pool', () => {
  it('computes', async () => {
    await start(undefined)
    expect(pool!.threads).toBe(2)
    for (let i = 0; i < 20; i++) expectRight()
  })

  it('gives the reason when a worker throws, and goes on', async () => {
    await start(faultyWorker('relu_fwd', `throw new Error('no power')`))
    expect(failure().message).toBe('relu_fwd: worker thread 1 failed: no power')
    expect(failure()).toMatchObject({ name: 'WorkerError', code: 'WORKER' })
    expect(pool!.threads).toBe(2)
    pool!.run('exp_fwd', [base + 4 * items, base], [0, 0], items, 64)
  })

  it('tells a trap from every other error, in this thread and in a worker', async () => {
    await start(undefined)
    expect(() => pool!.run('relu_fwd', [2 ** 32 - 64, base], [0, 0], items, 64)).toThrow(WebAssembly.RuntimeError)
    expectRight()
    pool!.close()
    await start(faultyWorker('relu_fwd', `throw new WebAssembly.RuntimeError('unreachable')`))
    const error = failure()
    expect(error).toMatchObject({ name: 'CoreError', code: 'CORE' })
    expect(error.message).toMatch(
      /^relu_fwd: the WebAssembly core trapped \(unreachable\) and may have damaged memory, .*start a new process/,
    )
  })

  const heap = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 }
  it.each<[string, () => Worker]>([
    ['ends itself', faultyWorker('relu_fwd', 'process.exit(3)')],
    [
      'runs out of memory',
      faultyWorker('relu_fwd', 'const all = []; for (;;) all.push(new Array(999).fill(1.5))', heap),
    ],
    [
      'is ended later',
      faultyWorker('relu_fwd', 'const end = Date.now() + 400; while (Date.now() < end); process.exit(1)'),
    ],
  ])('notices within a second that a worker %s in a kernel, and starts another', async (_, first) => {
    const { make, made } = inTurn(first, sound)
    await start(make)
    const began = performance.now()
    expect(failure()).toMatchObject({
      code: 'WORKER',
      message: 'relu_fwd: worker thread 1 ended inside the kernel; the result is lost, and another thread is started',
    })
    // One second after it ended, and the time that it took to get there.
    expect(performance.now() - began).toBeLessThan(5000)
    expectRight()
    await until(() => pool!.threads === 2)
    for (let i = 0; i < 20; i++) expectRight()
    expect(made).toHaveLength(2)
  })

  it('notices within a second that a worker was killed in a kernel', async () => {
    // Words: whether the worker is inside, and when it was killed.
    const words = new Int32Array(new SharedArrayBuffer(8))
    const spinning = `
      Atomics.store(new Int32Array(globalThis.words), 0, 1)
      for (;;);`
    const { make, made } = inTurn(faultyWorker('relu_fwd', spinning, {}, { words: words.buffer }), sound)
    let killed = 0
    const own = {
      ...exports,
      relu_fwd(...args: number[]) {
        if (killed === 0 && Atomics.load(words, 0) === 1) {
          killed = performance.now()
          void made[0]!.terminate()
        }
        ;(exports['relu_fwd'] as (...args: number[]) => void)(...args)
      },
    }
    await start(make, { own })
    expect(failure().message).toMatch(/worker thread 1 ended inside the kernel/)
    expect(killed).toBeGreaterThan(0)
    expect(performance.now() - killed).toBeLessThan(1000)
    await until(() => pool!.threads === 2)
    expectRight()
  })

  it('waits for the others when one has ended', async () => {
    // Words: how often the slow worker came in, and how often it came out.
    const words = new Int32Array(new SharedArrayBuffer(8))
    const slow = `
      const words = new Int32Array(globalThis.words)
      const end = Date.now() + 500
      Atomics.add(words, 0, 1)
      while (Date.now() < end);
      Atomics.add(words, 1, 1)`
    const ending = faultyWorker('relu_fwd', 'process.exit(3)')
    const { make } = inTurn(ending, faultyWorker('relu_fwd', slow, {}, { words: words.buffer }), ending)
    await start(make, { threads: 3 })
    let together = 0
    for (let attempt = 0; attempt < 10 && together === 0; attempt++) {
      await until(() => pool!.threads === 3)
      const before = Atomics.load(words, 0)
      const { message } = failure()
      expect(message).toMatch(/worker thread \d ended inside the kernel/)
      if (Atomics.load(words, 0) > before) together++
      expect(Atomics.load(words, 1)).toBe(Atomics.load(words, 0))
    }
    expect(together).toBeGreaterThan(0)
  })

  it('gives up a worker that hangs in a kernel', async () => {
    const { make } = inTurn(faultyWorker('relu_fwd', 'for (;;);'), sound)
    await start(make, { patience: 300 })
    expect(failure()).toMatchObject({ code: 'WORKER', message: expect.stringMatching(/did not come back/) as string })
    await until(() => pool!.threads === 2)
    expectRight()
  })

  it('trusts the core no longer when it cannot tell whether a worker that hangs has ended', async () => {
    const worker = faultyWorker('relu_fwd', 'for (;;);')()
    const { make } = inTurn(() => Object.defineProperty(worker, 'performance', { value: undefined }), sound)
    await start(make, { patience: 300 })
    expect(failure()).toMatchObject({
      code: 'CORE',
      message: expect.stringMatching(/may go on writing to memory/) as string,
    })
  })

  it('replaces a worker that dies between jobs', async () => {
    const { make, made } = inTurn(sound)
    await start(make)
    await made[0]!.terminate()
    await until(() => made.length === 2 && pool!.threads === 2)
    expect(made).toHaveLength(2)
    expectRight()
  })

  it('says why when workers cannot be started', async () => {
    await start(() => {
      throw new Error('no more threads today')
    })
    expect(pool).toMatchObject({ threads: 1, offBecause: 'a worker thread failed: no more threads today' })
    await start(() => 7 as never)
    expect(pool!.offBecause).toMatch(/createWorker must return a Worker/)
  })
})

describe('a program', () => {
  it('ends although workers wait', async () => {
    const program = `
      import { init, runtimeInfo } from './dist/index.js'
      await init({ threads: 3 })
      console.log(runtimeInfo().threads)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    expect(stdout.trim()).toBe('3')
  })
})

describe('where threads cannot be', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
    vi.resetModules()
  })

  const threadsOff = async (options: object = {}): Promise<string | undefined> => {
    vi.resetModules()
    const { init, relu: operation, runtimeInfo, tensor } = await import('../../src/index.js')
    await init({ threads: 2, ...options })
    expect([...operation(tensor([-1, 2])).data()]).toEqual([0, 2])
    expect(runtimeInfo().threads).toBe(1)
    return runtimeInfo().threadsOffBecause
  }

  it('says so without SharedArrayBuffer', async () => {
    vi.stubGlobal('SharedArrayBuffer', undefined)
    expect(await threadsOff()).toBe('this runtime has no SharedArrayBuffer')
  })

  it('says so on a page that is not isolated', async () => {
    vi.stubGlobal('crossOriginIsolated', false)
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined)
    expect(await threadsOff()).toMatch(
      /not cross-origin isolated; serve it with the headers Cross-Origin-Opener-Policy/,
    )
  })

  it('says so without workers', async () => {
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined)
    vi.stubGlobal('Worker', undefined)
    expect(await threadsOff()).toBe('this runtime has no Worker')
  })

  it('says so when the module given is made for one thread', async () => {
    expect(await threadsOff({ module: readFileSync('build/strict.wasm') })).toMatch(/give threads\.wasm/)
  })

  it('says so when the core was loaded for one thread before', async () => {
    vi.resetModules()
    const { init, runtimeInfo } = await import('../../src/index.js')
    await init()
    await init({ threads: 2 })
    expect(runtimeInfo().threadsOffBecause).toMatch(/ask for threads in the first call of init/)
  })
})

describe('init', () => {
  it('changes the number of threads, and 1 ends them', async () => {
    vi.resetModules()
    const { init, runtimeInfo } = await import('../../src/index.js')
    for (const threads of [3, 2, 1, 2, 1]) {
      await init({ threads })
      expect(runtimeInfo().threads).toBe(threads)
      await init()
      expect(runtimeInfo().threads).toBe(threads)
    }
  })

  it('takes threads.wasm, for any number of threads', async () => {
    for (const threads of [1, 2]) {
      vi.resetModules()
      const { init, runtimeInfo } = await import('../../src/index.js')
      await init({ threads, module: readFileSync('build/threads.wasm') })
      expect(runtimeInfo().threads).toBe(threads)
      await init({ threads: 1 })
    }
  })
})
