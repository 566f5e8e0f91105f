// @ts-check
// The most memory that a process has had.
import { readFileSync } from 'node:fs'

/**
 * Peak resident memory of this process, in MB. Linux counts that of the process which started it into maxRSS; its status tells its
 * own.
 */
export function peakMegabytes() {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
    if (kilobytes !== undefined) return Number(kilobytes) / 1024
  } catch {
    // Another system.
  }
  return process.resourceUsage().maxRSS / 1024
}
