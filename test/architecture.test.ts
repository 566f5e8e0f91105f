import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  circles,
  entries,
  filesIn,
  floorOf,
  floors,
  importsOf,
  sources as allSources,
  upward,
} from '../docs/structure.mjs'
import { operations } from './operations/index.js'

const root = resolve(import.meta.dirname, '..')

describe('the house', () => {
  const sources = allSources()

  it('has every source file on a floor', () => {
    expect(sources.filter((file) => floorOf(file) < 0)).toEqual(entries)
  })

  it('imports downwards only', () => {
    expect(upward()).toEqual([])
  })

  it('has no circle of files that import each other, by types or when they run', () => {
    expect(circles()).toEqual([])
  })

  it('is drawn in CONTRIBUTING.md, floor by floor', () => {
    const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
    const rows = [...text.matchAll(/^\| (`(?:src|examples)\/.*?) +\|/gm)].map((match) =>
      [...match[1]!.matchAll(/`(?:src\/)?([\w/]+)`/g)]
        .map(([, name]) => `src/${name}`)
        .filter((room) => room !== 'src/examples/'),
    )
    expect(rows.map((rooms) => rooms.sort())).toEqual([...floors].reverse().map((rooms) => [...rooms].sort()))
  })

  it('leaves the folder of a run to the class Run: nothing else imports what knows its files', () => {
    const passing = sources
      .filter((file) => !file.startsWith('src/cli/run/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((target) => target.startsWith('src/cli/run/') && target !== 'src/cli/run/run.js')
          .map((target) => `${file} -> ${target}`),
      )
    expect(passing).toEqual([])
  })

  it('keeps Node out of everything but src/node, src/distributed and src/cli', () => {
    const reaching = sources.filter(
      (file) =>
        !file.startsWith('src/node/') &&
        !file.startsWith('src/distributed/') &&
        !file.startsWith('src/cli/') &&
        /from 'node:/.test(readFileSync(join(root, file), 'utf8')),
    )
    expect(reaching).toEqual([])
  })

  it('keeps libraries out of the core entry, except the loader', () => {
    const core = new Set<string>()
    const visit = (file: string): void => {
      if (core.has(file) || file.includes('/generated/')) return
      core.add(file)
      for (const target of importsOf(file)) visit(target.replace(/\.js$/, '.ts'))
    }
    visit('src/index.ts')
    expect(core).toContain('src/nn/conv.ts')
    const packages = [...core].flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export|\}).* from '([^.'][^']*)'/gm)].map(
        (match) => match[1]!,
      ),
    )
    expect([...new Set(packages)].sort()).toEqual(['@assemblyscript/loader'])
  })

  it('has a test for every operation and optimizer, or rows of the table of operations for all that a file exports', async () => {
    const untested = [...filesIn('src/ops'), ...filesIn('src/optim')]
      // What calls the kernels, and what operations are made with, is tested by the operations.
      .filter((file) => !/(\/index|Kernels|Options|pointwise|pointwiseRoutine)\.ts$/.test(file))
      .filter((file) => {
        const test = file.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts')
        return !statSync(join(root, test), { throwIfNoEntry: false })
      })
    for (const file of untested) {
      const exported = Object.keys((await import(join(root, file))) as object)
      expect(
        exported.filter((name) => !Object.hasOwn(operations, name)),
        file,
      ).toEqual([])
    }
  })

  it('keeps state in modules only where a process has one of it', () => {
    /** What makes nothing that changes, or only what is asked whether it changes below. */
    const plain = /^(?:new (?:Map|Set|WeakMap|RegExp|TextEncoder|TextDecoder|\w+Array)\b|[^n]|n(?!ew ))/
    const changes =
      '(?:\\.(?:push|pop|shift|unshift|splice|sort|reverse|fill|set|add|delete|clear|copyWithin)\\(|(?:\\.\\w+|\\[[^\\]\\n]*\\])+ (?:[-+*/|&?]{1,2})?= |\\.length = )'
    const state = sources.flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8')
      return [...text.matchAll(/^(?:export )?(let|var|const) (\w+)(?:: .*?)? = (.*)|^(?:export )?(let|var) (\w+)/gm)]
        .filter(([, kind, name, value = '', free]) => {
          if (free !== undefined || kind !== 'const' || !plain.test(value)) return true
          return new RegExp(`^(?!\\s*(?:\\*|//)).*(?<![\\w.#])${name}${changes}`, 'm').test(text)
        })
        .map(([, , name, , , other]) => `${file}: ${name ?? other}`)
    })
    expect(state.sort()).toEqual(
      [
        // The loaded core: the one memory that all tensors lie in, or why it can be used no more.
        'src/runtime/core.ts: core',
        'src/runtime/core.ts: broken',
        'src/runtime/core.ts: loading',
        'src/runtime/core.ts: views',
        // How tests divide work into chunks.
        'src/runtime/core.ts: forcedChunk',
        // Tapes, scopes and the pass that is being planned, while their functions run: operations find them here.
        'src/autodiff/tape.ts: open',
        'src/tensor/tensor.ts: scopes',
        'src/tensor/tensor.ts: planner',
        // Finalizers, which free what was let go.
        'src/autodiff/vjp.ts: collected',
        'src/tensor/tensor.ts: collected',
        // Operators that can be read once the kernels of integers are loaded, of which a process has one, too.
        'src/models/onnx/operators/index.ts: added',
        // A process has one table of open files, however many readers there are.
        'src/node/reading.ts: slots',
      ].sort(),
    )
  })

  it('has no mutable globals in the core', () => {
    const mutable = filesIn('assembly')
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) =>
        readFileSync(join(root, file), 'utf8')
          .split('\n')
          .filter((line) => /^(export )?(let|var) /.test(line))
          .map((line) => `${file}: ${line}`),
      )
    expect(mutable).toEqual([])
  })
})
