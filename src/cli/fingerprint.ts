/**
 * The fingerprint of the data of a run: what a run that is resumed must find again, to the byte, because the rest of the
 * run would otherwise be another one. Beside the digest that decides, it lists the parts (each file, or each array of a
 * set in memory) by short fingerprints of their own, so that a difference can be named.
 */
import { createHash } from 'node:crypto'
import { relative, sep } from 'node:path'
import type { ImageSource } from '../data/dataset.js'
import { decodeSealedJson, encodeSealedJson } from '../formats/json.js'
import { readFileOrExplain, shown } from '../node/files.js'
import { largestPicture } from '../node/folder.js'
import { statOrExplain } from '../node/reading.js'
import { FormatError } from '../runtime/errors.js'
import type { Data } from './data.js'

/** Files are read whole up to this many bytes together. */
const WHOLE_BYTES = 1e9
/** Beyond that, of so many bytes of them, evenly spread; of the others, sizes and times are compared. */
const SAMPLE_BYTES = 64e6
/** Files that are read at a time. */
const AT_ONCE = 16
/** Parts and characters of a list; beyond these it is told by folders, and beyond these again not at all. */
const LARGEST_LIST = { parts: 20_000, characters: 4e6 }
/** Names of each kind of change in a message. */
const NAMES = 5

/** A part's name and its fingerprint: the size, and then a time or a hash or both. */
type Part = readonly [name: string, fingerprint: string]

export interface Fingerprint {
  /** SHA-256 over the names and fingerprints of all parts, in hexadecimal. */
  readonly digest: string
  /** Whether all bytes were read, or a sample. */
  readonly reading: 'whole' | 'sample'
  /** Sorted by name. Pictures are named by their paths in their folder; a folder of many, with a slash at the end. */
  readonly parts: readonly Part[]
}

export interface FingerprintLimits {
  readonly wholeBytes?: number
  readonly sampleBytes?: number
  readonly largestList?: { readonly parts: number; readonly characters: number }
}

const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex')

/**
 * The fingerprint of the pictures that a run trains, validates and tests with.
 * @param directory that the names of pictures in files are relative to
 */
export async function fingerprintOf(
  data: Data,
  directory: string,
  limits: FingerprintLimits = {},
): Promise<Fingerprint> {
  const { training, validation, test } = data
  const paths = [training, validation, test].flatMap((source) => ('images' in source ? [] : (source.files ?? [])))
  const files = await filesAt(paths, directory, limits)
  const parts = [
    ['names of the classes', `${training.classes.length} ${sha256(JSON.stringify(training.classes))}`],
    ['size of the pictures', training.shape.join(' ')],
    ...partsInMemory('training', [training, validation]),
    ...partsInMemory('test', [test]),
    ...files.parts,
  ] as const
  const sorted = [...parts].sort(([a], [b]) => (a < b ? -1 : 1))
  return { digest: sha256(JSON.stringify(sorted)), reading: files.reading, parts: bounded(sorted, limits) }
}

/** The arrays of a set in memory: one part for its pixels, one for its labels. */
function partsInMemory(name: string, sources: readonly ImageSource[]): Part[] {
  const inMemory = sources.filter((source) => 'images' in source)
  if (inMemory.length === 0) return []
  const part = (what: string, arrays: readonly Uint8Array[]): Part => {
    const hash = createHash('sha256')
    for (const array of arrays) hash.update(array)
    return [`${name} ${what}`, `${arrays.reduce((sum, { length }) => sum + length, 0)} ${hash.digest('hex')}`]
  }
  return [
    part(
      'images',
      inMemory.map(({ images }) => images),
    ),
    part(
      'labels',
      inMemory.map(({ labels }) => new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength)),
    ),
  ]
}

interface FoundFile {
  readonly name: string
  readonly path: string
  readonly size: number
  /** Of the last change, in milliseconds. */
  readonly time: number
}

/** A part for each file. */
async function filesAt(
  paths: readonly string[],
  directory: string,
  { wholeBytes = WHOLE_BYTES, sampleBytes = SAMPLE_BYTES }: FingerprintLimits,
): Promise<Pick<Fingerprint, 'reading' | 'parts'>> {
  const found = await inTurns(paths, async (path): Promise<FoundFile> => {
    const name = relative(directory, path).split(sep).join('/')
    const { size, mtimeMs } = await statOrExplain(path).catch(unlessOfFile)
    return { name, path, size, time: Math.floor(mtimeMs) }
  })
  found.sort((a, b) => (a.name < b.name ? -1 : 1))
  const total = found.reduce((sum, { size }) => sum + size, 0)
  const reading = total <= wholeBytes ? 'whole' : 'sample'
  // One in so many files is read. Which ones depends on their names alone, and the share is halved at a time, so that a
  // few more files leave the fingerprints of the others as they are.
  let every = 1
  while (reading === 'sample' && total / every > sampleBytes) every *= 2
  const parts = await inTurns(found, async ({ name, path, size, time }): Promise<Part> => {
    const isRead = Number.parseInt(sha256(name).slice(0, 8), 16) % every === 0
    const content = isRead ? [await hashOf(path, size)] : []
    return [name, [size, ...(reading === 'whole' ? [] : [time]), ...content].join(' ')]
  })
  return { reading, parts }
}

/** What is gone or too large is passed over in training; that it is so is a part of the fingerprint. */
async function hashOf(path: string, size: number): Promise<string> {
  if (size > largestPicture) return 'too large'
  try {
    return sha256(await readFileOrExplain(path))
  } catch (error) {
    unlessOfFile(error)
    return 'unreadable'
  }
}

/** Of a file that cannot be looked at, unless the fault is the system's: then the fingerprint would not be the data's. */
function unlessOfFile(error: unknown): { readonly size: number; readonly mtimeMs: number } {
  if (error instanceof FormatError) return { size: 0, mtimeMs: 0 }
  throw error
}

/** Results in the order of the items, of which a few are worked on at a time. */
async function inTurns<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results = new Array<Result>(items.length)
  const next = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of next) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}

const isFile = ([name]: Part): boolean => name.includes('/')
const folderOf = (name: string): string => name.slice(0, name.lastIndexOf('/') + 1)

/** The parts with short hashes: 64 bits find every change that is not made to deceive. */
const shortened = (parts: readonly Part[]): Part[] =>
  parts.map(([name, value]) => [name, value.replace(/(?<=[0-9a-f]{16})[0-9a-f]{48}/, '')])

/** The parts of a list that is not too long: where there are too many files, their folders stand for them. */
function bounded(parts: readonly Part[], { largestList = LARGEST_LIST }: FingerprintLimits): readonly Part[] {
  const fits = (list: readonly Part[]): boolean =>
    list.length <= largestList.parts && JSON.stringify(list).length <= largestList.characters
  const each = shortened(parts)
  if (fits(each)) return each
  const folders = byFolder(each)
  return fits(folders) ? folders : each.filter((part) => !isFile(part))
}

/** The same parts, with one for each folder in place of those for its files. */
function byFolder(parts: readonly Part[]): Part[] {
  const folders = new Map<string, string[]>()
  for (const [name, value] of parts.filter((part) => isFile(part) && !part[0].endsWith('/'))) {
    const folder = folderOf(name)
    const files = folders.get(folder)
    if (files) files.push(name, value)
    else folders.set(folder, [name, value])
  }
  const grouped = [...folders].map(([name, files]): Part => [
    name,
    `${files.length / 2} ${sha256(JSON.stringify(files))}`,
  ])
  return [...parts.filter((part) => !isFile(part) || part[0].endsWith('/')), ...shortened(grouped)]
}

/** What differs between the data of a run and the data that was found, in words, such as "1 changed (cat/7.png)". */
export function differences(before: Fingerprint, now: Fingerprint): string {
  let [old, current] = [before.parts, now.parts]
  const hasFolders = (parts: readonly Part[]): boolean => parts.some(([name]) => name.endsWith('/'))
  if (hasFolders(old) !== hasFolders(current)) [old, current] = [byFolder(old), byFolder(current)]
  // Of files that were read whole once and are now in too large a set, only the sizes can be compared.
  const value = (text: string): string => (before.reading === now.reading ? text : (text.split(' ')[0] as string))
  const known = new Map(old)
  const found = new Map(current)
  const kinds: [string, string[]][] = [
    [
      'changed',
      current.filter(([name, is]) => known.has(name) && value(known.get(name) as string) !== value(is)).map(nameOf),
    ],
    ['new', current.map(nameOf).filter((name) => !known.has(name))],
    ['missing', old.map(nameOf).filter((name) => !found.has(name))],
  ]
  return kinds
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => {
      const more = names.length > NAMES ? `, and ${names.length - NAMES} more` : ''
      return `${names.length} ${kind} (${names.slice(0, NAMES).map(shown).join(', ')}${more})`
    })
    .join(', ')
}

const nameOf = ([name]: Part): string => name

/** The text of the list that stands beside a checkpoint. */
export const encodeFingerprint = (fingerprint: Fingerprint): string => encodeSealedJson(fingerprint)

/** The list of the data with this digest; undefined when it is another's, or damaged. It serves for messages alone. */
export function decodeFingerprint(text: string, digest: string): Fingerprint | undefined {
  try {
    const { parts, ...rest } = decodeSealedJson(text, 'the list') as Fingerprint
    const isPart = (part: unknown): boolean => Array.isArray(part) && part.every((item) => typeof item === 'string')
    return rest.digest === digest && parts.every(isPart) ? { parts, ...rest } : undefined
  } catch {
    return undefined
  }
}
