/** The tables and the curves of the pages are those of the committed results, which reach what the lecture does. */
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { architectures } from '../../src/zoo/index.js'

const root = new URL('../../', import.meta.url)

describe('results', () => {
  it('stand in the pages as docs/results.mjs writes them', () => {
    const script = fileURLToPath(new URL('docs/results.mjs', root))
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const wrong = spawnSync(process.execPath, [script, '--chekc'], { encoding: 'utf8' })
    expect([wrong.status, wrong.stderr]).toEqual([2, 'usage: node docs/results.mjs [--check]\n'])
  })

  it('of the zoo stand in docs/networks.md and its chart as docs/zoo.mjs writes them, each published error with its source', () => {
    const script = fileURLToPath(new URL('docs/zoo.mjs', root))
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const wrong = spawnSync(process.execPath, [script, 'check'], { encoding: 'utf8' })
    expect([wrong.status, wrong.stderr]).toEqual([2, 'usage: node docs/zoo.mjs [--check]\n'])
    const page = readFileSync(new URL('docs/networks.md', root), 'utf8')
    const part = page.slice(page.indexOf('<!-- zoo -->'), page.indexOf('<!-- /zoo -->'))
    const rows = [...part.matchAll(/^\| `(.*?)` .*$/gm)].map(([line, name]) => {
      const [source, top1, top5] = line.split('|').slice(1, -1).reverse()
      return { name, hasError: `${top5}${top1}`.includes('%'), hasSource: /\]\(https:/.test(source!) }
    })
    const names = Object.keys(architectures).filter((name) => name !== 'convnet')
    expect(rows.map(({ name }) => name).sort()).toEqual(names.sort())
    expect(rows.filter(({ hasError, hasSource }) => hasError !== hasSource)).toEqual([])
    expect(rows.filter(({ hasError }) => hasError).length).toBeGreaterThan(25)
  })

  it.each([
    ['linear-cifar10', 0.62],
    ['two-layer-cifar10', 0.49],
    ['convnet-cifar10', 0.28],
    ['convnet-mnist', 0.012],
    ['lenet5-mnist', 0.012],
    ['lenet5-paper-mnist', 0.012],
  ])('%s: at most %d wrong of all, with command, seed, machine and time', (name, most) => {
    const text = readFileSync(new URL(`bench/results/training-${name}.json`, root), 'utf8')
    const run = JSON.parse(text) as {
      name: string
      command: string
      seed: number
      test_error: number
      test: { images: number; errors: number }
      seconds: number
      machine: { cpu: string; date: string; versions: { node: string } }
    }
    expect(run.name).toBe(name)
    expect(run.test_error).toBeLessThanOrEqual(most)
    expect(run.test.images).toBe(10_000)
    expect(run.test.errors / run.test.images).toBe(run.test_error)
    expect(run.command).toMatch(new RegExp(`^toeplitz train .* --seed ${run.seed}$`))
    expect(run.machine.versions.node).toMatch(/^\d+/)
    expect(run.machine.date).toMatch(/^\d{4}-/)
    expect(run.seconds).toBeGreaterThan(0)
  })
  it.each([
    ['kmeans-single-layer-cifar10', 0.35],
    ['kmeans-single-layer-mnist', 0.015],
    ['random-single-layer-mnist', 0.03],
    ['autoencoder-convnet-mnist', 0.015],
  ])('%s, with features without labels: at most %d wrong of all, in 15 minutes', (name, most) => {
    const text = readFileSync(new URL(`bench/results/features-${name}.json`, root), 'utf8')
    const run = JSON.parse(text) as {
      command: string
      test_error: number
      test: { images: number; errors: number }
      seconds: Record<string, number>
      machine: { cores: number; date: string }
    }
    expect(run.test_error).toBeLessThanOrEqual(most)
    expect(run.test.images).toBe(10_000)
    expect(run.test.errors / run.test.images).toBe(run.test_error)
    expect(run.command).toMatch(/^toeplitz features .* --seed 1$/)
    expect(Object.values(run.seconds).reduce((sum, part) => sum + part)).toBeLessThan(900)
    expect(run.machine.cores).toBe(2)
    expect(run.machine.date).toMatch(/^\d{4}-/)
  })

  it.each(['random-100-single-layer-cifar10', 'random-64-single-layer-mnist'])(
    '%s: trained whole from these filters it is less wrong, in 15 minutes',
    (name) => {
      const [of, whole] = ['features', 'whole'].map(
        (kind) =>
          JSON.parse(readFileSync(new URL(`bench/results/${kind}-${name}.json`, root), 'utf8')) as {
            command: string
            test_error: number
            seconds: number
          },
      )
      expect(whole!.test_error).toBeLessThan(of!.test_error)
      expect(whole!.command).toMatch(/^toeplitz train .* --from runs\/random-single-layer-\w+ --unfreeze .* --seed 1$/)
      expect(whole!.seconds).toBeLessThan(900)
    },
  )

  it('has Boltzmann machines whose reconstruction gets better', () => {
    const { learning } = JSON.parse(
      readFileSync(new URL('bench/results/features-rbm-single-layer-mnist.json', root), 'utf8'),
    ) as { learning: { errors: number[]; activity: number }[] }
    const [{ errors, activity }] = learning as [(typeof learning)[0]]
    expect(errors).toHaveLength(10)
    expect(errors.at(-1)).toBeLessThan(errors[0]! / 2)
    expect(activity).toBeGreaterThan(0)
  })

  it('of shuffled pixels and low ranks: dense layers do not care, and what a rank costs an epoch wins back', () => {
    const read = (name: string): unknown =>
      JSON.parse(readFileSync(new URL(`bench/results/${name}.json`, root), 'utf8'))
    interface Side {
      test_error: number
      command: string
    }
    const { rows } = read('permuted-pixels') as { rows: { model: string; plain: Side; permuted: Side }[] }
    expect(rows.map(({ model }) => model)).toEqual(['linear', 'two-layer', 'convnet'])
    for (const { model, plain, permuted } of rows) {
      expect(permuted.command).toBe(`${plain.command} --permute-pixels 1`)
      if (model === 'convnet') expect(permuted.test_error).toBeGreaterThan(4 * plain.test_error)
      else expect(Math.abs(permuted.test_error - plain.test_error)).toBeLessThan(0.002)
    }
    const ranks = (
      read('low-rank') as { rows: { error: number; accuracy: number; accuracy_trained?: number; ms: number }[] }
    ).rows
    expect(ranks.map(({ error }) => error)).toEqual([0, 0.2, 0.3, 0.4, 0.5, 0.6])
    ranks.slice(1).forEach(({ accuracy }, i) => expect(accuracy).toBeLessThan(ranks[i]!.accuracy))
    for (const { accuracy, accuracy_trained: trained } of ranks) if (trained) expect(trained).toBeGreaterThan(accuracy)
    // Fewer ranks of the same layers take less time, from the error on at which convolutions are replaced.
    const times = ranks.slice(2).map(({ ms }) => ms)
    expect(times).toEqual([...times].sort((a, b) => b - a))
  })

  it('of pooling: maxout units fit their shapes, three filters are less wrong of turned digits and fives look alike at all angles', () => {
    interface Responses {
      angle: number
      filters: number[]
      wins: number[]
      unit: number
    }
    const { shapes, rotation, compare, seconds, machine } = JSON.parse(
      readFileSync(new URL('bench/results/pooling.json', root), 'utf8'),
    ) as {
      shapes: { name: string; rms: number; lines: [number, number][][]; factors: number[]; shift: number }[]
      rotation: { rows: { filters: number; test_error: number; before: Responses[]; after: Responses[] }[] }
      compare: { rows: { name: string; test_error: number; errors: number[] }[] }
      seconds: number
      machine: { cores: number }
    }
    expect(seconds).toBeLessThan(900)
    expect(machine.cores).toBe(2)
    const targets = [Math.abs, (x: number) => x * x, (x: number) => Number(x > 0)]
    expect(shapes.map(({ name }) => name)).toEqual(['|x|', 'x²', 'a step'])
    shapes.forEach(({ rms, lines, factors, shift }, n) => {
      // The lines that are kept make the error that is kept.
      const squares = Array.from({ length: 200 }, (_, i) => {
        const x = (i - 99.5) / 100
        const units = lines.map((unit) => Math.max(...unit.map(([slope, offset]) => slope * x + offset)))
        return (shift + units.reduce((sum, value, u) => sum + factors[u]! * value, 0) - targets[n]!(x)) ** 2
      })
      expect(Math.sqrt(squares.reduce((a, b) => a + b) / 200)).toBeCloseTo(rms, 4)
      expect(rms).toBeLessThan([1e-3, 0.03, 0.1][n]!)
    })
    const [one, three] = rotation.rows
    expect([one!.filters, three!.filters]).toEqual([1, 3])
    expect(three!.test_error).toBeLessThan(0.7 * one!.test_error)
    const least = (of: (at: Responses) => number): number => Math.min(...three!.after.map(of))
    // The unit answers at every angle, each filter falls silent at some, and at least two of them win somewhere.
    expect(least(({ unit }) => unit)).toBeGreaterThan(4)
    for (const filter of [0, 1, 2]) expect(least(({ filters }) => filters[filter]!)).toBeLessThan(0)
    const winners = new Set(three!.after.map(({ wins }) => wins.indexOf(Math.max(...wins))))
    expect(winners.size).toBeGreaterThanOrEqual(2)
    for (const { unit } of three!.before) expect(Math.abs(unit)).toBeLessThan(1)
    expect(compare.rows).toHaveLength(7)
    for (const { test_error, errors } of compare.rows)
      expect(errors.reduce((a, b) => a + b) / errors.length).toBeCloseTo(test_error, 10)
  })

  it('of priors: strength from dense to convolution, weights that find four values, structured kernels on few pictures', () => {
    const { toeplitz, mixture, structured, seconds } = JSON.parse(
      readFileSync(new URL('bench/results/priors.json', root), 'utf8'),
    ) as {
      toeplitz: { deviation: number; strength: number; distance: number; error: number }[]
      mixture: { rows: { strength: number; error: number; shared_error?: number; distinct?: number[] }[] }
      structured: { pictures: number; kind: string; test_error: number; errors: number[] }[]
      seconds: number
    }
    expect(seconds).toBeLessThan(900)
    for (const deviation of [0, 0.1]) {
      const rows = toeplitz.filter((row) => row.deviation === deviation)
      expect(rows.map(({ strength }) => strength)).toEqual([0, 1e-4, 1e-3, 1e-2, 1e-1, 1])
      rows.slice(1).forEach(({ distance }, i) => expect(distance).toBeLessThan(rows[i]!.distance))
      const best = rows.findIndex(({ error }) => error === Math.min(...rows.map(({ error }) => error)))
      // What is a filter exactly wants the strongest prior; what is one nearly, one that gives way.
      if (deviation === 0) expect(best).toBe(rows.length - 1)
      else expect(best).toBeLessThan(rows.length - 1)
    }
    const found = mixture.rows.find(({ strength }) => strength === 3e-4)!
    expect(found.distinct).toEqual([4, 4, 4])
    expect(found.shared_error).toBeLessThan(0.05 * mixture.rows[0]!.error)
    expect(structured.map(({ pictures, kind }) => `${pictures} ${kind}`)).toEqual(
      [100, 300, 1000].flatMap((count) => [`${count} ordinary`, `${count} structured`]),
    )
    for (const { test_error, errors } of structured)
      expect(errors.reduce((a, b) => a + b) / errors.length).toBeCloseTo(test_error, 10)
  })

  it('of labels for pixels: U-Net above plain, each step not below the one before, refined above not, in 15 minutes', () => {
    interface Labelled {
      command: string
      seconds: number
      test: Record<string, { mean_iou: number; pixel_accuracy: number; iou: number[] }>
      test_scenes: number
      machine: { cores: number }
    }
    const labelled = (name: string): Labelled =>
      JSON.parse(readFileSync(new URL(`bench/results/pixels-${name}.json`, root), 'utf8')) as Labelled
    const iou = (name: string, of: string): number => labelled(name).test[of]!.mean_iou
    expect(iou('unet', 'all')).toBeGreaterThan(iou('plain', 'all'))
    const steps = Object.values(labelled('recurrent').test).map((figures) => figures.mean_iou)
    expect(steps.length).toBeGreaterThanOrEqual(3)
    steps.slice(1).forEach((value, t) => expect(value).toBeGreaterThanOrEqual(steps[t]!))
    for (const name of ['unet-refined', 'plain-refined'])
      expect(iou(name, 'learned')).toBeGreaterThan(iou(name, 'none'))
    for (const name of ['plain', 'coarse', 'unit', 'recurrent', 'unet', 'unet-refined', 'plain-refined']) {
      const { command, seconds, test, test_scenes, machine } = labelled(name)
      expect(command).toMatch(/^node bench\/pixels\.mjs (train|refine) \w+/)
      expect(seconds).toBeLessThan(900)
      expect([machine.cores, test_scenes]).toEqual([2, 500])
      for (const { iou, mean_iou } of Object.values(test)) {
        expect(iou).toHaveLength(11)
        expect(iou.reduce((sum, value) => sum + value, 0) / 11).toBeCloseTo(mean_iou, 4)
      }
    }
  })

  it('of the extractor: at most 600 kB, the bytes that its record names, and an error on each of 20 epochs', () => {
    const at = (name: string): Buffer => readFileSync(new URL(`examples/extractor/${name}`, root))
    const weights = at('model.safetensors')
    const { sha256, command, test, test_error, epochs } = JSON.parse(at('result.json').toString()) as {
      sha256: string
      command: string
      test: { images: number; errors: number }
      test_error: number
      epochs: unknown[]
    }
    expect(weights.length).toBeLessThanOrEqual(600_000)
    expect(createHash('sha256').update(weights).digest('hex')).toBe(sha256)
    expect(command).toMatch(/^toeplitz train --model extractor\.json .* && toeplitz train .*--resume --epochs 20$/)
    expect(test.errors / test.images).toBeCloseTo(test_error, 10)
    expect([test.images, epochs.length]).toEqual([8000, 20])
  })

  it('of fine-tuning: ten draws of twenty pictures, of which a trained network makes more than training from scratch', () => {
    const text = readFileSync(new URL('bench/results/fine-tuning.json', root), 'utf8')
    const { rows, unseen, shots, test_pictures, base, command } = JSON.parse(text) as {
      rows: { way: string; lr: number; accuracy: number; deviation: number; draws: number[] }[]
      unseen: string[]
      shots: number
      test_pictures: number
      base: { classes: number; accuracy: number }
      command: string
    }
    expect(command).toMatch(/^node examples\/node\/fine-tuning\.mjs --data-dir DIR /)
    expect([unseen.length, shots, test_pictures, base.classes]).toEqual([2, 20, 2000, 8])
    for (const { accuracy, deviation, draws } of rows) {
      expect(draws).toHaveLength(10)
      expect(draws.reduce((sum, share) => sum + share, 0) / 10).toBeCloseTo(accuracy, 10)
      const squares = draws.reduce((sum, share) => sum + (share - accuracy) ** 2, 0)
      expect(Math.sqrt(squares / 9)).toBeCloseTo(deviation, 10)
      // Whole pictures of all that are tested.
      for (const share of draws)
        expect(Math.abs(share * test_pictures - Math.round(share * test_pictures))).toBeLessThan(1e-6)
    }
    const [scratch, head, all] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0]]
    expect(scratch.way).toBe('from scratch')
    for (const { accuracy } of [head, all]) expect(accuracy).toBeGreaterThan(scratch.accuracy)
  })

  it('of quantized networks: at most half a point lost, in files of less than a third', () => {
    const { command, rows } = JSON.parse(
      readFileSync(new URL('bench/results/quantized-accuracy.json', root), 'utf8'),
    ) as {
      command: string
      rows: {
        network: string
        layers: string
        integers: number
        test: Record<'float32' | 'int8', { images: number; errors: number; test_error: number }>
        bytes: { float32: number; int8: number }
      }[]
    }
    expect(command).toMatch(/^node bench\/quantized\.mjs --cifar10 DIR$/)
    expect(rows.map(({ network, layers }) => `${network} ${layers}`)).toEqual(
      ['lenet5-mnist', 'convnet-cifar10'].flatMap((network) => [`${network} fastest`, `${network} all`]),
    )
    for (const { test, bytes, integers } of rows) {
      for (const { images, errors, test_error } of Object.values(test)) {
        expect(images).toBe(10000)
        expect(test_error).toBe(errors / images)
      }
      expect(test.int8.test_error - test.float32.test_error).toBeLessThanOrEqual(0.005)
      expect(bytes.int8 / bytes.float32).toBeLessThan(0.3)
      expect(integers).toBeGreaterThan(0)
    }
    for (const [{ test: network }, { test: same }] of [rows.slice(0, 2), rows.slice(2)] as [
      (typeof rows)[0],
      (typeof rows)[0],
    ][])
      expect(same.float32).toEqual(network.float32)
  })

  it.each([
    ['spectrograms', 0.95],
    ['waveforms', 0.95],
    ['movements', 0.95],
    ['volumes', 0.95],
    ['video', 0.95],
    ['sizes', 0.9],
  ])('%s, of table 9.1: at least %d right of what was held out, in 15 minutes on two cores', (name, least) => {
    const text = readFileSync(new URL(`bench/results/table-9-1-${name}.json`, root), 'utf8')
    const run = JSON.parse(text) as {
      command: string
      test: { examples: number; errors: number; accuracy: number }
      confusion: number[][]
      seconds: number
      machine: { cores: number; date: string }
    }
    expect(run.command).toBe(`node examples/node/table-9-1/run.mjs ${name} --save`)
    expect(1 - run.test.errors / run.test.examples).toBeGreaterThanOrEqual(least)
    expect(run.test.accuracy).toBeCloseTo(1 - run.test.errors / run.test.examples, 10)
    const wrong = run.confusion.flatMap((row, due) => row.filter((_, found) => found !== due))
    expect(wrong.reduce((sum, count) => sum + count)).toBe(run.test.errors)
    expect(run.seconds).toBeLessThan(900)
    expect(run.machine.cores).toBe(2)
    expect(run.machine.date).toMatch(/^\d{4}-/)
  })

  it('of the networks at full size: memory as predicted, and images known by heart', () => {
    const text = readFileSync(new URL('bench/results/networks.json', root), 'utf8')
    const networks = JSON.parse(text) as {
      network: string
      forward: Record<'weights_MB' | 'packed_MB' | 'peak_MB' | 'peak_predicted_MB' | 'held_MB', number>
      file: { outputs: string }
      training: { batch: number; losses: number[]; in_use_after: { loss: number; accuracy: number } }
    }[]
    expect(networks.map(({ network }) => network)).toEqual(['alexnet', 'zfnet', 'vgg16', 'nin', 'googlenet'])
    for (const { forward, file, training } of networks) {
      expect(Math.abs(forward.peak_MB / forward.peak_predicted_MB - 1)).toBeLessThan(0.05)
      expect(forward.peak_MB - forward.weights_MB - forward.packed_MB).toBeLessThanOrEqual(60)
      expect(file.outputs).toBe('identical')
      expect(training.batch).toBeGreaterThanOrEqual(4)
      expect(training.losses.at(-1)).toBeLessThan(training.losses[0]! / 4)
      expect(training.in_use_after).toMatchObject({ accuracy: 1 })
      expect(training.in_use_after.loss).toBeLessThan(0.05)
    }
  })
})
