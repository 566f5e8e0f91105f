/** Smaller cases with the same fault: parts are taken away or made simple as long as the fault stays. */
import { performance } from 'node:perf_hooks'
import { judge, type Verdict } from './judge.js'
import { signatureOf } from './signature.mjs'
import { concat, type Json } from './mutate.js'
import type { Input, Target } from './target.js'

/** Milliseconds that shrinking may take. */
const TIME = 30_000

function* smallerBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let length = bytes.length >> 1; length >= 1; length >>= 1) {
    for (let at = 0; at < bytes.length; at += length) yield concat(bytes.subarray(0, at), bytes.subarray(at + length))
  }
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0) continue
    const copy = bytes.slice()
    copy[at] = 0
    yield copy
  }
}

function* smallerJson(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    for (let at = value.length - 1; at >= 0; at--) yield [...value.slice(0, at), ...value.slice(at + 1)]
    for (const [at, item] of value.entries()) {
      for (const smaller of smallerJson(item)) yield value.map((other, index) => (index === at ? smaller : other))
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value))
      yield Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
    for (const [key, item] of Object.entries(value)) {
      for (const smaller of smallerJson(item)) {
        yield Object.fromEntries(Object.entries(value).map(([name, other]) => [name, name === key ? smaller : other]))
      }
    }
  } else if (typeof value === 'number') {
    const candidates = [0, 1, 2, Math.trunc(value / 2), Math.trunc(value), value - Math.sign(value)]
    for (const candidate of candidates) if (Math.abs(candidate) < Math.abs(value)) yield candidate
  } else if (typeof value === 'string' && value.length > 1) {
    yield value.slice(0, value.length >> 1)
  }
}

/** A case that is no larger and has the fault of `verdict`. */
export async function shrink(target: Target, input: Input, verdict: Verdict, onTry: () => void): Promise<Input> {
  if (verdict.outcome === 'accepted' || verdict.outcome === 'refused') return input
  const signature = signatureOf(verdict.outcome, verdict.message)
  const until = performance.now() + TIME
  let best = input
  for (let found = true; found && performance.now() < until;) {
    found = false
    for (const smaller of best instanceof Uint8Array ? smallerBytes(best) : smallerJson(best)) {
      if (performance.now() > until) break
      onTry()
      const { outcome, message } = await judge(target, smaller)
      if (signatureOf(outcome, message) !== signature) continue
      best = smaller
      found = true
      break
    }
  }
  return best
}
