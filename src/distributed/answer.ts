/** What a job gave, with the value that its outcome names. */
import { ToeplitzError } from '../runtime/errors.js'
import type { Engine, Submission } from './engine.js'

/** An outcome's name and its bytes. */
export interface Answer {
  readonly result: string
  readonly bytes: Uint8Array
}

/**
 * Submits a job and reads its outcome. A queue may keep an outcome whose value has expired or was lost: the job is forgotten then, its
 * values are put once more, and it is submitted a second time.
 */
export async function answerOf(engine: Engine, submission: Submission): Promise<Answer> {
  const ask = async (): Promise<Answer> => {
    const { result = '' } = await engine.submit(submission)
    return { result, bytes: await engine.store.get(result) }
  }
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof ToeplitzError && error.code === 'ABSENT')) throw error
    await engine.forget(submission.job)
    await submission.put()
    return ask()
  }
}
