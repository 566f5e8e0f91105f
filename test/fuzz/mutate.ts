/** Damage: bytes, and JSON values, changed as files in the world are, and as those who attack readers change them. */
import { interesting, type Random } from './random.js'

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Bytes from text whose characters are bytes. */
export const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0))

type ByteChange = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array

/** A copy whose element `at` is replaced by `write`. */
const changed = (bytes: Uint8Array, write: (copy: Uint8Array) => void): Uint8Array => {
  const copy = bytes.slice()
  write(copy)
  return copy
}

const byteChanges: readonly ByteChange[] = [
  // One bit.
  (bytes, random) =>
    changed(bytes, (copy) => {
      const at = random.below(copy.length)
      copy[at] = (copy[at] as number) ^ (1 << random.below(8))
    }),
  // One byte.
  (bytes, random) =>
    changed(bytes, (copy) => (copy[random.below(copy.length)] = random.pick([0, 1, 127, 128, 255, random.below(256)]))),
  // Two or four bytes as a whole number, either end first.
  (bytes, random) =>
    changed(bytes, (copy) => {
      const width = random.pick([2, 4])
      if (copy.length < width) return
      const at = random.below(copy.length - width + 1)
      const value = random.pick(interesting)
      if (width === 2) viewOf(copy).setUint16(at, value, random.chance(0.5))
      else viewOf(copy).setUint32(at, value, random.chance(0.5))
    }),
  // A range removed.
  (bytes, random) => {
    const from = random.below(bytes.length)
    const to = Math.min(bytes.length, from + random.between(1, random.chance(0.5) ? 4 : 64))
    return concat(bytes.subarray(0, from), bytes.subarray(to))
  },
  // A range repeated.
  (bytes, random) => {
    const from = random.below(bytes.length)
    const part = bytes.subarray(from, from + random.between(1, 64))
    const times = random.chance(0.9) ? 1 : random.between(2, 200)
    return concat(bytes.subarray(0, from), ...new Array<Uint8Array>(times).fill(part), bytes.subarray(from))
  },
  // Foreign bytes put in.
  (bytes, random) => {
    const at = random.below(bytes.length + 1)
    const foreign = random.chance(0.5) ? random.bytes(random.between(1, 16)) : new Uint8Array(random.between(1, 64))
    return concat(bytes.subarray(0, at), foreign, bytes.subarray(at))
  },
  // Cut short.
  (bytes, random) => bytes.slice(0, random.chance(0.3) ? bytes.length - random.below(9) : random.below(bytes.length)),
  // The beginning of one file, the end of another.
  (bytes, random, others) => {
    const other = others.length > 0 ? random.pick(others) : bytes
    return concat(bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1)))
  },
  // A range of zeros.
  (bytes, random) =>
    changed(bytes, (copy) => {
      const at = random.below(copy.length)
      copy.fill(random.pick([0, 255]), at, at + random.between(1, 16))
    }),
  // Bytes after the end.
  (bytes, random) =>
    concat(bytes, random.chance(0.5) ? random.bytes(random.between(1, 8)) : new Uint8Array(random.between(1, 100))),
]

/** The bytes with one to four changes. `others` are files that parts may come from. */
export function mutateBytes(bytes: Uint8Array, random: Random, others: readonly Uint8Array[] = []): Uint8Array {
  let result = bytes
  for (let left = random.pick([1, 1, 1, 2, 2, 3, 4]); left > 0; left--) {
    result = result.length === 0 ? random.bytes(random.below(8)) : random.pick(byteChanges)(result, random, others)
  }
  return result
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const isObject = (value: Json): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Names that objects inherit, or that JavaScript treats apart. */
const oddNames = [
  '__proto__',
  'constructor',
  'toString',
  'length',
  'hasOwnProperty',
  '',
  '0',
  '-1',
  '\u0000',
  '\ud800',
  'type',
  'name',
]

/** A value of another kind than expected. */
export function oddJson(random: Random): Json {
  switch (random.below(10)) {
    case 0:
      return null
    case 1:
      return random.chance(0.5)
    case 2:
    case 3:
    case 4:
      return random.pick(interesting)
    case 5:
      return random.pick([
        ...oddNames,
        'relu',
        'same',
        'valid',
        'zeros',
        'x'.repeat(random.below(300)),
        '\u001b[31m',
        '1',
        'NaN',
      ])
    case 6:
      return []
    case 7:
      return {}
    case 8:
      return random.list(random.below(5), () => random.size())
    default:
      return { [random.pick(oddNames)]: random.size() }
  }
}

/** Every place of a value: how to read it, and how to put another one there. */
interface Place {
  readonly parent: Json[] | { [key: string]: Json }
  readonly key: string | number
}

function placesIn(value: Json, found: Place[] = []): Place[] {
  if (Array.isArray(value)) {
    value.forEach((item, key) => {
      found.push({ parent: value, key })
      placesIn(item, found)
    })
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      found.push({ parent: value, key })
      placesIn(item, found)
    }
  }
  return found
}

const readPlace = ({ parent, key }: Place): Json => (parent as { [key: string]: Json })[key] as Json

/** Own property, whatever it is called. */
function writePlace({ parent, key }: Place, value: Json): void {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true })
}

function changeNumber(value: number, random: Random): Json {
  switch (random.below(6)) {
    case 0:
      return value + random.pick([1, -1, 2, -2])
    case 1:
      return value * random.pick([2, 0, -1, 0.5, 16, 1000])
    case 2:
      return [value]
    case 3:
      return random.list(random.between(1, 4), () => random.size())
    default:
      return random.size()
  }
}

function changeJson(root: Json, random: Random): Json {
  const places = placesIn(root)
  if (places.length === 0) return oddJson(random)
  const place = random.pick(places)
  const value = readPlace(place)
  switch (random.below(9)) {
    case 0:
      if (Array.isArray(place.parent)) place.parent.splice(place.key as number, 1)
      else Reflect.deleteProperty(place.parent, place.key)
      return root
    case 1:
      if (Array.isArray(place.parent)) place.parent.splice(place.key as number, 0, structuredClone(value))
      else writePlace({ parent: place.parent, key: random.pick(oddNames) }, structuredClone(value))
      return root
    case 2: {
      // A value from elsewhere in the same file.
      const other = random.pick(places)
      writePlace(place, structuredClone(readPlace(other)))
      return root
    }
    case 3: {
      // Deep, but JSON.stringify must still write it.
      let deep: Json = structuredClone(value)
      for (let depth = random.pick([1, 1, 2, 2, 3, 100, 1000]); depth > 0; depth--)
        deep = random.chance(0.5) ? [deep] : { a: deep }
      writePlace(place, deep)
      return root
    }
    case 4:
      if (Array.isArray(place.parent)) {
        writePlace({ parent: place.parent, key: random.below(place.parent.length + 1) }, oddJson(random))
      } else writePlace({ parent: place.parent, key: random.pick(oddNames) }, oddJson(random))
      return root
    default:
      writePlace(place, typeof value === 'number' ? changeNumber(value, random) : oddJson(random))
      return root
  }
}

/** The value with one to four changes; what is given stays as it is. */
export function mutateJson(value: Json, random: Random): Json {
  let result = structuredClone(value)
  for (let left = random.pick([1, 1, 1, 2, 2, 3, 4]); left > 0; left--) result = changeJson(result, random)
  return result
}

/** The text of a value, at times with what no value gives: keys twice, deep nesting, numbers beyond all bounds, cut ends. */
export function oddJsonText(value: Json, random: Random): string {
  const text = JSON.stringify(value)
  switch (random.below(12)) {
    case 0:
      return text.replace(/"([^"]*)":/, (key) => `${key}0,${key}`)
    case 1: {
      const depth = random.pick([10, 1000, 20_000, 200_000])
      return random.chance(0.5)
        ? '['.repeat(depth) + ']'.repeat(depth)
        : `{"a":`.repeat(depth) + '0' + '}'.repeat(depth)
    }
    case 2:
      return text.replace(/\d+/, () => random.pick(['1e999', '-0', '00', '1'.repeat(400), '0.1e-999', 'NaN', '-']))
    case 3:
      return text.slice(0, random.below(text.length))
    case 4:
      return random.pick(['', ' ', '\uFEFF']) + text + random.pick(['', ' ', '}', '\u0000'])
    default:
      return text
  }
}
