/**
 * Where weights, gradients and pictures lie while jobs refer to them. A value's name is the SHA-256 of its bytes, as 64 hexadecimal
 * digits: a job can name nothing else, so that no job reaches another file or key, and what was damaged on its way is noticed.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, ensureDirectory, writeFileAtomically } from '../node/files.js'
import { FormatError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'

/** Bytes by their hash, for a while. */
export interface Store {
  /** Keeps bytes for so many seconds at least, and gives their name. */
  put(bytes: Uint8Array, seconds: number): Promise<string>
  /** The bytes of a name. @throws ToeplitzError with code ABSENT where there are none, FormatError where they are others */
  get(name: string): Promise<Uint8Array>
  /** Forgets a value; one that is not there is no error. */
  delete(name: string): Promise<void>
}

/** Binary values of the same Redis, or files of a folder that all machines share. */
export type StoreOption = 'redis' | { readonly folder: string }

/** What a store of binary values by keys must be able to do. */
export interface BinaryClient {
  /** The value of a key, or null. */
  getBuffer(key: string): Promise<Uint8Array | null>
  /** Sets a key's value, and in how many seconds it expires. */
  set(key: string, value: Uint8Array, unit: 'EX', seconds: number): Promise<unknown>
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

/** Bytes that a value of Redis can have: its `proto-max-bulk-len`, unless a server is configured otherwise. */
const LARGEST_IN_REDIS = 2 ** 29

/**
 * Binary values of Redis, with an expiry, under keys that begin with `prefix`. What the client throws is passed through `explained`: an
 * error of ioredis has the whole command in it, and with it the value.
 */
export function redisStore(
  client: BinaryClient,
  prefix: string,
  explained: (error: unknown) => ToeplitzError = (error) => new ToeplitzError('REDIS', `the store: ${String(error)}`),
): Store {
  const ask = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error: unknown) => {
      throw explained(error)
    })
  const keyOf = (name: string): string => `${prefix}:value:${checkedName(name)}`
  return {
    async put(bytes, seconds) {
      if (bytes.length > LARGEST_IN_REDIS) {
        throw new UnsupportedError(
          `the store: a value of ${bytes.length} bytes, and Redis takes ${LARGEST_IN_REDIS} (512 MiB); ` +
            'let a folder that all machines share hold values: store: { folder }, and toeplitz worker --store',
        )
      }
      const name = hashOf(bytes)
      await ask(client.set(keyOf(name), bytes, 'EX', seconds))
      return name
    },
    get: async (name) => checked(name, await ask(client.getBuffer(keyOf(name)))),
    async delete(name) {
      await ask(client.del(keyOf(name)))
    },
  }
}

/** Milliseconds for which a file stays after it has expired: one that is being put has the present as its time for a moment. */
const GRACE = 60_000

/**
 * Files of a folder that all machines share. When a file expires is told by its time of modification, which lies in the future: it is
 * removed when a store is opened a minute after it.
 */
export async function folderStore(folder: string): Promise<Store> {
  await ensureDirectory(folder)
  const pathOf = (name: string): string => join(folder, checkedName(name))
  for (const name of await readdir(folder)) {
    if (!isName(name)) continue
    const found = await stat(pathOf(name)).catch(() => undefined)
    if (found && found.mtimeMs < Date.now() - GRACE) await rm(pathOf(name), { force: true })
  }
  return {
    async put(bytes, seconds) {
      const name = hashOf(bytes)
      await writeFileAtomically(pathOf(name), bytes)
      const until = Date.now() / 1000 + seconds
      await utimes(pathOf(name), until, until)
      return name
    },
    async get(name) {
      const path = pathOf(name)
      const bytes = await readFile(path).catch((cause: unknown) => {
        if (codeOf(cause) === 'ENOENT') return undefined
        throw new ToeplitzError('FILE', `${path}: the value cannot be read`, { cause })
      })
      return checked(name, bytes)
    },
    async delete(name) {
      await rm(pathOf(name), { force: true })
    },
  }
}

/** Bytes of values that a worker keeps: the weights of a step and parts of it, for networks of up to 64 million weights. */
export const KEPT = 2 ** 28

/**
 * A store whose last values are kept, so that all threads of a worker get the weights of a step by one transfer: at most `most` bytes
 * of them, those that were used last.
 */
export function keeping(store: Store, most: number = KEPT): Store {
  const kept = new Map<string, { readonly read: Promise<Uint8Array>; bytes: number }>()
  let total = 0
  const drop = (name: string): void => {
    total -= kept.get(name)?.bytes ?? 0
    kept.delete(name)
  }
  return {
    ...store,
    get(name) {
      const known = kept.get(name)
      if (known) {
        // The order of a map is that of insertion: the value that was used last goes last.
        kept.delete(name)
        kept.set(name, known)
        return known.read
      }
      const entry = { read: store.get(name), bytes: 0 }
      kept.set(name, entry)
      entry.read.then(
        ({ length }) => {
          entry.bytes = length
          total += length
          // Values that are still read have no bytes yet, and stay for those that wait for them.
          for (const [oldest, { bytes }] of [...kept]) {
            if (total <= most) break
            if (bytes > 0) drop(oldest)
          }
        },
        () => {
          drop(name)
        },
      )
      return entry.read
    },
  }
}
