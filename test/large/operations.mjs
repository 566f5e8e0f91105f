/**
 * Sums of 2·10⁸ terms and tensors of gigabytes: `npm run test:large`, which takes up to 4 GiB of memory and some minutes, and
 * so is no part of `npm test`. Every sum must be right to 1e-4, what memory cannot hold be refused, and nothing else change.
 */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import * as t from '../../dist/index.js'

await t.init()

const many = 2e8
const tenth = Math.fround(0.1)
/** Changed by nothing below. */
const canary = t.normal([1 << 16], { seed: 5 })
const intact = canary.data()

const near = (actual, exact) => assert.ok(Math.abs(actual - exact) <= 1e-4 * exact, `${actual} instead of ${exact}`)

/** Gradients for dy of ones. */
function gradients(f, ...inputs) {
  const { value, pullback, dispose } = t.vjp(f, ...inputs)
  const result = pullback(t.ones(value.shape))
  dispose()
  return result
}

const sums = {
  sum: () => near(t.sum(t.full([many], tenth)).item(), many * tenth),
  mean: () => near(t.mean(t.full([many], tenth)).item(), tenth),
  'global mean': () => near(t.globalAvgPool(t.full([1, 1, many], tenth)).item(), tenth),
  'p-norm': () => near(t.lpPool1d(t.full([1, 1, many], tenth), { kernel: many }).item(), Math.sqrt(many) * tenth),
  'linear, two rows as they lie': () =>
    near(t.linear(t.full([1, many], tenth), t.ones([1, many])).item(), many * tenth),
  'matmul, packed': () => near(t.matmul(t.full([1, many], tenth), t.ones([many, 1])).item(), many * tenth),
  'dw of a linear layer': () => {
    const [dw] = gradients((w) => t.linear(t.full([many, 1], tenth), w), t.ones([1, 1]))
    near(dw.item(), many * tenth)
  },
  'bias of a linear layer': () => {
    const [db] = gradients((bias) => t.linear(t.full([many, 1], tenth), t.ones([1, 1]), bias), t.ones([1]))
    assert.equal(db.item(), many)
  },
  'dw of tiles': () => {
    const [dw] = gradients((w) => t.tiledConv1d(t.full([1, 1, many], tenth), w), t.ones([1, 1, 1, 1]))
    near(dw.item(), many * tenth)
  },
  'local kernel of one pixel': () =>
    near(t.locallyConnected1d(t.full([1, 1, many], tenth), t.ones([1, 1, 1, many])).item(), many * tenth),
  'dx of an adaptive mean': () => {
    const [dx] = gradients((x) => t.adaptiveAvgPool1d(x, many), t.ones([1, 1, 1]))
    near(dx.item(), many)
  },
  'dx of an adaptive maximum': () => {
    const [dx] = gradients((x) => t.adaptiveMaxPool1d(x, many), t.ones([1, 1, 1]))
    near(dx.item(), many)
  },
  'dx of padding': () => {
    const [dx] = gradients((x) => t.pad(x, [[many, 0]], { mode: 'replicate' }), t.ones([1]))
    near(dx.item(), many + 1)
  },
  'dx of an enlargement': () => {
    const [dx] = gradients((x) => t.upsample2d(x, { scale: [1, many], mode: 'bilinear' }), t.ones([1, 1, 1, 1]))
    near(dx.item(), many)
  },
  'gradient of broadcasting': () => {
    const x = t.full([many], tenth)
    const [dy] = gradients((y) => t.mul(x, y), t.ones([1]))
    near(dy.item(), many * tenth)
  },
  'statistics of a batch': () => {
    const [runningMean, runningVar] = [t.ones([1]), t.ones([1])]
    t.batchNorm(t.full([1, 1, many], tenth), undefined, undefined, {
      ...{ training: true, momentum: 1, runningMean, runningVar },
    })
    near(runningMean.item(), tenth)
    assert.ok(runningVar.item() < 1e-12)
  },
  'mean loss': () => near(t.mseLoss(t.full([many], tenth), t.zeros([many])).item(), tenth * tenth),
  softmax: () => near(t.softmax(t.full([1, many], tenth)).data()[many - 1], 1 / many),
  'norm of gradients': () => near(t.clipGradNorm([t.full([many], tenth)], 1e9).norm, Math.sqrt(many) * tenth),
}

const refused = (f) => assert.throws(f, (error) => error instanceof t.OutOfMemoryError || error instanceof t.ShapeError)

const gigabytes = {
  '3 GiB of ones, and their last elements': () => {
    const count = 3 * 2 ** 28
    const x = t.ones([count])
    assert.equal(t.sum(x).item(), count)
    assert.deepEqual([...t.slice(x, { begin: [count - 3] }).data()], [1, 1, 1])
    assert.equal(t.max(x).item(), 1)
    assert.equal(t.maxPool1d(x.reshape([1, 1, count]), { kernel: 2 ** 28 }).size, 3)
  },
  '2 GiB of a map, whose workspace of 2 GiB does not fit': () => {
    const x = t.ones([1, 1, 2 ** 29])
    refused(() => t.lpPool1d(x, { kernel: 2 ** 28 }))
    refused(() => t.localResponseNorm(x, { size: 3 }))
    refused(() => t.mul(x, 2))
    assert.equal(t.sum(x).item(), 2 ** 29)
  },
  '4 GiB': () => {
    refused(() => t.zeros([2 ** 30]))
    refused(() => t.matmul(t.ones([2 ** 15, 1]), t.ones([1, 2 ** 15])))
    refused(() => t.pad(t.ones([4]), [[2 ** 30 - 4, 0]]))
  },
}

const { liveBytes } = t.memoryUsage()
for (const [name, check] of Object.entries({ ...sums, ...gigabytes })) {
  const start = performance.now()
  t.scope(check)
  assert.equal(t.memoryUsage().liveBytes, liveBytes, `${name}: memory is left`)
  assert.ok(
    canary.data().every((value, i) => value === intact[i]),
    `${name}: another tensor has changed`,
  )
  console.log(`${name}: right, ${((performance.now() - start) / 1000).toFixed(1)} s`)
}
console.log(`${Object.keys({ ...sums, ...gigabytes }).length} passed, 0 failed`)
