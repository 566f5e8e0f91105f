/** Cases as text: JSON as it is, files as JSON with their bytes in base64. */
import type { Input } from './target.js'

/** The text of a case, as it stands in `corpus/`. */
export const printInput = (input: Input): string =>
  input instanceof Uint8Array
    ? `${JSON.stringify({ base64: Buffer.from(input).toString('base64') })}\n`
    : `${JSON.stringify(input)}\n`

/** A case from its text; a file that is no such text is a case by its bytes. */
export function parseInput(bytes: Uint8Array, path: string): Input {
  if (!path.endsWith('.json')) return bytes
  const value = JSON.parse(new TextDecoder().decode(bytes)) as Input
  const base64 = value !== null && typeof value === 'object' && 'base64' in value ? value.base64 : undefined
  return typeof base64 === 'string' ? new Uint8Array(Buffer.from(base64, 'base64')) : value
}
