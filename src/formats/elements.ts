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
