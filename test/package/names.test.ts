/** What classes of the built package are called: consoles show the name that a class has in the source that runs. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { expect, it } from 'vitest'

const dist = resolve(import.meta.dirname, '../../dist')
// workerd and edge-light import cores as modules, which Node does not do, and export what index does.
const entries = readdirSync(dist).filter(
  (file) => file.endsWith('.js') && !['worker.js', 'workerd.js', 'edge-light.js'].includes(file),
)
const load = async (file: string): Promise<Record<string, unknown>> =>
  (await import(/* @vite-ignore */ join(dist, file))) as Record<string, unknown>

it.each(entries)('%s calls each class by its own name', async (entry) => {
  const classes = Object.entries(await load(entry)).filter(
    (pair): pair is [string, new () => unknown] =>
      typeof pair[1] === 'function' && Function.prototype.toString.call(pair[1]).startsWith('class'),
  )
  for (const [name, Class] of classes) {
    expect(Class.name).toBe(name)
    // Engines tell consoles the name in the source, whatever the property says.
    expect(Function.prototype.toString.call(Class)).not.toMatch(/^class _/)
  }
  if (entry === 'index.js') {
    expect(classes.map(([name]) => name)).toEqual(expect.arrayContaining(['Tensor', 'Layer', 'LoweredLayer']))
  }
})

it('shows a tensor of the built package by shape, type and values', async () => {
  const { initSync, init, tensor } = (await load('index.js')) as unknown as typeof import('../../src/index.js')
  expect(initSync).toBeTypeOf('function')
  await init()
  const x = tensor([[1, 2], [3, 4]]) // prettier-ignore
  expect(x.constructor.name).toBe('Tensor')
  expect(inspect(x)).toBe('Tensor (2, 2) float32 [1, 2, 3, 4]')
  x.dispose()
})
