/** Formats of pictures, and of what is taken for them, by their first bytes. */
import { FormatError } from '../runtime/errors.js'
import { jpegSignature, pngSignature } from './limits.js'

/** How a file begins; null stands for any byte. */
type Beginning = readonly (number | null)[]

const codesOf = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0))
const anything = (count: number): null[] => new Array<null>(count).fill(null)
/** A file of the ISO base media format, by its brand (ISO/IEC 14496-12, 4.3). */
const brand = (name: string): Beginning => [...anything(4), ...codesOf(`ftyp${name}`)]

const beginnings: readonly (readonly [what: string, ...Beginning[]])[] = [
  ['a PNG', pngSignature],
  ['a JPEG', jpegSignature],
  ['a GIF', codesOf('GIF8')],
  ['a WebP picture', [...codesOf('RIFF'), ...anything(4), ...codesOf('WEBP')]],
  ['an AVIF picture', brand('avif'), brand('avis')],
  [
    'a HEIC picture, as iPhones take them',
    ...['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'].map(brand),
  ],
  ['a TIFF', codesOf('II*\0'), codesOf('MM\0*'), codesOf('II+\0'), codesOf('MM\0+')],
  ['a JPEG 2000', [0, 0, 0, 12, ...codesOf('jP  ')], [0xff, 0x4f, 0xff, 0x51]],
  ['a JPEG XL', [0, 0, 0, 12, ...codesOf('JXL ')], [0xff, 0x0a]],
  ['a Photoshop file', codesOf('8BPS')],
  ['an icon (ICO)', [0, 0, 1, 0]],
  ['a PDF', codesOf('%PDF')],
  ['a Windows bitmap (BMP)', codesOf('BM')],
]

/** A file of safetensors: the length of its header, 64 bits of which the upper half are zeros, and the header, in JSON. */
const safetensors: Beginning = [...anything(4), 0, 0, 0, 0, 0x7b]

/** What is no picture at all, and what to do then. */
const noPictures: readonly (readonly [what: string, remedy: string, Beginning])[] = [
  ['a pointer of Git LFS to it', 'fetch the file itself by git lfs pull', codesOf('version https://git-lfs')],
  ['what macOS keeps beside a file (AppleDouble)', 'remove it', [0, 5, 0x16, 7, 0, 2, 0, 0]],
  ['a ZIP archive', 'unpack it', codesOf('PK\x03\x04')],
  ['a model, or other weights (safetensors)', 'give a picture here', safetensors],
  ['JSON, as a model.json is', 'give a picture here', codesOf('{')],
]

const beginsAs =
  (bytes: Uint8Array) =>
  (beginning: Beginning): boolean =>
    beginning.every((byte, i) => byte === null || bytes[i] === byte)

/** What a file that is not what it should be is, such as `a GIF`; undefined where nothing is known of it. */
export function formatOf(bytes: Uint8Array): string | undefined {
  const isSo = beginsAs(bytes)
  // The length of a header may read as letters.
  const found = noPictures.find(([, , each]) => isSo(each)) ?? beginnings.find(([, ...each]) => each.some(isSo))
  if (found) return found[0]
  const text = String.fromCharCode(...bytes.subarray(0, 16)).trimStart()
  return text.startsWith('<') ? 'a web page or an SVG' : undefined
}

/** What to do with a file that no program saves as a picture; undefined where one does, or nothing is known of it. */
export const remedyOf = (bytes: Uint8Array): string | undefined =>
  noPictures.find(([, , beginning]) => beginsAs(bytes)(beginning))?.[1]

/**
 * Checks that bytes may be those of a model, of which the readers of safetensors and of JSON would say things that only they mean.
 *
 * @param due what to give in place of what is no model
 * @throws FormatError when they are empty, or a picture or another file that is told by its first bytes
 */
export function checkModelBytes(bytes: Uint8Array, name: string, due: string): void {
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; ${due}`)
  const isSo = beginsAs(bytes)
  const format = isSo(safetensors) || isSo(codesOf('{')) ? undefined : formatOf(bytes)
  if (format !== undefined) throw new FormatError(`${name}: is ${format}, and no model; ${due}`)
}
