/** Workers that fail: one clear error for the call, and the pool goes on. */
import { readFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { instantiateCore } from '../../src/runtime/load.js'
import { Pool } from '../../src/runtime/pool.js'
import type { WorkerHandle } from '../../src/runtime/spawn.js'
import { faultyWorker } from '../helpers/threads.js'

const { memory, module, exports, kernels } = instantiateCore(
  new WebAssembly.Module(readFileSync('build/threads.wasm')),
  true,
)
const base = Math.ceil(kernels.heapBase() / 64) * 64
const items = 1 << 17

let pool: Pool | undefined
afterEach(() => pool?.close())

const start = async (createWorker: (() => WorkerHandle) | undefined, patience?: number): Promise<Pool> => {
  pool = await Pool.start({ module, memory, exports, threads: 2, createWorker, patience })
  return pool
}

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

  it('passes on what the kernel itself throws', async () => {
    await start(undefined)
    expect(() => pool!.run('relu_fwd', [2 ** 32 - 64, base], [0, 0], items, 64)).toThrow(/out of bounds|failed/)
    expectRight()
  })

  it('gives up a worker that ends in a kernel, and starts another', async () => {
    let made = 0
    const first = faultyWorker('relu_fwd', 'process.exit(3)')
    const sound = faultyWorker('none', '')
    await start(() => (made++ === 0 ? first() : sound()), 300)
    expect(failure().message).toMatch(/a worker thread did not come back; the result is lost/)
    expectRight()
    await until(() => pool!.threads === 2)
    expect(pool!.threads).toBe(2)
    for (let i = 0; i < 20; i++) expectRight()
    expect(made).toBe(2)
  })

  it('gives up a worker that hangs in a kernel', async () => {
    let made = 0
    const first = faultyWorker('relu_fwd', 'for (;;);')
    const sound = faultyWorker('none', '')
    await start(() => (made++ === 0 ? first() : sound()), 300)
    expect(failure().message).toMatch(/did not come back/)
    await until(() => pool!.threads === 2)
    expectRight()
  })

  it('replaces a worker that dies between jobs', async () => {
    const made: { terminate(): unknown }[] = []
    const sound = faultyWorker('none', '')
    await start(() => {
      const worker = sound()
      made.push(worker)
      return worker
    })
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
