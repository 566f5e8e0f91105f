/** workerd, Cloudflare's runtime, from a configuration whose socket "http" takes a free port. */
import { createInterface } from 'node:readline'
import { start, within } from './processes.mjs'

/** @returns the address of the socket, and `close`. */
export async function startWorkerd(program, configuration, { cwd, args = [] } = {}) {
  const running = start(program, ['serve', configuration, '--control-fd=3', ...args], { cwd, pipes: 1 })
  const listening = new Promise((resolve) => {
    createInterface({ input: running.child.stdio[3] }).on('line', (line) => {
      const event = JSON.parse(line)
      if (event.event === 'listen' && event.socket === 'http') resolve(event.port)
    })
  })
  const gone = running.ended.then(({ code, err }) => {
    throw new Error(`workerd ended with ${code}: ${err.trim().slice(-2000)}`)
  })
  gone.catch(() => {})
  try {
    const port = await within(30_000, Promise.race([listening, gone]), 'workerd')
    return { address: `http://127.0.0.1:${port}/`, running, close: running.stop }
  } catch (error) {
    running.stop()
    throw error
  }
}
