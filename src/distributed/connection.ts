/** Redis and the queue on it. The packages are optional: whoever has one machine needs neither. */
import type { Redis } from 'ioredis'
import { ArgumentError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'

/** Keys of this library in Redis begin so: what a user of its ACL may reach. */
export const PREFIX = 'toeplitz'

/** Workers of another release compute other bits, perhaps: each release has a queue of its own. */
export const queueName = (version: string): string => `jobs-${version}`

/** Seconds in which a server must answer at the start. */
const PATIENCE = 5

/** The two packages. @throws UnsupportedError that says what to install */
export async function packages(): Promise<{
  readonly bullmq: typeof import('bullmq')
  readonly ioredis: Pick<typeof import('ioredis'), 'Redis'>
}> {
  try {
    return { bullmq: await import('bullmq'), ioredis: await import('ioredis') }
  } catch (cause) {
    throw new UnsupportedError(
      'toeplitz/distributed: jobs on Redis need two packages more; install them: npm install bullmq ioredis',
      { cause },
    )
  }
}

/** An address without its password, for messages. */
export function shownUrl(url: string): string {
  const shown = new URL(url)
  if (shown.password !== '') shown.password = '***'
  return shown.href
}

/** @throws ArgumentError unless it is an address of Redis */
export function checkUrl(url: unknown): string {
  if (typeof url === 'string' && URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol)) return url
  throw new ArgumentError(
    `redis: expected an address such as redis://127.0.0.1:6379 or rediss://…, given ${inWords(url)}`,
  )
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'nothing answers there; start redis-server, or give another address'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no such host; check the address'],
  [/WRONGPASS|invalid password|NOAUTH/i, 'the name or the password is wrong; give redis://name:password@host'],
  [/ETIMEDOUT|timed out/i, 'no answer; check the address and the firewall'],
  [
    /NOPERM/,
    `the user may not do what is needed; allow it the keys ${PREFIX}:* and the commands of docs/distributed.md`,
  ],
]

/** What is wrong with a server, in a line. */
export function redisError(url: string, cause: unknown): ToeplitzError {
  const { message = String(cause), code = '' } = Object(cause) as { message?: string; code?: string }
  const why = reasons.find(([pattern]) => pattern.test(`${code} ${message}`))?.[1] ?? message
  return new ToeplitzError('REDIS', `${shownUrl(url)}: ${why}`, { cause })
}

/**
 * A client that waits and tries again when the connection is lost; at the start, errors are told.
 * @throws ToeplitzError with code REDIS when it cannot be reached, refuses, or may throw keys away
 */
export async function connect(url: string): Promise<Redis> {
  const { ioredis } = await packages()
  let started = false
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: null,
    connectTimeout: PATIENCE * 1000,
    retryStrategy: (times) => (started ? Math.min(100 * times, 2000) : null),
  })
  let last: unknown
  client.on('error', (error: unknown) => {
    last = error
  })
  try {
    await client.connect()
    const memory = await client.info('memory')
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
    if (policy !== undefined && policy !== 'noeviction') {
      throw new ToeplitzError(
        'REDIS',
        `${shownUrl(url)}: its maxmemory-policy is ${policy}, by which jobs could vanish; set it to noeviction`,
      )
    }
    started = true
    return client
  } catch (error) {
    client.disconnect()
    throw error instanceof ToeplitzError ? error : redisError(url, last ?? error)
  }
}
