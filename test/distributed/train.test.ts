/** `toeplitz train --parts` and `--redis`: the same weights here and on workers, and what is refused. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { hashIn as sha256, tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'
import { init } from '../../src/runtime/embedded.js'
import type { TrainOptions } from '../../src/cli/actions.js'
import { checkParts, partsOf } from '../../src/cli/parts.js'
import { freePort, hasRedis, startProcess, startRedis } from './lib/redis.mjs'

const command = resolve(import.meta.dirname, '../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-train-parts-'))
const data = join(folder, 'data')
beforeAll(async () => {
  writeTinyData(data)
  await init()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const options: TrainOptions = { ...tinyOptions, dataDir: data, batchSize: 16, epochs: 3, earlyStopping: 0 }
const run = async (name: string, more: Partial<TrainOptions>): Promise<{ text: string; out: string }> => {
  const out = join(folder, name)
  return { text: await train({ ...options, out, ...more }), out }
}
const resultIn = (out: string): string => readFileSync(join(out, 'result.json'), 'utf8')

describe('parts in this process', () => {
  it('decide the bits: one gives those of a whole batch, more give others, and the command says so', async () => {
    const whole = await run('whole', {})
    const one = await run('one', { parts: 1, given: new Set(['parts']) })
    const five = await run('five', { parts: 5 })
    const hashes = [whole, one, five].map(({ out }) => sha256(out))
    expect(hashes[1]).toBe(hashes[0])
    expect(hashes[2]).not.toBe(hashes[0])
    expect(sha256((await run('again', { parts: 5 })).out)).toBe(hashes[2])
    expect(resultIn(five.out)).toContain('--parts 5')
    expect(resultIn(whole.out)).not.toContain('--parts')
  })

  it('stay those of the run that goes on', async () => {
    const { out } = await run('longer', { parts: 5, epochs: 2 })
    const given = new Set(['epochs'] as const)
    const typed = { ...options, out, epochs: 3, resume: out, given }
    await expect(train({ ...typed, parts: 4, given: new Set(['epochs', 'parts']) })).rejects.toThrow(
      '--parts 4: the run was started with 5; leave the option out, or start a new run',
    )
    await train(typed)
    const checkpoint = readFileSync(join(out, 'state.safetensors'), 'latin1')
    expect(checkpoint).toContain('\\"parts\\":5')
    expect(checkpoint).not.toContain('redis')
  })

  it('are refused where a batch has none such, or is divided otherwise', async () => {
    await expect(run('refused', { parts: 17 })).rejects.toThrow(
      '--parts 17: a batch of 16 images has at most 16 parts; take fewer, or a larger --batch-size',
    )
    await expect(run('refused', { parts: 2, accumulate: 2 })).rejects.toThrow(
      '--accumulate 2: --parts divides a batch as well; give --accumulate to save memory, or parts for workers',
    )
    const redis = 'redis://127.0.0.1:1'
    expect(() => checkParts({ parts: 1, batchSize: 16, accumulate: 2 }, { redis })).toThrow(
      '--accumulate 2: with --redis, parts divide a batch as well; give --accumulate to save memory, or parts for workers',
    )
    expect(() => checkParts({ parts: 16, batchSize: 16, accumulate: 1 }, { redis })).not.toThrow()
  })

  it('are 8 with --redis where none are typed, of a smaller batch as many as it has', () => {
    const redis = 'redis://127.0.0.1:1'
    expect(partsOf(options)).toBe(1)
    expect(partsOf({ ...options, redis })).toBe(8)
    expect(partsOf({ ...options, redis, batchSize: 3 })).toBe(3)
    expect(partsOf({ ...options, redis, parts: 1, given: new Set(['parts']) })).toBe(1)
  })
})

describe.skipIf(!hasRedis)('parts on workers (left out where redis-server is not installed)', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  const workers: Awaited<ReturnType<typeof startProcess>>[] = []
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end('SIGKILL')))
  })
  afterAll(() => redis?.stop())

  const typed = (out: string, ...more: string[]): string[] => [
    ...[command, 'train', '--model', 'linear', '--data-dir', data, '--batch-size', '16', '--epochs', '3'],
    ...['--lr', '0.01', '--out', join(folder, out), ...more],
  ]
  /** It does not block, so that what the workers log is read meanwhile. */
  const toeplitz = async (...args: string[]) => {
    const child = spawn(process.execPath, args, { cwd: folder })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const status = await new Promise((done) => child.once('close', done))
    return { status, stdout, stderr }
  }

  it('give the SHA-256 of this process, whose command has no address', async () => {
    workers.push(await startProcess(redis.url), await startProcess(redis.url))
    const there = await toeplitz(...typed('there', '--redis', redis.url))
    expect(there.stderr).toBe('')
    expect(there.stdout).toContain(`a batch is computed in 8 parts by the workers on ${redis.url}\n`)
    const here = await toeplitz(...typed('here', '--parts', '8'))
    expect(here.status).toBe(0)
    expect(sha256(join(folder, 'there'))).toBe(sha256(join(folder, 'here')))
    expect(workers.some(({ texts }) => texts.out.includes('"type":"gradients"'))).toBe(true)
    const told = resultIn(join(folder, 'there'))
    expect(told).toContain('--parts 8')
    expect(told).not.toContain('redis')
  })

  it('wait for nobody at Ctrl-C, say how to go on without the password, and go on to the same bits here', async () => {
    const guarded = await startRedis('--requirepass', 'secret')
    onTestFinished(() => guarded.stop())
    const url = guarded.url.replace('redis://', 'redis://:secret@')
    workers.push(await startProcess(url))
    const child = spawn(process.execPath, typed('stopped', '--redis', url, '--epochs', '60'), { cwd: folder })
    let text = ''
    let sent = false
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (/^epoch 1\b/im.test(text) && !sent) sent = child.kill('SIGINT')
    })
    expect(await new Promise((done) => child.once('close', done))).toBe(130)
    expect(text).toContain('Writing a checkpoint. Ctrl-C again ends at once.')
    expect(text).toMatch(/Go on with: toeplitz train --resume \S+ .*--redis 'redis:\/\/:\*\*\*@127\.0\.0\.1:\d+'/)
    expect(text).not.toContain('secret')
    const resumed = await toeplitz(command, 'train', '--resume', join(folder, 'stopped'), '--data-dir', data)
    expect(resumed.stderr).toBe('')
    expect(resumed.status).toBe(0)
    const whole = await toeplitz(...typed('unstopped', '--parts', '8', '--epochs', '60'))
    expect(whole.status).toBe(0)
    expect(sha256(join(folder, 'stopped'))).toBe(sha256(join(folder, 'unstopped')))
  })

  it('are refused in one line where the queue cannot be reached or the address is none, and leave no folder', async () => {
    const refused = `redis://:secret@127.0.0.1:${await freePort()}`
    const away = await toeplitz(...typed('away', '--redis', refused))
    expect(away.status).toBe(1)
    expect(away.stderr).toMatch(
      /^toeplitz: redis:\/\/:\*\*\*@127\.0\.0\.1:\d+: nothing answers there; start redis-server, or give another address\n$/,
    )
    const wrong = await toeplitz(...typed('away', '--redis', 'http://:secret@127.0.0.1'))
    expect(wrong.stderr).toBe(
      'toeplitz: redis: expected an address such as redis://127.0.0.1:6379 or rediss://…, given another text\n',
    )
    expect(() => readFileSync(join(folder, 'away/report.html'))).toThrow('ENOENT')
  })
})
