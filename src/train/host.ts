/** Staying responsive: giving the host a turn between training steps. */

/** The longest stretch of work without a turn, in milliseconds: under one frame at 60 Hz with its painting. */
const STRETCH = 12

declare const setImmediate: ((callback: () => void) => unknown) | undefined

/** Resolves after the host has handled what is waiting: signals, messages, input. */
function nextTurn(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve))
  if (typeof MessageChannel === 'function') {
    // Timers are clamped to 4 ms in browsers; messages are not.
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => {
        port1.close()
        resolve()
      }
      port2.postMessage(null)
    })
  }
  return new Promise((resolve) => setTimeout(resolve, 0))
}

/** A function to await between pieces of work; it gives the host a turn when it is due. */
export function turnTaker(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < STRETCH) return undefined
    return nextTurn().then(() => {
      last = performance.now()
    })
  }
}
