// @ts-check

/**
 * A whole number from 0 on in LEB128, as protocol buffers and WebAssembly modules store it.
 * @param {number} number
 */
export function varint(number) {
  const bytes = []
  for (; number >= 128; number = Math.floor(number / 128)) bytes.push((number % 128) + 128)
  return [...bytes, number]
}
