/** A kernel that traps: one clear error, and nothing is computed any more on memory that may be damaged. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { withFault as fault } from '../helpers/faults.js'
import { faultyWorker } from '../helpers/threads.js'

type Library = typeof import('../../src/index.js')

/** A fresh copy of the library, and of what is below it. */
async function fresh(): Promise<Library> {
  vi.resetModules()
  return import('../../src/index.js')
}

let t: Library
beforeEach(async () => {
  t = await fresh()
})

const trap = (): Error => new WebAssembly.RuntimeError('memory access out of bounds')

/** What is thrown by everything that is tried afterwards. */
async function expectRefusal(error: unknown): Promise<void> {
  const { init, initSync, memoryUsage, runtimeInfo, tensor, uniform, scope, schedule } = t
  const calls = [
    () => tensor([1]),
    () => uniform([3]),
    () => memoryUsage(),
    () => runtimeInfo(),
    () => initSync(),
    () => schedule.exponential({ lr: 1, gamma: 0.5 })(1),
    () => scope(() => tensor([1])),
  ]
  for (const call of calls) {
    let thrown: unknown
    try {
      call()
    } catch (reason) {
      thrown = reason
    }
    expect(thrown).toBe(error)
  }
  for (const options of [undefined, { threads: 2 }]) await expect(init(options)).rejects.toBe(error)
}

function thrownBy(use: () => void): unknown {
  try {
    use()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('a trap', () => {
  it('of a kernel is a CoreError that says what to do, and all that comes later is refused with it', async () => {
    await t.init()
    const { parallel } = await import('../../src/runtime/core.js')
    const x = t.tensor([1, 2, 3])
    const error = thrownBy(() => parallel('relu_fwd', 1 << 20, 1, 2 ** 32 - 64, x.pointer))
    expect(error).toBeInstanceOf(t.CoreError)
    expect(error).toBeInstanceOf(t.ToeplitzError)
    expect(error).toMatchObject({ code: 'CORE', cause: expect.any(WebAssembly.RuntimeError) as Error })
    expect((error as Error).message).toMatch(
      /^relu_fwd: the WebAssembly core trapped \(memory access out of bounds\) and may have damaged memory, so nothing more is computed on it: start a new process, worker or page, and please report/,
    )
    await expectRefusal(error)
    expect(thrownBy(() => x.data())).toBe(error)
    expect(thrownBy(() => t.relu(x))).toBe(error)
    expect(thrownBy(() => x.assign([1, 2, 3]))).toBe(error)
    // To let go is always possible.
    x.dispose()
    expect(x.disposed).toBe(true)
  })

  it.each(['forward', 'gradient'])('in the %s of any operation, at any kernel call, is told alike', async (pass) => {
    const names = Object.keys((await import('../operations/index.js')).cases)
    let tried = 0
    for (const name of names) {
      t = await fresh()
      const { initWithFaults, withFault } = await import('../helpers/faults.js')
      await initWithFaults()
      const made = (await import('../operations/index.js')).cases[name]![0]!()
      if ('numbers' in made) continue
      const use = (): void => {
        t.scope(() => {
          if (pass === 'forward') made.fn(...made.inputs)
          else t.grad((...given) => t.sum(made.fn(...given)))(...made.inputs)
        })
      }
      // Weights are packed, and what is asked of kernels once has been asked.
      for (let warm = 0; warm < 3; warm++) use()
      const { chances } = withFault('kernel call', -1, use)
      if (chances === 0) continue
      const { thrown } = withFault('kernel call', tried % chances, use, trap)
      expect(thrown, name).toMatchObject({ code: 'CORE', cause: expect.any(WebAssembly.RuntimeError) as Error })
      expect(
        thrownBy(() => t.tensor([1])),
        name,
      ).toBe(thrown)
      tried++
    }
    expect(tried).toBeGreaterThan(75)
  })

  it('in what is no operation is told alike', async () => {
    const uses: ((library: Library) => void)[] = [
      (library) => library.uniform([3]),
      (library) => library.normal([3]),
      (library) => library.clipGradNorm([library.tensor([1])], 1),
      (library) => library.permutation(10, 1, 1),
      (library) => library.maxUnpool2d(library.ones([1, 1, 1, 1]), library.maxPool2dWithIndices(library.ones([1, 1, 2, 2]), { kernel: 2 }).indices, { kernel: 2 }), // prettier-ignore
      (library) => new library.SGD([library.tensor([1])], { lr: 1 }).step([library.tensor([1])]),
      (library) => new library.Sequential([new library.Linear({ outFeatures: 3 })], { input: [4] }).parameters(),
      (library) => new library.Sequential([new library.Conv2d({ outChannels: 3, kernel: 3 })], { input: [4, 9, 9] }).summary(), // prettier-ignore
    ]
    for (const use of uses) {
      for (let index = 0; ; index++) {
        t = await fresh()
        const { initWithFaults, withFault } = await import('../helpers/faults.js')
        await initWithFaults()
        const { chances, thrown } = withFault('kernel call', index, () => use(t), trap)
        if (chances <= index) {
          expect(index, String(use)).toBeGreaterThan(0)
          break
        }
        expect(thrown, String(use)).toMatchObject({ code: 'CORE' })
        expect(thrownBy(() => t.tensor([1]))).toBe(thrown)
      }
    }
  })

  it('in a repeated pass is told with the name of the kernel', async () => {
    const { initWithFaults, withFault } = await import('../helpers/faults.js')
    await initWithFaults()
    const model = new t.Sequential([new t.Conv2d({ outChannels: 4, kernel: 3 }), new t.Sigmoid()], { input: [2, 6, 6] })
    const x = t.normal([1, 2, 6, 6])
    const use = (): void => t.scope(() => void model.forward(x))
    for (let pass = 0; pass < 5; pass++) use()
    const { chances } = withFault('kernel call', -1, use)
    expect(chances).toBe(2)
    const { thrown } = withFault('kernel call', 1, use, trap)
    expect((thrown as Error).message).toMatch(/^sigmoid_fwd: the WebAssembly core trapped/)
    await expectRefusal(thrown)
    expect(thrownBy(use)).toBe(thrown)
    for (const owned of [model, x]) owned.dispose()
  })

  it('in a worker thread is told alike, and ends the threads', async () => {
    const { forceChunks } = await import('../../src/runtime/core.js')
    const { Pool } = await import('../../src/runtime/pool.js')
    const close = vi.spyOn(Pool.prototype, 'close')
    await t.init({
      threads: 2,
      createWorker: faultyWorker('exp_fwd', `throw new WebAssembly.RuntimeError('divide by zero')`),
    })
    forceChunks(16)
    const x = t.normal([1 << 14])
    let error: unknown
    for (let attempt = 0; attempt < 500 && error === undefined; attempt++) {
      try {
        t.exp(x).dispose()
      } catch (reason) {
        error = reason
      }
    }
    expect((error as Error).message).toMatch(/^exp_fwd: the WebAssembly core trapped \(divide by zero\)/)
    expect(close).toHaveBeenCalled()
    close.mockRestore()
    await expectRefusal(error)
  })

  it('ends training, whose model may then be disposed', async () => {
    const { initWithFaults, withFault } = await import('../helpers/faults.js')
    await initWithFaults()
    const { examples, options, setting } = await import('../helpers/bars.js')
    const { model, optimizer } = setting()
    let calls: ReturnType<typeof fault> | undefined
    const run = t.fit(model, examples(40), {
      ...options(optimizer),
      loss: (output, target) => {
        let value = output
        calls = withFault('kernel call', 0, () => (value = t.crossEntropy(output, target)), trap)
        if (calls.thrown !== undefined) throw calls.thrown as Error
        return value
      },
    })
    await expect(run).rejects.toMatchObject({ code: 'CORE' })
    await expectRefusal(calls!.thrown)
    for (const owned of [model, optimizer]) owned.dispose()
  })
})
