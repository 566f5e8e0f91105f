/** Filters from patches: k-means, sparse coding, and their calibration. */
import { beforeAll, describe, expect, it } from 'vitest'
import { cluster } from '../../src/features/kmeans.js'
import { foldWhitening } from '../../src/features/calibrate.js'
import {
  calibrateFilters,
  extractPatches,
  kMeansFilters,
  sparseCode,
  sparseFilters,
  whiten,
} from '../../src/features/index.js'
import { conv2d } from '../../src/ops/conv.js'
import { linear, matmul } from '../../src/ops/linear.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** Pictures with bars, so that their patches have structure. */
function bars(count: number): Tensor {
  const values = new Float32Array(count * 144)
  const random = scope(() => uniform([count * 2], { seed: 9 }).data())
  for (let n = 0; n < count; n++) {
    const place = Math.floor(random[2 * n]! * 10)
    for (let i = 0; i < 12; i++)
      for (let wide = 0; wide < 2; wide++)
        values[n * 144 + (random[2 * n + 1]! < 0.5 ? (place + wide) * 12 + i : i * 12 + place + wide)] = 1
  }
  return tensor(values, [count, 1, 12, 12])
}

describe('k-means', () => {
  const clustering = { filters: 3, rounds: 8, batchSize: 7, seed: 1 }
  /** Three groups around points far from each other. */
  const groups = (): Tensor => {
    const noise = scope(() => normal([60, 2], { seed: 2, std: 0.05 }).data())
    const centres = [5, 1, -4, 2, 0, -3]
    return tensor(
      noise.map((value, i) => value + centres[(Math.floor(i / 2) % 3) * 2 + (i % 2)]!),
      [60, 2],
    )
  }

  it('finds the means of groups', async () => {
    const x = groups()
    // Of several beginnings the best, since some end with two means in one group.
    const all = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((seed) => cluster(x, { ...clustering, seed, spherical: false })),
    )
    const { dictionary, objective } = all.reduce((best, one) =>
      one.objective.at(-1) < best.objective.at(-1) ? one : best,
    )
    const means = dictionary.data()
    const found = [0, 1, 2].map((k) => `${Math.round(means[2 * k]!)} ${Math.round(means[2 * k + 1]!)}`)
    expect(found.sort()).toEqual(['-4 2', '0 -3', '5 1'])
    objective.slice(1).forEach((value, i) => expect(value).toBeLessThanOrEqual(objective[i]! + 1e-6))
    expect(objective.at(-1)).toBeLessThan(0.01)
    for (const item of [x, ...all.map((one) => one.dictionary)]) item.dispose()
  })

  it('computes a round as its definition does', async () => {
    const x = normal([25, 3], { seed: 3 })
    for (const spherical of [true, false]) {
      const [before, after] = await Promise.all(
        [1, 2].map((rounds) => cluster(x, { ...clustering, filters: 4, rounds, spherical })),
      )
      const [rows, means] = [x.data(), before!.dictionary.data()]
      const dot = (n: number, k: number): number =>
        [0, 1, 2].reduce((sum, i) => sum + rows[n * 3 + i]! * means[k * 3 + i]!, 0)
      const far = (n: number, k: number): number =>
        [0, 1, 2].reduce((sum, i) => sum + (rows[n * 3 + i]! - means[k * 3 + i]!) ** 2, 0)
      const groups = Array.from({ length: 25 }, (_, n) =>
        [0, 1, 2, 3].reduce((best, k) => {
          const better = spherical ? Math.abs(dot(n, k)) > Math.abs(dot(n, best)) : far(n, k) < far(n, best)
          return better ? k : best
        }),
      )
      for (let k = 0; k < 4; k++) {
        const members = groups.flatMap((group, n) => (group === k ? [n] : []))
        if (members.length === 0) continue
        const sums = [0, 1, 2].map((i) => {
          const total = members.reduce((sum, n) => sum + (spherical ? dot(n, k) : 1) * rows[n * 3 + i]!, 0)
          return spherical ? total + means[k * 3 + i]! : total / members.length
        })
        const norm = spherical ? Math.sqrt(sums.reduce((sum, value) => sum + value * value, 0)) : 1
        sums.forEach((value, i) => expect(after!.dictionary.data()[k * 3 + i]).toBeCloseTo(value / norm, 4))
      }
      for (const item of [before!, after!]) item.dictionary.dispose()
    }
    x.dispose()
  })

  it('gives groups without a patch one to begin anew with', async () => {
    const x = tensor(
      new Float32Array(40).map((_, i) => (i < 20 ? 1 : -1)),
      [20, 2],
    )
    const { dictionary } = await cluster(x, { ...clustering, filters: 5, spherical: false })
    expect(dictionary.data().every(Number.isFinite)).toBe(true)
    for (const item of [x, dictionary]) item.dispose()
  })
})

describe('filters from pictures', () => {
  const options = { filters: 6, size: 4, patches: 400, rounds: 4, seed: 1 }

  it.each([
    ['kMeansFilters', kMeansFilters],
    ['sparseFilters', sparseFilters],
  ] as const)('%s gives weights and biases for a convolution, and nothing else stays', async (_, learn) => {
    const x = bars(60)
    const before = memoryUsage().liveBytes
    const rounds: number[] = []
    const found = await learn(x, { ...options, active: 0.25, onRound: ({ round }) => void rounds.push(round) })
    const { weight, bias, dictionary, objective } = found
    expect(rounds).toEqual([1, 2, 3, 4])
    expect(objective).toHaveLength(4)
    expect(objective.at(-1)).toBeLessThan(objective[0]!)
    expect([weight.shape, bias.shape, dictionary.shape]).toEqual([[6, 1, 4, 4], [6], [6, 16]])
    // Each filter responds at about a quarter of the places.
    const responses = scope(() => conv2d(x, weight, { bias }).data())
    const plane = 81
    for (let k = 0; k < 6; k++) {
      let active = 0
      for (let n = 0; n < 60; n++) for (let i = 0; i < plane; i++) if (responses[(n * 6 + k) * plane + i]! > 0) active++
      expect(active / (60 * plane)).toBeGreaterThan(0.1)
      expect(active / (60 * plane)).toBeLessThan(0.4)
    }
    const again = await learn(x, { ...options, active: 0.25, batchSize: 33 })
    expect(again.weight.shape).toEqual(weight.shape)
    for (const { weight, bias, dictionary } of [found, again]) {
      for (const item of [weight, bias, dictionary]) item.dispose()
    }
    expect(memoryUsage().liveBytes).toBe(before)
    x.dispose()
  })

  it('refuse what they cannot learn from', async () => {
    const x = bars(5)
    const wrong: [object | undefined, RegExp][] = [
      [undefined, /^kMeansFilters: the options are missing/],
      [{ size: 4 }, /^kMeansFilters: filters must be a whole number from 1/],
      [{ filters: 4, size: 13 }, /pictures of 12 × 12 pixels hold no patch of 13 × 13/],
      [{ filters: 40, size: 4, patches: 20 }, /^kMeansFilters: 40 groups of \(20, 16\) patches; take more patches/],
      [{ filters: 4, size: 4, distance: 'cosine' }, /distance must be 'spherical' or 'euclidean', given 'cosine'/],
      [{ filters: 4, size: 4, active: 1 }, /active must be a number above 0 and below 1/],
      [{ filters: 4, size: 4, rounds: 0 }, /rounds must be a whole number from 1/],
    ]
    const before = memoryUsage().liveBytes
    for (const [options, message] of wrong) {
      await expect(kMeansFilters(x, options as never)).rejects.toThrow(ShapeError)
      await expect(kMeansFilters(x, options as never)).rejects.toThrow(message)
    }
    await expect(sparseFilters(x, { filters: 4, size: 4, lambda: 0 })).rejects.toThrow(
      /lambda must be a finite number above 0/,
    )
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(kMeansFilters(x, { filters: 4, size: 4, signal })).rejects.toThrow('enough')
    const failing = { filters: 4, size: 4, patches: 100, onRound: () => Promise.reject(new Error('told')) }
    await expect(kMeansFilters(x, failing)).rejects.toThrow('told')
    await expect(sparseFilters(x, failing)).rejects.toThrow('told')
    expect(memoryUsage().liveBytes).toBe(before)
    x.dispose()
  })
})

it('folded whitening responds to patches as they are, as the directions do to whitened ones', async () => {
  const x = uniform([20, 2, 8, 8], { seed: 3 })
  const patches = await extractPatches(x, { size: 3, count: 200, normalize: false })
  scope(() => {
    // Their means taken off, as each patch has.
    const centred = patches.data().slice()
    for (let n = 0; n < 200; n++) {
      const row = centred.subarray(n * 18, (n + 1) * 18)
      const mean = row.reduce((sum, value) => sum + value, 0) / 18
      row.forEach((value, i) => (row[i] = value - mean))
    }
    const rows = tensor(centred, [200, 18])
    const whitening = whiten(rows)
    const directions = normal([5, 18], { seed: 4 })
    const folded = foldWhitening(directions, whitening, [2, 3, 3])
    expect(folded.shape).toEqual([5, 2, 3, 3])
    const expected = linear(whitening.apply(rows), directions).data()
    const offset = linear(matmul(whitening.mean.reshape([1, 18]), whitening.matrix), directions).data()
    const actual = linear(patches, folded.reshape([5, 18])).data()
    actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i]! + offset[i % 5]!, 3))
  })
  for (const item of [x, patches]) item.dispose()
})

it('calibrated filters have responses of variance 1, and refuse pictures of other channels', async () => {
  const x = uniform([40, 1, 8, 8], { seed: 3 })
  const weight = normal([3, 1, 3, 3], { seed: 5, std: 7 })
  const found = await calibrateFilters(weight, x, { active: 0.3, patches: 2000 })
  const responses = scope(() => conv2d(x, found.weight).data())
  for (let k = 0; k < 3; k++) {
    const own = [...responses].filter((_, i) => Math.floor(i / 36) % 3 === k)
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length
    expect(Math.abs(variance - 1)).toBeLessThan(0.15)
    const share = own.filter((value) => value + found.bias.data()[k]! > 0).length / own.length
    expect(Math.abs(share - 0.3)).toBeLessThan(0.06)
  }
  const two = zeros([3, 2, 3, 3])
  await expect(calibrateFilters(two, x)).rejects.toThrow(
    /^calibrateFilters: the filters take 2 channels, and the pictures have 1/,
  )
  for (const item of [x, weight, two, found.weight, found.bias]) item.dispose()
})

describe('sparse coding', () => {
  /** Sums of two of eight atoms. */
  const mixtures = (): Tensor => {
    const atoms = scope(() => normal([8, 10], { seed: 1 }).data())
    const random = scope(() => uniform([300 * 4], { seed: 2 }).data())
    const rows = new Float32Array(3000)
    for (let n = 0; n < 300; n++) {
      for (const j of [0, 1]) {
        const atom = Math.floor(random[n * 4 + j]! * 8)
        for (let i = 0; i < 10; i++) rows[n * 10 + i]! += (1 + random[n * 4 + 2 + j]!) * atoms[atom * 10 + i]!
      }
    }
    return tensor(rows, [300, 10])
  }

  it('makes its objective smaller in every round, to what its codes and atoms have', async () => {
    const x = mixtures()
    const { dictionary, codes, objective } = await sparseCode(x, { atoms: 16, lambda: 0.2, rounds: 12, batchSize: 64 })
    objective.slice(1).forEach((value, i) => expect(value).toBeLessThanOrEqual(objective[i]! * (1 + 1e-5)))
    expect(objective.at(-1)).toBeLessThan(0.7 * objective[0]!)
    const [z, d, rows] = [codes.data(), dictionary.data(), x.data()]
    let cost = 0
    for (let n = 0; n < 300; n++) {
      for (let i = 0; i < 10; i++) {
        let made = 0
        for (let k = 0; k < 16; k++) made += z[n * 16 + k]! * d[k * 10 + i]!
        cost += (rows[n * 10 + i]! - made) ** 2 / 2
      }
      for (let k = 0; k < 16; k++) cost += 0.2 * Math.abs(z[n * 16 + k]!)
    }
    expect(cost / 300).toBeCloseTo(objective.at(-1)!, 3)
    for (let k = 0; k < 16; k++) {
      const norm = Math.sqrt(d.subarray(k * 10, (k + 1) * 10).reduce((sum, value) => sum + value * value, 0))
      expect(norm).toBeLessThanOrEqual(1 + 1e-5)
    }
    expect(z.filter((value) => value === 0).length / z.length).toBeGreaterThan(0.5)
    for (const item of [x, dictionary, codes]) item.dispose()
  })

  it('finds codes for which no small change is better', async () => {
    const x = mixtures()
    const { dictionary, codes } = await sparseCode(x, { atoms: 8, lambda: 0.3, rounds: 1, steps: 400 })
    const [z, d, rows] = [codes.data(), dictionary.data(), x.data()]
    for (let n = 0; n < 30; n++) {
      for (let k = 0; k < 8; k++) {
        // The gradient of the squares is −λ·sign(z) where z is not 0, and within ±λ where it is.
        let gradient = 0
        for (let i = 0; i < 10; i++) {
          let made = 0
          for (let j = 0; j < 8; j++) made += z[n * 8 + j]! * d[j * 10 + i]!
          gradient += (made - rows[n * 10 + i]!) * d[k * 10 + i]!
        }
        const own = z[n * 8 + k]!
        if (own === 0) expect(Math.abs(gradient)).toBeLessThan(0.301)
        else expect(gradient).toBeCloseTo(-0.3 * Math.sign(own), 2)
      }
    }
    for (const item of [x, dictionary, codes]) item.dispose()
  })

  it('refuses what it cannot code', async () => {
    const x = mixtures()
    const bad = tensor([[1, NaN]])
    await expect(sparseCode(x, {} as never)).rejects.toThrow(/^sparseCode: atoms must be a whole number from 1/)
    const flat = x.reshape([-1])
    await expect(sparseCode(flat, { atoms: 3 })).rejects.toThrow(/^sparseCode: x must be \(N, D\), given \(3000\)/)
    await expect(sparseCode(x, { atoms: 3, lambda: -1 })).rejects.toThrow(/lambda must be a finite number above 0/)
    await expect(sparseCode(bad, { atoms: 3 })).rejects.toThrow(/^sparseCode: the patches must be finite numbers/)
    for (const item of [x, bad, flat]) item.dispose()
  })
})
