/** Where a pool and its workers keep values. */
import type { Redis } from 'ioredis'
import { checkPath } from '../runtime/check.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { connect, PREFIX, redisError } from './connection.js'
import { folderStore, redisStore, type Store } from './store.js'

/** Binary values of the same Redis, or files of a folder that all machines share. */
export type StoreOption = 'redis' | { readonly folder: string }

/** The store of an option. @throws ArgumentError where it is none */
async function storeOf(option: StoreOption = 'redis', client: Redis, url: string): Promise<Store> {
  if (option === 'redis') return redisStore(client, PREFIX, (error) => redisError(url, error))
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
