/** Values in the store: how large they may be, what is kept of them, and that what strangers put there is checked. */
import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkUrl, isLasting, redisError, shownUrl, withoutPasswords } from '../../src/distributed/connection.js'
import { decodeRun, decodeTrial, encodeDescription } from '../../src/distributed/descriptions.js'
import { checkResult } from '../../src/distributed/jobs.js'
import { workersOf } from '../../src/distributed/registry.js'
import { hashOf, keeping, memoryStore, redisStore, type BinaryClient } from '../../src/distributed/store.js'
import { decodeLines, decodePictures, encodeLines, encodePictures } from '../../src/distributed/wire.js'
import { init } from '../../src/runtime/embedded.js'
import { ToeplitzError } from '../../src/runtime/errors.js'

beforeAll(() => init())

const failing = (error: Error): BinaryClient => ({
  getBuffer: () => Promise.reject(error),
  set: () => Promise.reject(error),
  del: () => Promise.reject(error),
})

describe('the store in Redis', () => {
  it('refuses a value of more than 512 MiB before it is sent, and says what takes it', async () => {
    let sent = 0
    const client: BinaryClient = { ...failing(new Error('unused')), set: () => Promise.resolve(sent++) }
    const store = redisStore(client, 'p')
    await expect(store.put(new Uint8Array(2 ** 29 + 1), 60)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/a value of 536870913 bytes.*store: \{ folder \}/) as string,
    })
    expect(sent).toBe(0)
    await store.put(Uint8Array.of(1), 60)
    expect(sent).toBe(1)
  })

  it('tells what the server refuses without the command, which has the value in it', async () => {
    const refused = Object.assign(new Error("OOM command not allowed when used memory > 'maxmemory'."), {
      command: { name: 'set', args: ['key', 'the value'] },
    })
    const store = redisStore(failing(refused), 'p', (error) => redisError('redis://h', error))
    const name = hashOf('x')
    for (const call of [() => store.put(Uint8Array.of(1), 60), () => store.get(name), () => store.delete(name)]) {
      const error: unknown = await call().catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        code: 'REDIS',
        message: expect.stringMatching(/its memory is full; give/) as string,
      })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('the value')
      expect(isLasting(error)).toBe(true)
    }
    expect(isLasting(redisError('redis://h', new Error('Connection is closed.')))).toBe(false)
    expect(isLasting(new ToeplitzError('FILE', 'no folder'))).toBe(true)
  })
})

describe('values that a worker keeps', () => {
  it('have at most so many bytes together, those that were used last', async () => {
    const inner = memoryStore()
    const reads: string[] = []
    const store = keeping({ ...inner, get: (wanted) => (reads.push(wanted), inner.get(wanted)) }, 250)
    const names = await Promise.all([1, 2, 3].map((n) => inner.put(new Uint8Array(100).fill(n), 60)))
    const [a, b, c] = names as [string, string, string]
    const large = await inner.put(new Uint8Array(300), 60)
    for (const name of [a, b, a, c, a, b]) await store.get(name)
    // With c, b has to go: a was used after it.
    expect(reads).toEqual([a, b, c, b])
    reads.length = 0
    // A value that is larger than all that may be kept goes as it came, and so do those before it.
    for (const name of [large, large, b]) await store.get(name)
    expect(reads).toEqual([large, large, b])
  })

  it('are asked for again where they could not be read', async () => {
    const inner = memoryStore()
    const store = keeping(inner, 100)
    const bytes = Uint8Array.of(7)
    await expect(store.get(hashOf(bytes))).rejects.toMatchObject({ code: 'ABSENT' })
    await inner.put(bytes, 60)
    expect(await store.get(hashOf(bytes))).toEqual(bytes)
  })
})

describe('what strangers may have put there', () => {
  const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
  const run = { model: { type: 'Sequential' }, parameters: ['a'], loss: 'mseLoss', metrics: { m: 'accuracy' }, seed: 0 }

  it('is a description where every field is one that it can have', () => {
    expect(decodeRun(encodeDescription(run))).toEqual(run)
    expect(decodeTrial(encodeDescription({ trial: 'module.score', shared: [1] }))).toMatchObject({ shared: [1] })
  })

  it.each<[unknown, string]>([
    [null, 'run: the description has undefined as model'],
    [[run], 'run: the description has undefined as model'],
    [{ ...run, model: 'Sequential' }, 'as model'],
    [{ ...run, parameters: [1] }, 'as parameters'],
    [{ ...run, loss: 5 }, 'as loss'],
    [{ ...run, metrics: ['accuracy'] }, 'as metrics'],
    [{ ...run, metrics: { m: {} } }, 'as metrics'],
    [{ ...run, seed: -1 }, 'as seed'],
    [{ ...run, module: 5 }, 'as module'],
  ])('%j is no description of a run', (value, why) => {
    expect(() => decodeRun(text(value))).toThrow(why)
  })

  it('is refused as JSON that is none, or that is nested too deeply', () => {
    expect(() => decodeTrial(text({ trial: 5 }))).toThrow('trial: the description has 5 as trial')
    expect(() => decodeTrial(new TextEncoder().encode('{'))).toThrow('trial: not JSON')
    expect(() => decodeRun(new TextEncoder().encode('['.repeat(1e5)))).toThrow('nested more than 64 levels')
    const pictures = encodePictures([{ name: 'a', bytes: Uint8Array.of(1) }])
    const broken = new TextDecoder('latin1').decode(pictures).replace('[{', '[[')
    expect(() => decodePictures(Uint8Array.from(broken, (char) => char.charCodeAt(0)))).toThrow('pictures: not JSON')
  })

  it.each<[Parameters<typeof checkResult>[0], unknown]>([
    ['gradients', 'a text'],
    ['gradients', null],
    ['predict', { result: '../x', seconds: 1 }],
    ['predict', { result: hashOf('x') }],
    ['trial', { result: hashOf('x'), seconds: 1 }],
    ['trial', { score: 'high', seconds: 1 }],
  ])('is refused as what %s gave: %j', (type, value) => {
    expect(() => checkResult(type, value)).toThrow(`job: ${type} gives`)
  })

  it('is refused as lines that are not of these pictures, not as many, or no objects', () => {
    const of = hashOf('pictures')
    const lines = ['{"image":"a"}', '{"image":"b"}']
    expect(decodeLines(encodeLines(lines, of), of, 2)).toEqual(lines)
    expect(() => decodeLines(encodeLines(lines, hashOf('others')), of, 2)).toThrow('the lines of other pictures')
    expect(() => decodeLines(encodeLines(lines, of), of, 3)).toThrow('2 lines for 3 pictures')
    expect(() => decodeLines(encodeLines(['{"image":'], of), of, 1)).toThrow('predict: a line: not JSON')
    expect(() => decodeLines(encodeLines(['5'], of), of, 1)).toThrow('a line must be an object, given 5')
  })

  it('is left out of the workers where it is no line of a worker', async () => {
    const own = { id: 'a', host: 'h', pid: 1, version: '1', simd: 'strict' }
    const texts = ['', 'null', '5', '[]', '{"id":"b"}', '['.repeat(1e5), null, JSON.stringify(own)]
    const client = {
      scan: () => Promise.resolve(['0', texts.map((_, n) => `toeplitz:worker:${n}`)]),
      mget: () => Promise.resolve(texts),
    }
    const rest = { threads: 0, concurrency: 0, done: 0, failed: 0, busySeconds: 0, upSeconds: 0 }
    expect(await workersOf(client as never)).toEqual([{ ...own, ...rest }])
  })
})

describe('the password of an address', () => {
  const secrets = [
    'redis://:hunter%2F2@host:1/',
    'redis://host:1/?password=hunter%2F2',
    'redis://u:hunter%2F2@h?token=hunter%2F2',
  ]

  it.each(secrets)('stands in no message of %s', (url) => {
    expect(shownUrl(url)).not.toContain('hunter')
    expect(shownUrl(url)).toContain('***')
    expect(withoutPasswords(url, "unknown command 'hunter/2', or hunter%2F2")).toBe("unknown command '***', or ***")
    const cause = Object.assign(new Error('ERR AUTH hunter/2'), { command: { name: 'auth', args: ['hunter/2'] } })
    const error = redisError(url, cause)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter')
    expect((error.cause as Error).message).toBe('ERR AUTH ***')
  })

  it('stands in no message of an address that is none of Redis', () => {
    for (const url of ['http://:hunter2@h', ':hunter2@h:6379']) {
      expect(() => checkUrl(url)).toThrow(/^redis: expected an address such as .*given another text$/)
    }
    expect(() => checkUrl(5)).toThrow('given 5')
  })
})
