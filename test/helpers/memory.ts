import { allocate, memoryUsage, release } from '../../src/runtime/core.js'
import { empty } from '../../src/tensor/tensor.js'

/** Bytes that `use` needs at most besides what is in use before it. */
export function peakOf(use: () => void): number {
  const { liveBytes, peakBytes } = memoryUsage()
  // What is in use is raised to the old peak, so that every block shows.
  const ballast = peakBytes > liveBytes ? empty([(peakBytes - liveBytes) / 4]) : undefined
  use()
  ballast?.dispose()
  return memoryUsage().peakBytes - peakBytes
}

/** A block that ends where memory does, and free blocks before it, so that memory need not grow. */
export function lastBlock(): { readonly end: number; readonly release: () => void } {
  const before = memoryUsage().reservedBytes
  const step = 1 << 20
  const blocks: number[] = []
  while (memoryUsage().reservedBytes === before) blocks.push(allocate(step))
  const end = memoryUsage().reservedBytes
  for (let more = 0; more < 12; more++) blocks.push(allocate(step))
  const last = allocate(end - (blocks.at(-1) + step))
  for (const block of blocks) release(block)
  return { end, release: () => release(last) }
}
