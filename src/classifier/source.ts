/** Where a model comes from: an address, a file, or bytes. */
import { checkModelBytes } from '../formats/formats.js'
import { ArgumentError, FormatError, ToeplitzError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'

/** What has bytes that can be asked for: a Blob, a File, a Response. */
export interface BytesHolder {
  /** Gives all of them. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The address of a model (in Node, Deno and Bun also a path), its bytes, or what has them. */
export type ModelSource = string | { readonly href: string } | Uint8Array | ArrayBuffer | BytesHolder

/** The bytes of a source, and what errors call them. */
export async function bytesOf(source: ModelSource): Promise<{ readonly bytes: Uint8Array; readonly name: string }> {
  const found = await contentOf(source)
  // "{" of a model.json, and not the length of a header: the first 8 bytes of safetensors, of which the last are zeros.
  if (found.bytes[0] === 0x7b && found.bytes[7] !== 0) {
    throw new FormatError(`${found.name}: is JSON; load the whole model, such as the model.safetensors beside it`)
  }
  checkModelBytes(found.bytes, found.name, 'load the model.safetensors of a run, and give pictures to predict()')
  return found
}

async function contentOf(source: ModelSource): Promise<{ readonly bytes: Uint8Array; readonly name: string }> {
  if (source instanceof Uint8Array) return { bytes: source, name: 'the model' }
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: 'the model' }
  if (typeof source === 'string') return { bytes: await fetched(source), name: source }
  if (typeof source === 'object' && source !== null) {
    if ('href' in source && typeof source.href === 'string') return contentOf(source.href)
    if ('arrayBuffer' in source && typeof source.arrayBuffer === 'function') {
      const { name = 'the model', ok, status } = source as { name?: string; ok?: boolean; status?: number }
      if (ok === false) throw unavailable(name, `the answer is ${status}`)
      return { bytes: new Uint8Array(await source.arrayBuffer()), name }
    }
  }
  throw new ArgumentError(
    `loadClassifier: expected an address, bytes (Uint8Array or ArrayBuffer) or a Blob, given ${inWords(source)}`,
  )
}

const unavailable = (name: string, why: string, cause?: unknown): ToeplitzError =>
  new ToeplitzError('FILE', `${name}: the model cannot be had: ${why}; check the address`, { cause })

/** Reads a file, where there are files: paths, and addresses that begin with file:. */
function fileReader(address: string): (() => Promise<Uint8Array>) | undefined {
  const isFile = address.startsWith('file:')
  const hasFiles = typeof process === 'object' && typeof process.getBuiltinModule === 'function'
  if (!hasFiles || (!isFile && /^[a-z][a-z\d+.-]+:/i.test(address))) return undefined
  const { readFile } = process.getBuiltinModule('node:fs/promises')
  return () => readFile(isFile ? new URL(address) : address)
}

async function fetched(address: string): Promise<Uint8Array> {
  const read = fileReader(address)
  try {
    if (read) return await read()
    const response = await fetch(address)
    if (response.ok) return new Uint8Array(await response.arrayBuffer())
    throw unavailable(address, `the answer is ${response.status}`)
  } catch (error) {
    if (error instanceof ToeplitzError) throw error
    const { code, message } = error as { code?: string; message: string }
    if (code === 'EISDIR') {
      throw new ToeplitzError('FILE', `${address}: is a folder; load the model.safetensors in it`, { cause: error })
    }
    throw unavailable(address, code ?? message, error)
  }
}
