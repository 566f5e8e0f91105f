/** The core, as a command starts it on the threads that it was asked for. */
import type { Note } from '../node/resultFolder.js'
import { runtimeInfo } from '../runtime/core.js'
import { init } from '../runtime/embedded.js'

/** Loads the core, and says when it cannot have the threads that were asked for. */
export async function startCore(wanted = 1, note: Note): Promise<void> {
  await init({ threads: wanted })
  const { threads, threadsOffBecause } = runtimeInfo()
  if (threadsOffBecause !== undefined) note(`Computing on ${threads} thread: ${threadsOffBecause}`)
}
