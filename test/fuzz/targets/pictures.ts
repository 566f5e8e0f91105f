/** Pictures on their way into a model: grey, planes, other sizes, extreme ones too. */
import { interpolations, lightOnDark, resizeGrayscale, toGrayscale } from '../../../src/io/grayscale.js'
import { decodeImage } from '../../../src/formats/decode.js'
import { coverImage, fits, toPlanes } from '../../../src/io/planar.js'
import { encodePng, type PngImage } from '../../../src/formats/png.js'
import { preparePixels } from '../../../src/io/preprocessing.js'
import type { Json } from '../mutate.js'
import { Random } from '../random.js'
import { accepted, defineTarget, expect } from '../target.js'

interface Case {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 2 | 3 | 4
  /** Size of the result. */
  readonly to: [height: number, width: number]
  /** Every byte, or the seed of random ones. */
  readonly value?: number
  readonly seed?: number
}

const MOST_PIXELS = 2 ** 20

const even = (data: Uint8Array, value: number): boolean => data.every((byte) => byte === value)

export default defineTarget<Json>({
  about: 'pictures of any size and aspect: decoded, made grey, resized and cut',
  cases: 60,
  readsFiles: true,
  make(random) {
    const extent = (): number =>
      random.chance(0.7) ? random.between(1, 40) : random.pick([1, 2, 255, 4096, 65_535, 2 ** 20])
    const width = extent()
    const height = Math.min(extent(), Math.max(1, Math.floor(MOST_PIXELS / width)))
    const channels = random.pick([1, 2, 3, 4])
    const content = random.chance(0.5) ? { value: random.below(256) } : { seed: random.bits() }
    return { width, height, channels, to: [random.pick([1, 8, 28, 33, 224]), random.pick([1, 8, 28, 224])], ...content }
  },
  check(input) {
    const { width, height, channels, to, value, seed = 0 } = input as unknown as Case
    const count = width * height * channels
    const data = value === undefined ? new Random(seed).bytes(count) : new Uint8Array(count).fill(value)
    const image: PngImage = { width, height, channels, data }
    const decoded = count < 2 ** 16 ? decodeImage(encodePng(image), 'x.png') : image
    expect(Buffer.compare(decoded.data, data) === 0, 'a PNG gives other pixels than were written')
    const grey = lightOnDark(toGrayscale(decoded))
    expect(grey.data.length === width * height, `${grey.data.length} grey pixels`)
    const [h, w] = to
    for (const wanted of [1, 3] as const) {
      const planes = toPlanes(decoded, wanted)
      const covered = coverImage(planes, h, w)
      expect(covered.shape.join() === [wanted, h, w].join(), `shape (${covered.shape.join()})`)
      expect(covered.data.length === wanted * h * w, `${covered.data.length} bytes`)
      // What is the same everywhere stays so.
      if (value !== undefined)
        expect(even(covered.data, planes.data[0] as number), 'an even picture is uneven in another size')
    }
    const places = { size: to, invert: 'never', order: 'rgb', resize: Math.max(h, w) } as const
    for (const interpolation of interpolations) {
      for (const fit of fits) {
        const { resize: _, ...rest } = places
        const how = { ...(fit === 'cover' ? places : rest), channels: 1, fit, interpolation } as const
        const made = preparePixels(decoded, how)
        expect(made.length === h * w, `${made.length} prepared pixels`)
        // Black around it, and one grey in it.
        if (value !== undefined) {
          const shade = toPlanes(decoded, 1).data[0] as number
          expect(
            made.every((pixel) => pixel === shade || (fit === 'contain' && pixel === 0)),
            'an even picture is uneven when it is prepared',
          )
        }
      }
    }
    const resized = resizeGrayscale(grey, w, h)
    expect(resized.data.length === w * h, `${resized.data.length} resized pixels`)
    return accepted(3 * count)
  },
})
