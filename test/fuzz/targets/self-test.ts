/** Targets with known faults, for the tests of the runner: each has one kind of fault in some of its cases. */
import { allocate, kernels, parallel, release } from '../../../src/runtime/core.js'
import { FormatError } from '../../../src/runtime/errors.js'
import type { Json } from '../mutate.js'
import { accepted, defineTarget, expect, type Outcome, type Target } from '../target.js'

const faults: Readonly<Record<string, () => void>> = {
  foreign() {
    throw new TypeError('foreign on purpose')
  },
  wrong() {
    expect(false, 'wrong on purpose')
  },
  leak() {
    allocate(1000)
  },
  memory() {
    new Uint8Array(100 << 20).fill(1)
  },
  slow() {
    const began = process.cpuUsage()
    for (let spent = 0; spent < 2_300_000;) {
      const { user, system } = process.cpuUsage(began)
      spent = user + system
    }
  },
  guard() {
    const pointer = allocate(64)
    kernels().random_uniform(pointer + 16, 16, 1, 0, 0, 1)
    release(pointer)
  },
  trap() {
    const beyond = 2 ** 32 - 64
    parallel('norm_scale', 1000, 1, beyond, beyond, 2)
  },
  crash() {
    process.abort()
  },
  hang() {
    for (;;);
  },
}

const targetOf = (kind: string, perform: () => void): Target =>
  defineTarget<Json>({
    about: `${kind} in a third of its cases, for the tests of the runner`,
    cases: 0,
    readsFiles: true,
    make: (random) => random.pick(['accepted', 'refused', kind]),
    check(input): Outcome {
      if (input === 'refused') throw new FormatError('refused on purpose')
      if (input !== 'accepted') perform()
      return accepted()
    },
  })

/** Lists of numbers, wrong where their sum is 100 or more: for making cases smaller. */
const sum = defineTarget<Json>({
  about: 'lists whose sum is too large, for the tests of the runner',
  cases: 0,
  make: (random) => random.list(12, () => random.between(20, 300)),
  check(input): Outcome {
    expect((input as number[]).reduce((total, number) => total + number, 0) < 100, 'too large')
    return accepted()
  },
})

export const selfTests: readonly (readonly [string, Target])[] = [
  ...Object.entries(faults).map(([kind, perform]) => [`self-test-${kind}`, targetOf(kind, perform)] as const),
  ['self-test-sum', sum],
]
