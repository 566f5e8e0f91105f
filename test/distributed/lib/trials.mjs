/** Functions that jobs of the tests name. */
import { setTimeout as pause } from 'node:timers/promises'

/** A score that depends on the values and the trial's seed, after some time. */
export async function score({ lr }, { seed, shared }) {
  await pause(shared?.milliseconds ?? 0)
  return -Math.abs(lr - 0.1) + seed / 1e6
}

/** A job that takes its process with it. */
export const poison = () => process.kill(process.pid, 'SIGKILL')

/** A job that never ends. */
export const endless = () => pause(1e9)

/** A job that throws. */
export function broken() {
  throw new Error('the disk is full')
}
