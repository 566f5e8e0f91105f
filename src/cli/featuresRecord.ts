/** What `toeplitz features` tells of the data that it learned from, in the record that it leaves in its folder. */
import { join } from 'node:path'
import { parseJson } from '../formats/json.js'
import { isA, readFileOrExplain } from '../node/files.js'

/** The name of the record. */
export const featuresRecord = 'features.json'

/** The data of a record, and the digest of its fingerprint, which was not told by earlier releases and of no set in memory. */
export interface LearnedFrom {
  readonly data: string
  readonly digest?: string
}

/** The data that the features in a folder were learned from; undefined where there are none. */
export async function learnedFrom(folder: string): Promise<LearnedFrom | undefined> {
  const path = join(folder, featuresRecord)
  if (!(await isA('file', path))) return undefined
  const { data, digest } = Object(parseJson(new TextDecoder().decode(await readFileOrExplain(path)), path)) as {
    data?: unknown
    digest?: unknown
  }
  if (typeof data !== 'string') return undefined
  return typeof digest === 'string' ? { data, digest } : { data }
}
