/** Elements of tensors as files store them: little endian, one after another, and halves of numbers that JavaScript has no array for. */

/** The constructor of a typed array over a part of a buffer. */
export type ArrayType<A> = new (buffer: ArrayBufferLike, from: number, count: number) => A

const isLittleEndianHost = (): boolean => new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** Reverses the bytes of each element in place where the processor is big endian. */
export function toggleEndianness(bytes: Uint8Array, elementBytes: number): void {
  if (isLittleEndianHost() || elementBytes === 1) return
  for (let i = 0; i < bytes.length; i += elementBytes) bytes.subarray(i, i + elementBytes).reverse()
}

/** The elements that some bytes of a file are: a view of them where the processor can read them in their place. */
export function elementsOf<A>(stored: Uint8Array, elementBytes: number, View: ArrayType<A>): A {
  const inPlace = stored.byteOffset % elementBytes === 0 && (elementBytes === 1 || isLittleEndianHost())
  const whole = inPlace ? stored : new Uint8Array(stored)
  if (!inPlace) toggleEndianness(whole, elementBytes)
  return new View(whole.buffer, whole.byteOffset, whole.length / elementBytes)
}

/** BF16 is the upper half of a float32. */
export function floatsOfUpperHalves(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length)
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16
  return new Float32Array(bits.buffer)
}

/** F16: sign, 5 bits of exponent (bias 15), 10 of fraction, into sign, 8 bits (bias 127), 23 of fraction. */
export function floatsOfHalves(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length)
  const bits = new Uint32Array(floats.buffer)
  halves.forEach((half, i) => {
    const sign = (half & 0x8000) << 16
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    // Fractions below the smallest exponent count in steps of 2^-24.
    if (exponent === 0) floats[i] = (fraction / 16_777_216) * (sign === 0 ? 1 : -1)
    else bits[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13)
  })
  return floats
}

/** `value` without its last `count` bits, rounded to the nearest, halfway to the even one. */
function withoutBits(value: number, count: number): number {
  const kept = value >>> count
  const rest = value & ((1 << count) - 1)
  const half = 1 << (count - 1)
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept
}

/** The bits of the nearest float16 of each number, halfway to the even one. What is beyond 65519.99… becomes infinite. */
export function halvesOfFloats(floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
  return Uint16Array.from(bits, (word) => {
    const size = word & 0x7fff_ffff
    const exponent = size >>> 23
    let half: number
    if (size > 0x7f80_0000) half = 0x7e00
    else if (size >= 0x477f_f000) half = 0x7c00
    else if (exponent >= 113) half = withoutBits(size - (112 << 23), 13)
    // Under 2^-14 float16 counts in steps of 2^-24; under 2^-25 the nearest is 0.
    else if (exponent >= 102) half = withoutBits((size & 0x7f_ffff) | 0x80_0000, 126 - exponent)
    else half = 0
    return ((word >>> 16) & 0x8000) | half
  })
}
