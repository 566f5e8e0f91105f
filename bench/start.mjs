// @ts-check
// What a fresh process needs until a network has given its first answer: time, from the first import on, and memory.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'node:v8'
import { runChild } from './lib/child.mjs'
import { summarize } from './lib/measure.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'

const names = ['lenet5', 'googlenet', 'vgg16']
const child = new URL('start/child.mjs', import.meta.url)

/** What a child process reports. @typedef {{ milliseconds: number, megabytes: number }} Report */

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'from a fresh process to the first answer of a network: time, and peak memory of the process',
  peers: ['onnxruntime-web', 'tfjs-wasm'],
  options: ['network', 'threads'],
  networks: names,
  async run({ networks, threads = 1, rounds = 5, peers, log }) {
    const { algorithmsOfNetwork } = await import('./ours/algorithms.mjs')
    const { createNetwork, networkOf } = await import('./ours/network.mjs')
    const { start } = await import('./ours/start.mjs')
    const { onnxOf } = await import('./networks/onnx.mjs')
    const runtime = await start(threads)
    const rows = []
    for (const name of names) {
      if (networks !== undefined && !networks.includes(name)) continue
      const folder = mkdtempSync(join(tmpdir(), 'toeplitz-bench-'))
      try {
        const { model, dispose } = createNetwork(name, undefined)
        const network = networkOf(model)
        const algorithm = algorithmsOfNetwork(model, network, 1)
        const size = network.input.reduce((product, extent) => product * extent, 1)
        writeFileSync(join(folder, 'shape'), JSON.stringify(network.input))
        writeFileSync(join(folder, 'image'), Buffer.from(randomNumbers(size, 1).buffer))
        writeFileSync(join(folder, 'ours'), model.save())
        writeFileSync(join(folder, 'onnxruntime-web'), onnxOf(network))
        writeFileSync(join(folder, 'tfjs-wasm'), serialize(network))
        dispose()
        /** @type {Record<string, Report[]>} */
        const reports = {}
        for (let round = 0; round < rounds; round++) {
          log(`start: ${name}, round ${round + 1}`)
          for (const side of ['ours', ...peers]) {
            const args = [side, name, folder, String(threads)]
            ;(reports[side] ??= []).push(await runChild(`start: ${side} failed on ${name}`, child, args))
          }
        }
        const timings = Object.fromEntries(
          Object.entries(reports).map(([side, list]) => {
            const samples = list.map(({ milliseconds }) => milliseconds)
            return [side, { ...summarize(samples), samples }]
          }),
        )
        const peak = Object.fromEntries(
          Object.entries(reports).map(([side, list]) => [side, Math.max(...list.map(({ megabytes }) => megabytes))]),
        )
        const about = { bench: 'start', case: name, family: 'start', algorithm, ...runtime }
        rows.push({ ...toRow(about, timings), peak_mb: peak })
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
    return rows
  },
}
