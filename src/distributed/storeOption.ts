/** Where a pool and its workers keep values. */
import type { Redis } from 'ioredis'
import { checkPath } from '../runtime/check.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { connect, PREFIX, redisError } from './connection.js'
import { folderStore, redisStore, type BinaryClient, type Store, type StoreOption } from './store.js'

/** What a client of ioredis does with values, which it takes as buffers. */
const binary = (client: Redis): BinaryClient => ({
  getBuffer: (key) => client.getBuffer(key),
  set: (key, { buffer, byteOffset, byteLength }, unit, seconds) =>
    client.set(key, Buffer.from(buffer, byteOffset, byteLength), unit, seconds),
  del: (key) => client.del(key),
})

/** The store of an option. @throws ArgumentError where it is none */
async function storeOf(option: StoreOption = 'redis', client: Redis, url: string): Promise<Store> {
  if (option === 'redis') return redisStore(binary(client), PREFIX, (error) => redisError(url, error))
  checkKeys('store', option, { folder: 0 } satisfies Names<{ readonly folder: string }>)
  checkPath(option.folder, 'store: folder')
  return folderStore(option.folder)
}

/** Connects, and opens the store: where it is refused no connection stays open. @throws as `connect`, and as the store */
export async function connectWithStore(
  url: string,
  option: StoreOption | undefined,
): Promise<{ readonly client: Redis; readonly store: Store }> {
  const client = await connect(url)
  try {
    return { client, store: await storeOf(option, client, url) }
  } catch (error) {
    client.disconnect()
    throw error
  }
}
