/** Which pictures a folder of classes holds: names alone, before any picture is read. */
import { dirname, extname, join, resolve } from 'node:path'
import { FormatError } from '../runtime/errors.js'
import { isForeign } from './names.js'
import { entriesOf, identityOf, irregular, type Entry } from './reading.js'

/** How names of pictures end, in either case. */
export const extensions = ['.png', '.jpg', '.jpeg']

/** How much may be listed: what a process has memory for. Pictures take about 100 bytes each besides their names. */
export interface ListingLimits {
  /** Pictures, or classes. */
  readonly count: number
  /** Characters of all names together. */
  readonly characters: number
}

const limits: ListingLimits = { count: 5_000_000, characters: 2 ** 28 }

/** What is told while a folder is listed. */
export interface ListingReports {
  /** Told of each picture or class that cannot be read: links that lead nowhere, pipes, sockets and devices. */
  readonly onSkip: (error: FormatError) => void
  /** Told once of each kind of what is passed over, in each of the two places. */
  readonly onOther?: ((others: OtherFiles) => void) | undefined
}

/** What lies in a folder of classes and is passed over: all that is of one kind and in one place. */
export interface OtherFiles {
  /** How many there are. Names that begin with a dot are not counted. */
  readonly count: number
  /** Path of one of them: the first, in the order of their names. */
  readonly example: string
  /**
   * What they are; links are what they lead to, where that matters. A `picture` is a file that is called as pictures are, a
   * `picture of another format` one that is called as those which are not read, a `file` another one.
   */
  readonly kind: 'picture' | 'picture of another format' | 'file' | 'directory' | 'link' | 'pipe' | 'socket' | 'device'
  /** Whether they lie in the folders of classes, beside these, or in folders of which everything is read. */
  readonly place: 'class' | 'beside' | 'folder'
}

/** The pictures of a folder, class by class in the order of their names, and in each in the order of theirs. */
export interface Listing {
  readonly classes: readonly string[]
  /** Names of the files in their classes' folders. */
  readonly names: readonly string[]
  /** Class numbers of the names. */
  readonly labels: Int32Array
}

/** How names of pictures in formats that are not read end. */
const otherExtensions = ['.webp', '.heic', '.heif', '.avif', '.gif', '.bmp', '.tif', '.tiff', '.jp2', '.jxl', '.svg']
const isOfOther = (name: string): boolean => otherExtensions.includes(extname(name).toLowerCase())

const isPicture = (name: string): boolean => extensions.includes(extname(name).toLowerCase())

/** Counts what is passed over, by place and kind. */
class Others {
  readonly #found = new Map<string, { -readonly [Name in keyof OtherFiles]: OtherFiles[Name] }>()

  add(place: OtherFiles['place'], path: string, { name, kind }: Entry): void {
    if (name.startsWith('.')) return
    const what =
      kind !== 'file' ? kind : isPicture(name) ? 'picture' : isOfOther(name) ? 'picture of another format' : kind
    const known = this.#found.get(`${place} ${what}`)
    if (!known) this.#found.set(`${place} ${what}`, { count: 1, example: path, kind: what, place })
    else {
      known.count++
      if (path < known.example) known.example = path
    }
  }

  tell({ onOther }: Pick<ListingReports, 'onOther'>): void {
    const inOrder = [...this.#found.values()].sort((a, b) => (a.example < b.example ? -1 : 1))
    for (const found of inOrder) onOther?.(found)
  }
}

/** Names that are held, as far as there is room for them. */
class Room {
  #count = 0
  #characters = 0

  constructor(
    private readonly directory: string,
    private readonly limits: ListingLimits,
  ) {}

  take(name: string): void {
    const { count, characters } = this.limits
    this.#characters += name.length
    if (++this.#count > count || this.#characters > characters) {
      throw new FormatError(
        `${this.directory}: more than ${count} names, or ${characters} characters of them, are in it; divide the folder`,
      )
    }
  }
}

/** Directories that hold a directory, itself included. */
async function ancestorsOf(directory: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (let path = resolve(directory); ; path = dirname(path)) {
    found.add(await identityOf(path))
    if (path === dirname(path)) return found
  }
}

const dangling = (path: string): FormatError => new FormatError(`${path}: is a link that leads nowhere; remove it`)

/** The folders of classes, or links to such, in the order of their names. */
async function classesIn(directory: string, room: Room, { onSkip }: ListingReports, others: Others): Promise<string[]> {
  const classes: string[] = []
  let above: Set<string> | undefined
  const pathOf = (name: string): string => join(directory, name)
  for await (const entry of entriesOf(directory, pathOf, (name) => !name.startsWith('.'))) {
    const { name, kind, linked } = entry
    if (name.startsWith('.')) continue
    if (kind === 'link') onSkip(dangling(pathOf(name)))
    else if (kind !== 'directory') others.add('beside', pathOf(name), entry)
    if (kind !== 'directory') continue
    if (isForeign(name)) {
      throw new FormatError(`${pathOf(name)}: the name of a class must be UTF-8; rename the folder`)
    }
    if (linked) {
      above ??= await ancestorsOf(directory)
      if (above.has(await identityOf(pathOf(name)))) {
        onSkip(new FormatError(`${pathOf(name)}: is a link to a folder that it lies in; remove it`))
        continue
      }
    }
    room.take(name)
    classes.push(name)
  }
  return classes.sort()
}

/** The names of a class's pictures, in order, and the first of those in other formats; counts what is passed over. */
async function picturesIn(
  directory: string,
  room: Room,
  { onSkip }: ListingReports,
  others: Others,
): Promise<{ readonly names: string[]; readonly unread: string | undefined }> {
  const names: string[] = []
  let unread: string | undefined
  const pathOf = (name: string): string => join(directory, name)
  const skip = (name: string, kind: Entry['kind']): void => {
    onSkip(kind === 'link' ? dangling(pathOf(name)) : irregular(pathOf(name), kind))
  }
  for await (const entry of entriesOf(directory, pathOf, isPicture)) {
    const { name, kind } = entry
    if (kind === 'file' && isOfOther(name) && !(unread !== undefined && unread < name)) unread = name
    if (!isPicture(name) || kind === 'directory') others.add('class', pathOf(name), entry)
    else if (kind !== 'file') skip(name, kind)
    else {
      room.take(name)
      names.push(name)
    }
  }
  return { names: names.sort(), unread }
}

/**
 * Lists a folder with a folder of pictures for each class. Links to folders and to files are followed.
 *
 * @throws FormatError when there is no class, one of them is empty, or there are more names than memory has room for
 */
export async function listPictures(
  directory: string,
  reports: ListingReports,
  { count, characters }: ListingLimits = limits,
): Promise<Listing> {
  const room = new Room(directory, { count, characters })
  const others = new Others()
  const classes = await classesIn(directory, room, reports, others)
  if (classes.length === 0) {
    throw new FormatError(`${directory}: there is no folder in it; expected one for each class, with its pictures`)
  }
  const names: string[] = []
  const ends: number[] = []
  for (const name of classes) {
    const folder = join(directory, name)
    const { names: pictures, unread } = await picturesIn(folder, room, reports, others)
    if (pictures.length === 0 && unread !== undefined) {
      throw new FormatError(
        `${join(folder, unread)}: no picture of the class can be read: PNG and JPEG are; save them as one of these`,
      )
    }
    if (pictures.length === 0) {
      throw new FormatError(
        `${folder}: the class is empty; put pictures (${extensions.join(', ')}) in it, or remove it`,
      )
    }
    for (const picture of pictures) names.push(picture)
    ends.push(names.length)
  }
  const labels = new Int32Array(names.length)
  ends.forEach((end, label) => labels.fill(label, label === 0 ? 0 : ends[label - 1], end))
  others.tell(reports)
  return { classes, names, labels }
}

/** Names of the folders in a folder, or links to such, that are wanted, in order; names that begin with a dot are not. */
export async function foldersIn(directory: string, wanted: (name: string) => boolean): Promise<string[]> {
  const isWanted = (name: string): boolean => !name.startsWith('.') && wanted(name)
  const room = new Room(directory, limits)
  const found: string[] = []
  for await (const { name, kind } of entriesOf(directory, (name) => join(directory, name), isWanted)) {
    if (kind !== 'directory' || !isWanted(name)) continue
    room.take(name)
    found.push(name)
  }
  return found.sort()
}

/** Tells what lies in a folder besides the named ones, as `listPictures` tells what lies beside the classes. */
export async function tellBeside(
  directory: string,
  names: readonly string[],
  reports: Pick<ListingReports, 'onOther'>,
): Promise<void> {
  const others = new Others()
  const pathOf = (name: string): string => join(directory, name)
  for await (const entry of entriesOf(directory, pathOf, (name) => !name.startsWith('.'))) {
    if (!names.includes(entry.name)) others.add('beside', pathOf(entry.name), entry)
  }
  others.tell(reports)
}

/**
 * The paths of all pictures in a folder and in the folders below, in the order of their names. Links are followed, except to
 * folders that they lie in; names that begin with a dot are passed over, but for pictures.
 *
 * @throws FormatError when there are more names than memory has room for
 */
export async function* picturesBelow(directory: string, reports: ListingReports): AsyncGenerator<string> {
  const others = new Others()
  const above = await ancestorsOf(directory)
  const room = new Room(directory, limits)
  const { onSkip } = reports

  async function* below(folder: string, around: ReadonlySet<string>): AsyncGenerator<string> {
    const pathOf = (name: string): string => join(folder, name)
    const isHidden = (name: string): boolean => name.startsWith('.') && !isPicture(name)
    const found: Entry[] = []
    for await (const entry of entriesOf(folder, pathOf, (name) => !isHidden(name))) {
      if (isHidden(entry.name)) continue
      room.take(entry.name)
      found.push(entry)
    }
    for (const entry of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = pathOf(entry.name)
      if (entry.kind === 'directory') {
        const identity = await identityOf(path)
        if (!around.has(identity)) yield* below(path, new Set([...around, identity]))
        else onSkip(new FormatError(`${path}: is a link to a folder that it lies in; remove it`))
      } else if (!isPicture(entry.name)) others.add('folder', path, entry)
      else if (entry.kind === 'file') yield path
      else onSkip(entry.kind === 'link' ? dangling(path) : irregular(path, entry.kind))
    }
  }

  yield* below(directory, above)
  others.tell(reports)
}
