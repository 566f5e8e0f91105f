/** Wrong things in place of every argument of what needs a file system: an error of the library tells what is due. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePng } from '../../src/formats/png.js'
import * as node from '../../src/node/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ToeplitzError } from '../../src/runtime/errors.js'

const root = mkdtempSync(join(tmpdir(), 'toeplitz-wrong-'))
const home = process.cwd()
beforeAll(async () => {
  await init()
  process.chdir(root)
  for (const name of ['cat', 'dog']) {
    mkdirSync(join('photos', name), { recursive: true })
    for (let n = 0; n < 3; n++) {
      const data = new Uint8Array(16).fill(n)
      writeFileSync(join('photos', name, `${n}.png`), encodePng({ width: 4, height: 4, channels: 1, data }))
    }
  }
})
afterAll(() => {
  process.chdir(home)
  rmSync(root, { recursive: true, force: true })
})

const wrong: readonly unknown[] = [
  ...[null, 3, true, {}, [], Symbol('a symbol'), 1n, new Uint8Array(3), Promise.resolve('photos'), () => 'photos'],
  ...[{ directory: 'photos' }, new URL('file:///photos'), 'no-such-folder', 'a\0b'],
]

/** Functions by name, and the place of their path among their arguments. */
const functions = Object.entries(node).map(([name, call]) => {
  const before = name === 'isA' ? ['directory'] : []
  return [name, (...args: unknown[]) => (call as (...args: unknown[]) => unknown)(...before, ...args)] as const
})

async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  return undefined
}

describe.each(functions)('%s', (name, call) => {
  it('says what is due in place of its path', async () => {
    for (const value of wrong) {
      // Nothing is wrong with a name that is to be made, or is asked for.
      if (value === 'no-such-folder' && ['isA', 'ensureDirectory', 'writeFileAtomically'].includes(name)) continue
      const error = await failure(() => (name === 'writeFileAtomically' ? call(value, new Uint8Array(1)) : call(value)))
      if (name === 'isA' && error === undefined && typeof value === 'string') continue
      expect(error).toBeInstanceOf(ToeplitzError)
      const { message } = error as ToeplitzError
      expect(message).not.toMatch(/\n|\[object|INVALID_ARG_TYPE/)
      if (typeof value !== 'string') expect(message).toMatch(/^[\w-]+: the (path|folder) must be a path, given /)
    }
  })
})

describe.each(['openImageFolder', 'loadImageFolder'] as const)('%s', (name) => {
  it.each([
    [{ size: 28 }, /: size must be \[height, width\] or 'as is', given 28$/],
    [{ size: [0, 3] }, /size must be a height and a width of whole numbers from 1 on/],
    [{ channels: 2 }, /channels must be one of 1, 3; given 2$/],
    [{ fit: 'crop' }, /fit must be one of cover, contain, stretch; given 'crop'$/],
    [{ strict: 'no' }, /: strict must be true or false, given 'no'$/],
    [{ onSkip: 3 }, /: onSkip must be a function, given 3$/],
    [{ onOther: {} }, /: onOther must be a function, given an object$/],
    [{ cacheBytes: '1 GB' }, /: cacheBytes must be a finite number from 0 on, given '1 GB'$/],
    [{ chanels: 1 }, /: there is no option 'chanels'; did you mean 'channels'\?/],
  ])('says what is wrong with %j', async (options, message) => {
    const error = await failure(() => node[name]('photos', options as never))
    expect(error).toBeInstanceOf(ToeplitzError)
    expect((error as ToeplitzError).message).toMatch(message)
  })
})
