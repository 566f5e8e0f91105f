/** The grid model against its definition in float64 and against all label maps, and its gradients. */
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { modelFromJSON, Sequential } from '../../src/nn/index.js'
import { softmax } from '../../src/ops/softmax.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import {
  freeEnergy,
  MeanField,
  meanFieldStep,
  pottsModel,
  pseudoLikelihood,
  refine,
  type GridModel,
} from '../../src/segmentation/index.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { gradientErrors } from './parameters.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'

beforeAll(() => init())

/** A model of numbers without any symmetry. */
const modelOf = (K: number, R: number, S: number): GridModel => ({
  neighbours: normal([R, S], { seed: 11, std: 0.5 }),
  compatibility: normal([K, K], { seed: 12, std: 0.7 }),
})

/** The same in float64, as the equations say. */
function reference({ neighbours, compatibility }: GridModel, K: number, H: number, W: number) {
  const [R, S] = neighbours.shape as [number, number]
  const [n, c] = [neighbours.data(), compatibility.data()]
  const weight = (down: number, along: number): number => {
    const [r, s] = [down + (R - 1) / 2, along + (S - 1) / 2]
    if (r < 0 || s < 0 || r >= R || s >= S || (down === 0 && along === 0)) return 0
    return (n[r * S + s]! + n[(R - 1 - r) * S + S - 1 - s]!) / 2
  }
  const energy = (k: number, l: number): number => (c[k * K + l]! + c[l * K + k]!) / 2
  /** mᵢ(k) of q (K, H, W). */
  const message = (q: ArrayLike<number>, i: number, k: number): number => {
    let total = 0
    for (let j = 0; j < H * W; j++) {
      const n = weight(Math.floor(j / W) - Math.floor(i / W), (j % W) - (i % W))
      for (let l = 0; l < K; l++) total += n * energy(k, l) * q[l * H * W + j]!
    }
    return total
  }
  const step = (
    q: ArrayLike<number>,
    scores: ArrayLike<number>,
    moves = (_: number): boolean => true,
  ): Float64Array => {
    const next = new Float64Array(K * H * W)
    for (let i = 0; i < H * W; i++) {
      const logits = Array.from({ length: K }, (_, k) => scores[k * H * W + i]! - message(q, i, k))
      const most = Math.max(...logits)
      const total = logits.reduce((sum, value) => sum + Math.exp(value - most), 0)
      logits.forEach((value, k) => {
        next[k * H * W + i] = moves(i) ? Math.exp(value - most) / total : q[k * H * W + i]!
      })
    }
    return next
  }
  const free = (q: ArrayLike<number>, scores: ArrayLike<number>): number => {
    let total = 0
    for (let i = 0; i < H * W; i++)
      for (let k = 0; k < K; k++) {
        const p = q[k * H * W + i]!
        if (p > 0) total += p * (Math.log(p) - scores[k * H * W + i]! + message(q, i, k) / 2)
      }
    return total
  }
  return { message, step, free }
}

/** Of all pictures: the maps of each, one after another. */
const each = (x: Tensor): Float32Array[] => {
  const [N = 1] = x.shape
  const values = x.data()
  return Array.from({ length: N }, (_, n) => values.slice((n * values.length) / N, ((n + 1) * values.length) / N))
}

const [N, K, H, W] = [2, 3, 4, 5]
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, digits = 5): void => {
  expect(found).toHaveLength(expected.length)
  Array.from(expected).forEach((value, i) => expect(found[i]).toBeCloseTo(value, digits))
}

describe('mean field', () => {
  it.each([
    [3, 3],
    [5, 3],
    [1, 1],
    [1, 7],
  ])('computes a step and the free energy as its equations say, with %d × %d neighbours', (R, S) => {
    scope(() => {
      const grid = modelOf(K, R, S)
      const own = reference(grid, K, H, W)
      const scores = normal([N, K, H, W], { seed: 1, std: 2 })
      const q = softmax(normal([N, K, H, W], { seed: 2 }))
      const expected = each(q).map((maps, n) => own.step(maps, each(scores)[n]!))
      each(meanFieldStep(q, scores, grid)).forEach((maps, n) => {
        near(maps, expected[n]!)
      })
      const parts = { even: 0, odd: 1 } as const
      for (const part of ['even', 'odd'] as const) {
        const moves = (i: number): boolean => (Math.floor(i / W) + (i % W)) % 2 === parts[part]
        each(meanFieldStep(q, scores, grid, { part })).forEach((maps, n) => {
          near(maps, own.step(each(q)[n]!, each(scores)[n]!, moves))
        })
      }
      const free = each(q).reduce((sum, maps, n) => sum + own.free(maps, each(scores)[n]!), 0)
      expect(freeEnergy(q, scores, grid).item()).toBeCloseTo(free / (N * H * W), 5)
    })
  })

  it('is refinement, step by step', () => {
    scope(() => {
      const grid = modelOf(K, 3, 3)
      const scores = normal([N, K, H, W], { seed: 1 })
      let q = softmax(scores)
      near(refine(scores, grid, { steps: 0 }).data(), q.data(), 7)
      for (let t = 0; t < 3; t++) q = meanFieldStep(q, scores, grid)
      expect(refine(scores, grid, { steps: 3 }).data()).toEqual(q.data())
    })
  })

  it('never makes the free energy larger in the order of a checkerboard, and bounds −ln Z from above', () => {
    scope(() => {
      const [h, w] = [3, 3]
      // Neighbours that repel: all at once, the probabilities swing.
      for (const strength of [1.5, -2.5]) {
        const grid = pottsModel({ classes: 2, strength })
        const scores = normal([1, 2, h, w], { seed: 4 })
        const energies = Array.from({ length: 12 }, (_, steps) =>
          freeEnergy(refine(scores, grid, { steps, order: 'checkerboard' }), scores, grid).item(),
        )
        energies.slice(1).forEach((value, t) => expect(value).toBeLessThanOrEqual(energies[t]! + 1e-6))
        expect(energies.at(-1)).toBeLessThan(energies[0]! - 0.01)
        const theta = scores.data()
        let Z = 0
        for (let map = 0; map < 2 ** (h * w); map++) {
          const y = Array.from({ length: h * w }, (_, i) => (map >> i) & 1)
          let energy = 0
          y.forEach((label, i) => {
            energy -= theta[label * h * w + i]!
            if ((i + 1) % w && y[i + 1] !== label) energy += strength
            if (i + w < h * w && y[i + w] !== label) energy += strength
          })
          Z += Math.exp(-energy)
        }
        expect(energies.at(-1) * h * w).toBeGreaterThan(-Math.log(Z) - 1e-5)
      }
    })
  })

  it('says nothing beyond the edges, and nothing of a pixel to itself', () => {
    scope(() => {
      const neighbours = tensor([0, 0, 0, 0, 5, 0, 0, 0, 0], [3, 3])
      const grid = { neighbours, compatibility: normal([K, K], { seed: 3 }) }
      const scores = normal([1, K, 2, 2], { seed: 1 })
      near(refine(scores, grid).data(), softmax(scores).data(), 7)
      const one = normal([1, K, 1, 1], { seed: 2 })
      near(refine(one, modelOf(K, 3, 3)).data(), softmax(one).data(), 7)
    })
  })

  it('smooths: a lone label among others disappears', () => {
    scope(() => {
      const scores = tensor(
        Float32Array.from({ length: 50 }, (_, i) => (i < 25 ? (i === 12 ? 0 : 1) : i === 37 ? 1.5 : 0)),
        [1, 2, 5, 5],
      )
      const q = refine(scores, pottsModel({ classes: 2, strength: 1, connectivity: 8 })).data()
      expect(q.slice(0, 25).every((p) => p > 0.5)).toBe(true)
    })
  })

  it('has gradients by everything that it takes', () => {
    scope(() => {
      const { neighbours, compatibility } = modelOf(K, 3, 3)
      const q = softmax(normal([1, K, 3, 4], { seed: 5 }))
      const scores = normal([1, K, 3, 4], { seed: 6 })
      const options = { step: 1e-2, tolerance: 2e-3 }
      for (const part of ['all', 'odd'] as const) {
        const check = gradcheck(
          (q, scores, neighbours, compatibility) => meanFieldStep(q, scores, { neighbours, compatibility }, { part }),
          [q, scores, neighbours, compatibility],
          options,
        )
        expect(check.ok, JSON.stringify(check)).toBe(true)
      }
      const refined = gradcheck(
        (scores, neighbours, compatibility) => refine(scores, { neighbours, compatibility }, { steps: 3 }),
        [scores, neighbours, compatibility],
        options,
      )
      expect(refined.ok, JSON.stringify(refined)).toBe(true)
      const energy = gradcheck(
        (q, scores, neighbours, compatibility) => freeEnergy(q, scores, { neighbours, compatibility }),
        [q, scores, neighbours, compatibility],
        { step: 1e-3 },
      )
      expect(energy.ok, JSON.stringify(energy)).toBe(true)
      const labels = Array.from({ length: 12 }, (_, i) => (i === 4 ? 255 : i % K))
      const likelihood = gradcheck(
        (scores, neighbours, compatibility) =>
          pseudoLikelihood(scores, labels, { neighbours, compatibility }, { ignoreIndex: 255 }),
        [scores, neighbours, compatibility],
        options,
      )
      expect(likelihood.ok, JSON.stringify(likelihood)).toBe(true)
    })
  })

  it('has an objective whose gradient leads to what its steps lead to', () => {
    scope(() => {
      const grid = pottsModel({ classes: 2, strength: 0.4 })
      const scores = normal([1, 2, 4, 4], { seed: 7 })
      const step = valueAndGrad((z) => freeEnergy(softmax(z), scores, grid))
      let z = scores.data()
      for (let t = 0; t < 400; t++) {
        const { gradients } = scope(() => {
          const { gradients, value } = step(tensor(z, [1, 2, 4, 4]))
          value.dispose()
          return { gradients: gradients[0]!.data() }
        })
        z = z.map((value, i) => value - 8 * gradients[i]!)
      }
      near(softmax(tensor(z, [1, 2, 4, 4])).data(), refine(scores, grid, { steps: 60 }).data(), 3)
    })
  })
})

describe('the pseudo-likelihood', () => {
  it('is the mean surprise of each label, given its neighbours’', () => {
    scope(() => {
      const grid = modelOf(K, 3, 5)
      const own = reference(grid, K, H, W)
      const scores = normal([N, K, H, W], { seed: 1 })
      const labels = Array.from({ length: N * H * W }, (_, i) => (i % 11 === 3 ? 9 : (i * 7) % K))
      let [total, counted] = [0, 0]
      each(scores).forEach((theta, n) => {
        const y = labels.slice(n * H * W, (n + 1) * H * W)
        const hot = Array.from({ length: K * H * W }, (_, i) => (y[i % (H * W)] === Math.floor(i / (H * W)) ? 1 : 0))
        y.forEach((label, i) => {
          if (label === 9) return
          const logits = Array.from({ length: K }, (_, k) => theta[k * H * W + i]! - own.message(hot, i, k))
          total -= logits[label]! - Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0))
          counted++
        })
      })
      expect(pseudoLikelihood(scores, labels, grid, { ignoreIndex: 9 }).item()).toBeCloseTo(total / counted, 5)
    })
  })
})

describe('the layer of mean field', () => {
  it('gives the logits of what refinement gives, and comes back from its JSON form', () => {
    scope(() => {
      const model = new Sequential([new MeanField({ steps: 3, size: 5, strength: 0.3 })], { input: [K, H, W] })
      const x = normal([N, K, H, W], { seed: 1 })
      const [neighbours, compatibility, scale] = model.parameters() as [Tensor, Tensor, Tensor]
      neighbours.assign(normal([5, 5], { seed: 2, std: 0.3 }).data())
      compatibility.assign(normal([K, K], { seed: 3 }).data())
      const expected = refine(x, { neighbours, compatibility }, { steps: 3 }).data()
      near(softmax(model.forward(x)).data(), expected)
      scale.assign([0.5])
      expect(softmax(model.forward(x)).data()).not.toEqual(expected)
      const copy = modelFromJSON(JSON.parse(JSON.stringify(model)), 'model', { layers: { MeanField } })
      copy.load(model.save())
      expect(copy.forward(x).data()).toEqual(model.forward(x).data())
      expect(model.summary().layers[1]).toMatchObject({ layer: 'meanfield(5, 3)', parameters: 25 + 9 + 1 })
      for (const error of gradientErrors(model, x, 1e-2)) expect(error).toBeLessThan(2e-3)
      for (const one of [model, copy]) one.dispose()
    })
  })

  it('learns from labels how they go together', () => {
    scope(() => {
      // Stripes: the label of a pixel is the other one than that of its neighbours in the row.
      const labels = Array.from({ length: 36 }, (_, i) => i % 2)
      const model = new Sequential([new MeanField({ steps: 2 })], { input: [2, 6, 6] })
      const [neighbours, compatibility] = model.parameters() as [Tensor, Tensor]
      const noise = normal([1, 2, 6, 6], { seed: 3, std: 1 }).data()
      const x = tensor(
        noise.map((value, i) => value + (labels[i % 36] === Math.floor(i / 36) ? 0.8 : 0)),
        [1, 2, 6, 6],
      )
      const losses = Array.from({ length: 150 }, () =>
        scope(() => {
          const { value, gradients } = valueAndGrad(() => crossEntropy(model.forward(x, { training: true }), labels))(
            neighbours,
            compatibility,
          )
          for (const [at, parameter] of [neighbours, compatibility].entries()) {
            const by = gradients[at]!.data()
            parameter.assign(parameter.data().map((one, i) => one - by[i]!))
          }
          return value.item()
        }),
      )
      expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!)
      model.dispose()
    })
  })

  it('refuses options that make no field', () => {
    expect(() => new MeanField({ size: 4 })).toThrow(
      'MeanField: size must be odd, so that a pixel is in the middle, given 4',
    )
    expect(() => new MeanField({ steps: 0 })).toThrow(/steps/)
    expect(() => new MeanField({ strength: NaN })).toThrow(/strength must be a finite number/)
    expect(() => new MeanField().outputShape([3])).toThrow(/the input must be \(C, H, W\)/)
  })
})

it('what does not fit is refused in one line, and nothing is left behind', () => {
  const before = memoryUsage().liveBytes
  scope(() => {
    const grid = pottsModel({ classes: 3 })
    const scores = normal([1, 3, 4, 4], { seed: 1 })
    const q = softmax(scores)
    expect(() => meanFieldStep(normal([1, 3, 4, 5]), scores, grid)).toThrow(
      'meanFieldStep: q must be (1, 3, 4, 4) as the scores, given (1, 3, 4, 5)',
    )
    expect(() => refine(normal([1, 2, 4, 4]), grid)).toThrow(
      'refine: compatibility must be (2, 2) for 2 labels, given (3, 3)',
    )
    expect(() => refine(scores, { ...grid, neighbours: normal([2, 3]) })).toThrow(
      'refine: neighbours must be (R, S), both odd, given (2, 3)',
    )
    expect(() => refine(scores, undefined as never)).toThrow(/^refine: the grid model must be \{ neighbours/)
    expect(() => refine(scores, grid, { order: 'random' as never })).toThrow(/'parallel' or 'checkerboard'/)
    expect(() => refine(scores, grid, { steps: -1 })).toThrow(/steps must be a whole number from 0/)
    const eight = pottsModel({ classes: 3, connectivity: 8 })
    expect(() => refine(scores, eight, { order: 'checkerboard' })).toThrow(
      "refine: order 'checkerboard' needs neighbours that are an odd number of steps away, but the weight at (0, 0) is not 0; use 'parallel'",
    )
    expect(() => meanFieldStep(q, scores, grid, { part: 'red' as never })).toThrow(
      /part must be 'all', 'even' or 'odd'/,
    )
    expect(() => freeEnergy(q, normal([3, 4, 4]), grid)).toThrow('scores must be (N, K, H, W), given (3, 4, 4)')
    expect(() => pseudoLikelihood(scores, new Array<number>(15).fill(0), grid)).toThrow(
      'pseudoLikelihood: the label map must be (1, 4, 4), 16 labels, given 15',
    )
    expect(() => pseudoLikelihood(scores, new Array<number>(16).fill(3), grid)).toThrow(
      'pseudoLikelihood: label 0 of the map is 3; a label must be a whole number from 0 to 2',
    )
    expect(() => pottsModel({ classes: 0 })).toThrow(/classes must be a whole number from 1/)
  })
  expect(memoryUsage().liveBytes).toBe(before)
})
