/** Modules of kernels that travel as text: compressed, then as base64. */
import type { OwnBytes } from './platform.js'
import { unpackCore } from './unpack.js'

function decodeBase64(text: string): OwnBytes {
  const native = (Uint8Array as unknown as { fromBase64?: (text: string) => OwnBytes }).fromBase64
  if (native) return native.call(Uint8Array, text)
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** The module in a text: compressed before it became base64, which alone would take nearly twice as much on the way. */
export const unpack = (text: string): OwnBytes => unpackCore(decodeBase64(text))
