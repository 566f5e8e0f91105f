import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createProgress } from '../../src/cli/progress.js'
import type { ProgressStep } from '../../src/cli/progress.js'
import type { EpochRecord } from '../../src/cli/records.js'

class FakeStream extends Writable {
  text = ''
  constructor(
    readonly isTTY: boolean,
    readonly columns = 80,
  ) {
    super({ decodeStrings: false })
  }
  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

/** What a terminal of one line at a time would show: each state of the line, and the lines that stay. */
function replay(text: string): { states: string[]; kept: string[] } {
  const states: string[] = []
  const kept: string[] = []
  let line = ''
  // eslint-disable-next-line no-control-regex -- escape sequences are what it reads
  for (const part of text.match(/\x1b(?:\[[0-9?]*[A-Za-z]|[78])|\n|[^\x1b\n]+/g) ?? []) {
    if (part === '\x1b[1G' || part === '\x1b[2K' || part === '\x1b[0K') line = part === '\x1b[0K' ? line : ''
    else if (part === '\n') line = (kept.push(line), '')
    else if (!part.startsWith('\x1b')) states.push((line = part))
  }
  if (line !== '') kept.push(line)
  return { states, kept }
}

function step(overrides: Partial<ProgressStep>): ProgressStep {
  return { epoch: 1, step: 1, loss: 0.43211, accuracy: 0.8912, imagesPerSecond: 1834.4, ...overrides }
}

const epochRecord: EpochRecord = {
  ...{ epoch: 1, trainingLoss: 0.1234, trainingAccuracy: 0.9612, validationLoss: 0.0567, validationAccuracy: 0.9834 },
  ...{ seconds: 31.41, imagesPerSecond: 1800 },
}
const plan = { epochs: 2, stepsPerEpoch: 860, batchSize: 64, firstStep: 0 }

describe('plain lines', () => {
  let milliseconds = 0
  const now = () => milliseconds
  beforeEach(() => {
    milliseconds = 0
  })

  it('come every 50 steps and at the end of an epoch, without control characters', () => {
    const stream = new FakeStream(false)
    const progress = createProgress(stream, { now })
    progress.start(plan)
    for (let index = 1; index <= 860; index++) {
      milliseconds = index * 100
      progress.step(step({ step: index }))
    }
    progress.epoch(epochRecord)
    progress.stop()
    const lines = stream.text.split('\n')
    expect(lines.pop()).toBe('')
    expect(lines).toHaveLength(18)
    expect(lines[0]).toBe('epoch 1/2  step   50/1720  loss 0.4321  acc 89.12%   1,834 img/s   2:47 left')
    expect(lines[17]).toBe('epoch 1/2 in 31.4 s: loss 0.1234 acc 96.12%; validation loss 0.0567 acc 98.34%')
    expect(stream.text).not.toMatch(/[^\x20-\x7e\n]/)
  })

  it('take the interval that was asked for', () => {
    const stream = new FakeStream(false)
    const progress = createProgress(stream, { plainInterval: 7, now })
    progress.start(plan)
    for (let index = 1; index <= 20; index++) progress.step(step({ step: index }))
    expect(stream.text.match(/step {4}(7|14)|step {3}(7|14)/g)).toHaveLength(2)
  })

  it('estimate the time left from the steps of this process, after a resume', () => {
    const stream = new FakeStream(false)
    milliseconds = 5_000_000
    const progress = createProgress(stream, { plainInterval: 1, now })
    progress.start({ ...plan, firstStep: 1600 })
    milliseconds += 1000
    progress.step(step({ epoch: 2, step: 1610 }))
    // Ten steps a second: the other 110 take eleven seconds.
    expect(stream.text).toContain('1610/1720')
    expect(stream.text).toContain(' 0:11 left')
  })

  it('fit 80 columns in a long run, and show hours', () => {
    const stream = new FakeStream(false)
    const progress = createProgress(stream, { plainInterval: 1, now })
    progress.start({ epochs: 20, stepsPerEpoch: 1200, batchSize: 64, firstStep: 0 })
    milliseconds = 1000
    progress.step(step({ epoch: 10, step: 1, accuracy: 1, imagesPerSecond: 12345 }))
    expect(stream.text).toContain('6:39:59 left')
    expect(stream.text.trimEnd().length).toBeLessThanOrEqual(80)
    milliseconds = 20_000_000
    stream.text = ''
    progress.step(step({ epoch: 10, step: 11_900, accuracy: 0.9, loss: 1e-7, imagesPerSecond: 12345 }))
    expect(stream.text).toContain('loss   1e-7')
  })

  it('keep a note to its line', () => {
    const stream = new FakeStream(false)
    createProgress(stream, { now }).note('cat\nepoch 9/9 in 0.1 s\u001b[2J')
    expect(stream.text).toBe('cat\\nepoch 9/9 in 0.1 s\\x1b[2J\n')
  })

  it('show a loss that is no number, and an epoch without validation', () => {
    const stream = new FakeStream(false)
    const progress = createProgress(stream, { plainInterval: 1, now })
    progress.start(plan)
    progress.step(step({ loss: Number.NaN, imagesPerSecond: Number.NaN }))
    progress.epoch({ ...epochRecord, validationLoss: null, validationAccuracy: null })
    expect(stream.text).toContain('loss    NaN')
    expect(stream.text.trimEnd().split('\n')[1]).toBe('epoch 1/2 in 31.4 s: loss 0.1234 acc 96.12%')
  })
})

describe('the bar of a terminal', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubEnv('TERM', 'xterm-256color')
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllEnvs()
  })

  /** Steps of 0.1 s from `first + 1` to `last`. */
  function play(stream: FakeStream, first: number, last: number, epochs = 2) {
    const progress = createProgress(stream, { now: () => Date.now() })
    progress.start({ ...plan, epochs, firstStep: first })
    for (let index = first + 1; index <= last; index++) {
      vi.setSystemTime(Date.now() + 100)
      progress.step(step({ epoch: Math.ceil(index / plan.stepsPerEpoch), step: index }))
    }
    return progress
  }

  it.each([40, 60, 80, 100, 200])('fits %d columns', (columns) => {
    const stream = new FakeStream(true, columns)
    play(stream, 0, 200).stop()
    const { states } = replay(stream.text)
    expect(states.length).toBeGreaterThan(20)
    for (const state of states) expect(state.length).toBeLessThan(columns)
    expect(states.at(-1)).toContain('200/1720')
    expect(states.at(-1)).toContain('2:32 left')
  })

  it('shows everything in 80 columns', () => {
    const stream = new FakeStream(true)
    play(stream, 0, 860).stop()
    const last = replay(stream.text).states.at(-1)
    expect(last).toMatch(/^epoch 1\/2 █+░+ +860\/1720 loss 0\.4321 acc 89\.12% +1,834 img\/s +1:26 left$/)
    const bar = last?.match(/[█░]+/)?.[0] ?? ''
    expect(bar.match(/█/g)?.length).toBe(Math.round(bar.length / 2))
  })

  it('begins where a resumed run begins, with the pace of this process', () => {
    const stream = new FakeStream(true)
    play(stream, 1600, 1610).stop()
    const { states } = replay(stream.text)
    expect(states[0]).toMatch(/^1600\/1720 █{28}░{2} starting$/)
    expect(states.at(-1)).toContain('0:11 left')
  })

  it('keeps the line of an epoch and goes on beneath it', () => {
    const stream = new FakeStream(true)
    const progress = play(stream, 0, 860)
    progress.epoch(epochRecord)
    progress.note('stopping after this step\n\u001b[2J')
    progress.stop()
    const { kept, states } = replay(stream.text)
    expect(kept).toEqual([
      expect.stringMatching(/^epoch 1\/2 in 31\.4 s: .*98\.34%$/),
      'stopping after this step\\n\\x1b[2J',
    ])
    expect(states.filter((state) => state.includes('860/1720')).length).toBeGreaterThanOrEqual(3)
  })

  it('holds no timer after stop, and stop may come twice or without start', () => {
    const progress = play(new FakeStream(true), 0, 3)
    expect(vi.getTimerCount()).toBe(1)
    progress.stop()
    progress.stop()
    expect(vi.getTimerCount()).toBe(0)
    createProgress(new FakeStream(true)).stop()
  })

  it('gives way to plain lines on a terminal that cannot redraw', () => {
    vi.stubEnv('TERM', 'dumb')
    const stream = new FakeStream(true)
    play(stream, 0, 100).stop()
    expect(stream.text).not.toContain('\x1b')
    expect(stream.text.split('\n')).toHaveLength(3)
  })
})
