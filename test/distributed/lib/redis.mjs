// @ts-check
/** A Redis of its own for a test, on a free port of the loopback address, and workers as processes of the command. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const command = resolve(import.meta.dirname, '../../../dist/cli/main.js')

/** Whether redis-server is installed. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

/** A port that nobody listens on. @returns {Promise<number>} */
export const freePort = () =>
  new Promise((found, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      server.close(() => found(port))
    })
  })

/**
 * Starts a server whose appended file keeps every write, so that a restart loses nothing.
 * @param {string[]} more arguments of redis-server
 */
export async function startRedis(...more) {
  const folder = mkdtempSync(join(tmpdir(), 'toeplitz-redis-'))
  const port = await freePort()
  const address = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const keep = ['--appendonly', 'yes', '--appendfsync', 'always']
  const start = () => spawn('redis-server', [...address, ...keep, ...more], { stdio: 'ignore' })
  let child = start()
  /** Whether it says anything on its port, were it that it wants a password. */
  const says = () =>
    new Promise((told) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
      const close = (/** @type {boolean} */ found) => {
        socket.destroy()
        told(found)
      }
      socket.once('data', () => close(true))
      socket.once('error', () => close(false))
    })
  const answers = async () => {
    for (let tries = 0; tries < 100; tries++) {
      if (await says()) return
      await pause(50)
    }
    throw new Error(`redis-server does not answer on port ${port}`)
  }
  /** @param {NodeJS.Signals} signal */
  const end = (signal) =>
    new Promise((ended) => {
      child.once('exit', ended)
      child.kill(signal)
    })
  await answers()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    /** Ends it without a warning, and starts it again with what it has written. */
    async restart() {
      await end('SIGKILL')
      child = start()
      await answers()
    },
    async stop() {
      await end('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * A worker as a process of the command, ready for jobs.
 * @param {string} url
 * @param {string[]} more
 */
export async function startProcess(url, ...more) {
  const child = spawn(process.execPath, [command, 'worker', '--redis', url, '--lock', '2', ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { out: '', error: '' }
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  await new Promise((ready, failed) => {
    child.stdout.on('data', (text) => {
      texts.out += text
      if (/takes jobs/.test(texts.out)) ready(undefined)
    })
    child.stderr.on('data', (text) => (texts.error += text))
    child.once('exit', () => failed(new Error(`the worker ended: ${texts.error}`)))
  })
  return {
    child,
    texts,
    ended,
    /** @param {NodeJS.Signals} signal */
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
  }
}
