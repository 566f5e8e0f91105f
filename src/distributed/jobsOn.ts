/** What a queue holds, and who works on it. */
import { checkUrl, connect, jobIn, packages, PREFIX, queueName } from './connection.js'
import { workersOf, type WorkerFacts } from './registry.js'
import { ownRelease } from './release.js'

/** States of jobs that are counted. */
const states = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const

/** Failures that are listed, the newest first. */
const LISTED = 20

/** A queue at one moment. */
export interface QueueFacts {
  /** The release whose queue it is. */
  readonly version: string
  /** The core whose queue it is. */
  readonly simd: string
  /** Jobs by their state. */
  readonly counts: Readonly<Record<string, number>>
  /** Workers of all releases. */
  readonly workers: readonly WorkerFacts[]
  /** The last jobs that failed for good. */
  readonly failures: readonly { readonly id: string; readonly type: string; readonly reason: string }[]
}

/** Looks at the queue of this release and this core. @throws as `startWorker` */
export async function jobsOn(redis: string): Promise<QueueFacts> {
  const url = checkUrl(redis)
  const { bullmq } = await packages()
  const client = await connect(url)
  const connection = client.duplicate()
  const release = ownRelease()
  const queue = new bullmq.Queue(queueName(release), { connection, prefix: PREFIX })
  try {
    const counts = await queue.getJobCounts(...states)
    const ids = await queue.getRanges(['failed'], 0, LISTED - 1)
    const failures = await Promise.all(
      ids.map(async (id) => {
        const { name: type = 'unknown', failedReason: reason = 'the job cannot be read' } =
          (await jobIn(queue, id)) ?? {}
        return { id, type, reason }
      }),
    )
    return { ...release, counts, workers: await workersOf(client), failures }
  } finally {
    await queue.close()
    client.disconnect()
    connection.disconnect()
  }
}
