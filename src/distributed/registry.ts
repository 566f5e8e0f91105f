/** Which workers there are: each writes a line about itself, which expires when it is gone. */
import type { Redis } from 'ioredis'
import { parseJson } from '../formats/json.js'
import { PREFIX } from './connection.js'

/** Seconds between two lines of a worker, and after which it counts as gone. */
export const BEAT = { every: 3, expires: 10 } as const

/** What a worker says of itself. */
export interface WorkerFacts {
  /** Identifier of this worker, new at each start. */
  readonly id: string
  /** Name of its machine. */
  readonly host: string
  /** Number of its process. */
  readonly pid: number
  /** Release of the library. */
  readonly version: string
  /** The core that it computes with. */
  readonly simd: string
  /** Threads of each job. */
  readonly threads: number
  /** Jobs at a time. */
  readonly concurrency: number
  /** Jobs that it has finished. */
  readonly done: number
  /** Jobs that failed here. */
  readonly failed: number
  /** Seconds that jobs took here, all together. */
  readonly busySeconds: number
  /** Seconds since it was started. */
  readonly upSeconds: number
}

const keyOf = (id: string): string => `${PREFIX}:worker:${id}`

export async function tellWorker(client: Redis, facts: WorkerFacts): Promise<void> {
  await client.set(keyOf(facts.id), JSON.stringify(facts), 'EX', BEAT.expires)
}

export async function forgetWorker(client: Redis, id: string): Promise<void> {
  await client.del(keyOf(id))
}

/** What a worker says of itself; undefined where a value is no such line, which others may have put under such a key. */
function factsOf(text: string): WorkerFacts | undefined {
  let found: Partial<Record<keyof WorkerFacts, unknown>>
  try {
    found = Object(parseJson(text, 'worker')) as typeof found
  } catch {
    return undefined
  }
  const { id, host, pid, version, simd } = found
  if (![id, host, version, simd].every((fact) => typeof fact === 'string') || typeof pid !== 'number') return undefined
  const numberOf = (name: keyof WorkerFacts): number => (Number.isFinite(found[name]) ? (found[name] as number) : 0)
  return {
    ...({ id, host, pid, version, simd } as Pick<WorkerFacts, 'id' | 'host' | 'pid' | 'version' | 'simd'>),
    threads: numberOf('threads'),
    concurrency: numberOf('concurrency'),
    done: numberOf('done'),
    failed: numberOf('failed'),
    busySeconds: numberOf('busySeconds'),
    upSeconds: numberOf('upSeconds'),
  }
}

/** All workers of all releases, by host and process. */
export async function workersOf(client: Redis): Promise<WorkerFacts[]> {
  const keys: string[] = []
  let cursor = '0'
  do {
    const [next, found] = await client.scan(cursor, 'MATCH', keyOf('*'), 'COUNT', 100)
    keys.push(...found)
    cursor = next
  } while (cursor !== '0')
  const texts = keys.length === 0 ? [] : await client.mget(keys)
  const workers = texts.flatMap((text) => (text === null ? [] : (factsOf(text) ?? [])))
  return workers.sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : a.pid - b.pid))
}
