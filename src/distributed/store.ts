/**
 * Where weights, gradients and pictures lie while jobs refer to them. A value's name is the SHA-256 of its bytes, as 64 hexadecimal
 * digits: a job can name nothing else, so that no job reaches another file or key, and what was damaged on its way is noticed.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDirectory, writeFileAtomically } from '../node/files.js'
import { FormatError, ToeplitzError } from '../runtime/errors.js'

/** Bytes by their hash, for a while. */
export interface Store {
  /** Keeps bytes for so many seconds at least, and gives their name. */
  put(bytes: Uint8Array, seconds: number): Promise<string>
  /** The bytes of a name. @throws ToeplitzError with code ABSENT where there are none, FormatError where they are others */
  get(name: string): Promise<Uint8Array>
  /** Forgets a value; one that is not there is no error. */
  delete(name: string): Promise<void>
}

/** What a store of binary values by keys must be able to do: an ioredis client can. */
export interface BinaryClient {
  /** The value of a key, or null. */
  getBuffer(key: string): Promise<Uint8Array | null>
  /** Sets a key's value, and in how many seconds it expires. */
  set(key: string, value: Buffer, unit: 'EX', seconds: number): Promise<unknown>
  /** Removes a key. */
  del(key: string): Promise<unknown>
}

const namePattern = /^[0-9a-f]{64}$/

/** Whether a text can be the name of a value. */
export const isName = (name: unknown): name is string => typeof name === 'string' && namePattern.test(name)

export const hashOf = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

function checkedName(name: string): string {
  if (isName(name)) return name
  throw new FormatError(`the store: a value's name is 64 hexadecimal digits, given ${JSON.stringify(name)}`)
}

function checked(name: string, bytes: Uint8Array | null | undefined): Uint8Array {
  if (!bytes) throw new ToeplitzError('ABSENT', `the store: there is no value ${name}; it expired, or was never put`)
  if (hashOf(bytes) === name) return bytes
  throw new FormatError(`the store: the value ${name} has other bytes than were put there`)
}

/** Values in the memory of this process, until they are deleted. */
export function memoryStore(): Store {
  const values = new Map<string, Uint8Array>()
  return {
    put(bytes) {
      const name = hashOf(bytes)
      values.set(name, bytes)
      return Promise.resolve(name)
    },
    get: async (name) => checked(checkedName(name), await Promise.resolve(values.get(name))),
    delete(name) {
      values.delete(name)
      return Promise.resolve()
    },
  }
}

/** Binary values of Redis, with an expiry, under keys that begin with `prefix`. */
export function redisStore(client: BinaryClient, prefix: string): Store {
  const keyOf = (name: string): string => `${prefix}:value:${checkedName(name)}`
  return {
    async put(bytes, seconds) {
      const name = hashOf(bytes)
      await client.set(keyOf(name), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 'EX', seconds)
      return name
    },
    get: async (name) => checked(name, await client.getBuffer(keyOf(name))),
    async delete(name) {
      await client.del(keyOf(name))
    },
  }
}

/**
 * Files of a folder that all machines share. When a file expires is told by its time of modification, which lies in the future: it is
 * removed when a store is opened after it.
 */
export async function folderStore(folder: string): Promise<Store> {
  await ensureDirectory(folder)
  const pathOf = (name: string): string => join(folder, checkedName(name))
  for (const name of await readdir(folder)) {
    if (!isName(name)) continue
    const found = await stat(pathOf(name)).catch(() => undefined)
    if (found && found.mtimeMs < Date.now()) await rm(pathOf(name), { force: true })
  }
  return {
    async put(bytes, seconds) {
      const name = hashOf(bytes)
      await writeFileAtomically(pathOf(name), bytes)
      const until = Date.now() / 1000 + seconds
      await utimes(pathOf(name), until, until)
      return name
    },
    get: async (name) => checked(name, await readFile(pathOf(name)).catch(() => undefined)),
    async delete(name) {
      await rm(pathOf(name), { force: true })
    },
  }
}

/** A store whose last values are kept, so that all threads of a worker get the weights of a step by one transfer. */
export function keeping(store: Store, count: number): Store {
  const kept = new Map<string, Promise<Uint8Array>>()
  return {
    ...store,
    get(name) {
      const known = kept.get(name)
      if (known) return known
      const read = store.get(name)
      kept.set(name, read)
      read.catch(() => kept.delete(name))
      for (const [oldest] of kept) {
        if (kept.size <= count) break
        kept.delete(oldest)
      }
      return read
    },
  }
}
