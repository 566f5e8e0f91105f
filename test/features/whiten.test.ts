/** Patches, their eigenvectors and their whitening. */
import { beforeAll, describe, expect, it } from 'vitest'
import { symmetricEigen } from '../../src/features/eigen.js'
import { extractPatches, whiten } from '../../src/features/index.js'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { sum } from '../../src/ops/reduce.js'
import { square } from '../../src/ops/elementwise.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { matmul } from '../../src/ops/linear.js'

beforeAll(() => init())

describe('eigenvectors', () => {
  it.each([1, 2, 5, 12, 30])('of a symmetric matrix of order %d give it again', (n) => {
    const matrix = new Float64Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++)
        matrix[i * n + j] = matrix[j * n + i] = ((i * 7 + j * 13) % 11) - 5 + (i === j ? i : 0)
    const { values, vectors } = symmetricEigen(matrix, n)
    expect([...values]).toEqual([...values].sort((a, b) => b - a))
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let [product, inner] = [0, 0]
        for (let k = 0; k < n; k++) {
          product += values[k]! * vectors[k * n + i]! * vectors[k * n + j]!
          inner += vectors[i * n + k]! * vectors[j * n + k]!
        }
        expect(product).toBeCloseTo(matrix[i * n + j]!, 9)
        expect(inner).toBeCloseTo(i === j ? 1 : 0, 10)
      }
    }
  })

  it('of a diagonal, of zeros and of equal values are there', () => {
    expect([...symmetricEigen(Float64Array.of(1, 0, 0, 3), 2).values]).toEqual([3, 1])
    expect([...symmetricEigen(new Float64Array(9), 3).values]).toEqual([0, 0, 0])
    expect([...symmetricEigen(Float64Array.of(2, 1e-300, 1e-300, 2), 2).values]).toEqual([2, 2])
  })
})

describe('whitening', () => {
  /** Patches whose components depend on each other. */
  const patches = () =>
    scope(() => {
      const mixing = [2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0.5, 2, 1, 0, 0, 1]
      return matmul(normal([500, 4], { seed: 1 }), tensor(mixing, [4, 4]))
    })

  it('gives components of mean 0, variance 1 and no correlation', () => {
    scope(() => {
      const x = patches()
      const { apply, eigenvalues, matrix } = whiten(x, { epsilon: 0 })
      const white = apply(x).data()
      for (let i = 0; i < 4; i++) {
        for (let j = 0; j < 4; j++) {
          let [product, mean] = [0, 0]
          for (let n = 0; n < 500; n++) {
            product += white[n * 4 + i]! * white[n * 4 + j]!
            mean += white[n * 4 + i]!
          }
          expect(product / 500).toBeCloseTo(i === j ? 1 : 0, 4)
          expect(mean / 500).toBeCloseTo(0, 4)
          expect(matrix.data()[i * 4 + j]).toBeCloseTo(matrix.data()[j * 4 + i]!, 5)
        }
      }
      expect([...eigenvalues].every((value) => value > 0)).toBe(true)
    })
  })

  it('divides by the roots of the eigenvalues and epsilon', () => {
    scope(() => {
      // Components of variance 4 and 1, and of no correlation.
      const { matrix, mean } = whiten(tensor([[3, 1], [-1, 1], [3, 3], [-1, 3]]), { epsilon: 5 }) // prettier-ignore
      expect([...mean.data()]).toEqual([1, 2])
      ;[1 / 3, 0, 0, 1 / Math.sqrt(6)].forEach((value, i) => expect(matrix.data()[i]).toBeCloseTo(value, 6))
    })
  })

  it('keeps nothing but its mean and its matrix, and has gradients', () => {
    const before = memoryUsage().liveBytes
    const x = patches()
    const whitening = whiten(x)
    scope(() => {
      const { ok } = gradcheck((part) => sum(square(whitening.apply(part))), [normal([3, 4], { seed: 2 })])
      expect(ok).toBe(true)
    })
    for (const item of [x, whitening.mean, whitening.matrix]) item.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('refuses what it cannot whiten', () => {
    scope(() => {
      expect(() => whiten(zeros([1, 4]))).toThrow(
        /^whiten: x must be \(N, D\) with two patches or more, given \(1, 4\)/,
      )
      expect(() => whiten(zeros([5, 4]), { epsilon: 0 })).toThrow(
        /^whiten: the patches do not vary in 4 of 4 directions/,
      )
      expect(() => whiten(zeros([2, 1025]))).toThrow(/^whiten: patches of 1025 components; at most 1024/)
      expect(() => whiten(tensor([[1, NaN], [2, 3]]))).toThrow(/^whiten: the patches must be finite/) // prettier-ignore
      expect(() => whiten(zeros([5, 4]), { epsilon: -1 })).toThrow(/epsilon must be a finite number from 0 on/)
      expect(() => whiten(zeros([5, 4])).apply(zeros([2, 3]))).toThrow(/^whitening: x must be \(N, 4\), given \(2, 3\)/)
    })
  })
})

describe('patches', () => {
  const pictures = () => uniform([7, 2, 6, 8], { seed: 4 })

  it('are parts of the pictures, in the order of the weights of a filter', async () => {
    const x = pictures()
    const patches = await extractPatches(x, { size: [3, 2], count: 40, seed: 1, normalize: false })
    expect(patches.shape).toEqual([40, 12])
    const [all, values] = [x.data(), patches.data()]
    const found = new Set<string>()
    for (let patch = 0; patch < 40; patch++) {
      let places = 0
      for (let n = 0; n < 7; n++) {
        for (let top = 0; top < 4; top++) {
          for (let left = 0; left < 7; left++) {
            const same = Array.from({ length: 12 }, (_, i) => {
              const [c, r, s] = [Math.floor(i / 6), Math.floor(i / 2) % 3, i % 2]
              return values[patch * 12 + i] === all[((n * 2 + c) * 6 + top + r) * 8 + left + s]
            }).every(Boolean)
            if (!same) continue
            places++
            found.add([n, top, left].join())
          }
        }
      }
      expect(places).toBe(1)
    }
    expect(found.size).toBeGreaterThan(25)
    x.dispose()
    patches.dispose()
  })

  it('have the mean 0 and a variance below 1, by their contrast', async () => {
    const x = pictures()
    const [plain, patches] = await Promise.all(
      [false, true].map((normalize) => extractPatches(x, { size: 3, count: 10, normalize, contrast: 0.02 })),
    )
    const [before, after] = [plain!.data(), patches!.data()]
    for (let n = 0; n < 10; n++) {
      const row = [...before.subarray(n * 18, (n + 1) * 18)]
      const mean = row.reduce((total, value) => total + value, 0) / 18
      const variance = row.reduce((total, value) => total + (value - mean) ** 2, 0) / 18
      row.forEach((value, i) => expect(after[n * 18 + i]).toBeCloseTo((value - mean) / Math.sqrt(variance + 0.02), 4))
    }
    for (const item of [x, plain!, patches!]) item.dispose()
  })

  it('are the same of a tensor, of examples and of examples that are read, in any order of batches', async () => {
    const x = pictures()
    const row = (index: number): Float32Array => x.data().subarray(index * 96, (index + 1) * 96)
    const batch = (indices: Int32Array) => ({
      x: tensor(Float32Array.from([...indices].flatMap((index) => [...row(index)])), [indices.length, 2, 6, 8]),
      target: indices,
    })
    const examples = { size: 7, batch }
    const distant = {
      size: 7,
      read: (indices: Int32Array) => Promise.resolve({ indices, batch: () => batch(indices) }),
    }
    const all = await Promise.all([x, examples, distant].map((data) => extractPatches(data, { size: 3, count: 20 })))
    expect(all[1]!.data()).toEqual(all[0]!.data())
    expect(all[2]!.data()).toEqual(all[0]!.data())
    // Of a picture that cannot be read there are no patches, and the others stay.
    const damaged = {
      size: 7,
      read: (indices: Int32Array) => {
        const sound = indices.filter((index) => index !== 3)
        return Promise.resolve({ indices: sound, batch: () => batch(sound) })
      },
    }
    const fewer = await extractPatches(damaged, { size: 3, count: 20 })
    expect(fewer.shape[0]).toBeLessThan(20)
    const rows = new Set(Array.from({ length: 20 }, (_, n) => String(all[0]!.data().subarray(n * 18, (n + 1) * 18))))
    for (let n = 0; n < fewer.shape[0]!; n++)
      expect(rows).toContain(String(fewer.data().subarray(n * 18, (n + 1) * 18)))
    for (const item of [x, fewer, ...all]) item.dispose()
  })

  it('refuse what they cannot be taken of', async () => {
    const x = pictures()
    const wrong = async (data: unknown, options: unknown, message: RegExp): Promise<void> => {
      const made = extractPatches(data as never, options as never)
      await expect(made).rejects.toThrow(ShapeError)
      await expect(extractPatches(data as never, options as never)).rejects.toThrow(message)
    }
    await wrong(x, { size: 7, count: 3 }, /^extractPatches: pictures of 6 × 8 pixels hold no patch of 7 × 7/)
    await wrong(x, { size: 3, count: 0 }, /count must be a whole number from 1/)
    await wrong(x, { size: 3, count: 3, contrast: -1 }, /contrast must be a finite number from 0 on/)
    await wrong(x, undefined, /^extractPatches: the options are missing/)
    await wrong(5, { size: 3, count: 3 }, /^extractPatches: the data must be a Tensor \(N, C, H, W\), or examples/)
    const flat = x.reshape([7, 96])
    await wrong(flat, { size: 3, count: 3 }, /^extractPatches: the data must be \(N, C, H, W\)/)
    await wrong({ size: 3 }, { size: 3, count: 3 }, /or examples as fit takes them/)
    const unread = { size: 3, read: () => Promise.resolve({ indices: new Int32Array(), batch: () => undefined }) }
    await wrong(unread, { size: 3, count: 3 }, /^extractPatches: none of the pictures can be read/)
    await expect(
      extractPatches(x, { size: 3, count: 3, signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
    for (const item of [x, flat]) item.dispose()
  })
})
