/** Waiting for what may never come: a worker, of which there may be none. */
import type { Signal } from '../runtime/platform.js'

/** What a promise gives, or undefined where the signal is aborted before. */
export async function unlessAborted<T>(promise: Promise<T>, signal: Signal | undefined): Promise<T | undefined> {
  if (!signal) return promise
  // After the signal nobody waits for the promise, which may still fail.
  promise.catch(() => undefined)
  // Any object with a member `aborted` is taken as a signal; one that tells nobody of its end is looked at once.
  const target = signal as Partial<AbortSignal>
  let end = (): void => undefined
  const ended = new Promise<undefined>((resolve) => {
    end = () => {
      resolve(undefined)
    }
    target.addEventListener?.('abort', end)
    if (target.aborted) end()
  })
  try {
    return await Promise.race([promise, ended])
  } finally {
    target.removeEventListener?.('abort', end)
  }
}
