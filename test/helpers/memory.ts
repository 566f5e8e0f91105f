import { memoryUsage } from '../../src/runtime/core.js'
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
