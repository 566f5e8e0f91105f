/** CIFAR-10's binary records: other lengths, other labels. */
import { cifar10FromBinary } from '../../../src/data/cifar10.js'
import { concat, mutateBytes } from '../mutate.js'
import { accepted, defineTarget, expect } from '../target.js'

const RECORD = 3073

export default defineTarget<Uint8Array>({
  about: 'cifar10FromBinary: records cut, shifted and with other labels',
  cases: 100,
  readsFiles: true,
  make(random) {
    const records = concat(
      ...random.list(random.below(4), () => concat(Uint8Array.of(random.below(11)), random.bytes(RECORD - 1))),
    )
    return random.chance(0.5) ? records : mutateBytes(records, random)
  },
  check(bytes) {
    const { images, labels, size } = cifar10FromBinary([{ bytes, name: 'x.bin' }])
    expect(size * RECORD === bytes.length, `${size} records in ${bytes.length} bytes`)
    for (let n = 0; n < size; n++) {
      expect(labels[n] === bytes[n * RECORD] && (labels[n] as number) < 10, `label ${labels[n]}`)
      const pixels = images.subarray(n * (RECORD - 1), (n + 1) * (RECORD - 1))
      expect(Buffer.compare(pixels, bytes.subarray(n * RECORD + 1, (n + 1) * RECORD)) === 0, 'other pixels')
    }
    return accepted(images.length)
  },
})
