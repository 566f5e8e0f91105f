/** Bytes as int16 less their zero point, with zeros around them: what windows are gathered from. */
import { byteAt, widened } from './requantize'
import { IntegerShape } from './shape'

/** One channel, widened, with zeros around it. */
export function widenPlane(to: usize, x: usize, d: IntegerShape): void {
  const zero = i16x8.splat(<i16>d.xZero)
  const signed = d.xSigned != 0
  const left = min(d.padW, d.reachW)
  const inner = max(0, min(d.W, d.reachW - left))
  const right = d.reachW - left - inner
  const whole = inner & ~7
  for (let h = 0; h < d.reachH; h++) {
    const row = h - d.padH
    if (row < 0 || row >= d.H) {
      memory.fill(to, 0, (<usize>d.reachW) << 1)
      to += (<usize>d.reachW) << 1
      continue
    }
    for (let i = 0; i < left; i++) store<i16>(to + ((<usize>i) << 1), 0)
    to += (<usize>left) << 1
    let from = x + <usize>row * <usize>d.W
    for (let i = 0; i < whole; i += 8) {
      v128.store(to, widened(from, signed, zero))
      to += 16
      from += 8
    }
    for (let i = whole; i < inner; i++) {
      store<i16>(to, <i16>(byteAt(from, signed) - d.xZero))
      to += 2
      from++
    }
    for (let i = 0; i < right; i++) store<i16>(to + ((<usize>i) << 1), 0)
    to += (<usize>right) << 1
  }
}
