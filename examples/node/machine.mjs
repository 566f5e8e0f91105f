/** Where the results of the examples were measured. */
import { availableParallelism, cpus } from 'node:os'
import { runtimeInfo } from 'toeplitz'

/** The record of this machine, as bench/results keeps it. Call it after `init()`. */
export const machineRecord = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
  cores: availableParallelism(),
  threads: runtimeInfo().threads,
  platform: `${process.platform} ${process.arch}`,
  versions: { node: process.versions.node, toeplitz: runtimeInfo().version },
  date: new Date().toISOString(),
})
