/** Redis and the queue on it. The packages are optional: whoever has one machine needs neither. */
import type { Job, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { ArgumentError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'

/** Keys of this library in Redis begin so: what a user of its ACL may reach. */
export const PREFIX = 'toeplitz'

/** Workers of another release, or with another core, may compute other bits: each release and core has a queue of its own. */
export const queueName = ({ version, simd }: { readonly version: string; readonly simd: string }): string =>
  `jobs-${version}-${simd}`

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

/** Parameters of an address whose values are secret: ioredis takes its options from them, as `password`. */
const secretParameters = ({ searchParams }: URL): string[] =>
  [...searchParams.keys()].filter((key) => /password|secret|token/i.test(key))

/** An address without its passwords, for messages. */
export function shownUrl(url: string): string {
  const shown = new URL(url)
  if (shown.password !== '') shown.password = '***'
  for (const key of secretParameters(shown)) shown.searchParams.set(key, '***')
  return shown.href
}

/** A text that a server or a package made, without the passwords of an address: a server quotes a command that it does not know. */
export function withoutPasswords(url: string, text: string): string {
  const parsed = new URL(url)
  const written = [parsed.password, ...secretParameters(parsed).flatMap((key) => parsed.searchParams.getAll(key))]
  const secrets = written.flatMap((secret) => {
    try {
      return [secret, encodeURIComponent(secret), decodeURIComponent(secret)]
    } catch {
      return [secret, encodeURIComponent(secret)]
    }
  })
  return secrets.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text)
}

/** @throws ArgumentError unless it is an address of Redis; the address is not quoted, because it may hold a password */
export function checkUrl(url: unknown): string {
  if (typeof url === 'string' && URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol)) return url
  throw new ArgumentError(
    `redis: expected an address such as redis://127.0.0.1:6379 or rediss://…, given ${typeof url === 'string' ? 'another text' : inWords(url)}`,
  )
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'nothing answers there; start redis-server, or give another address'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no such host; check the address'],
  [/WRONGPASS|invalid password|NOAUTH/i, 'the name or the password is wrong; give redis://name:password@host'],
  [
    /^OOM|used memory > 'maxmemory'/,
    'its memory is full; give it more (maxmemory), or let a folder hold values: store: { folder }, and toeplitz worker --store',
  ],
  [/ETIMEDOUT|timed out/i, 'no answer; check the address and the firewall'],
  [
    /NOPERM/,
    `the user may not do what is needed; allow it the keys ${PREFIX}:* and the commands of docs/distributed.md`,
  ],
]

/**
 * What is wrong with a server, in a line. The cause has the message and the code of the first error, and nothing else: an error of
 * ioredis keeps the command that was refused, and the password is an argument of `AUTH`.
 */
export function redisError(url: string, cause: unknown): ToeplitzError {
  const { message = String(cause), code = '' } = Object(cause) as { message?: string; code?: string }
  const why =
    reasons.find(([pattern]) => pattern.test(`${code} ${message}`.trim()))?.[1] ?? withoutPasswords(url, message)
  const reason = Object.assign(new Error(withoutPasswords(url, message)), code === '' ? {} : { code })
  return new ToeplitzError('REDIS', `${shownUrl(url)}: ${why}`, { cause: reason })
}

/** Whether waiting does not help: the server refuses what it is asked, or what is wrong is not the server at all. */
export function isLasting(error: unknown): boolean {
  if (error instanceof ToeplitzError && error.code !== 'REDIS') return true
  const { cause = error } = Object(error) as { cause?: unknown }
  return /^(OOM|NOPERM|WRONGTYPE|MISCONF)\b/.test((Object(cause) as { message?: string }).message ?? '')
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

/** A job of a queue; undefined where there is none, or where what others wrote in its place cannot be read. */
export async function jobIn(queue: Queue, id: string): Promise<Job | undefined> {
  try {
    return await queue.getJob(id)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
