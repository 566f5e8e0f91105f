/** WAV and NIfTI files: headers that promise what is not there, of every type, cut short, packed. */
import { gzipSync } from 'node:zlib'
import { decodeNifti } from '../../../src/formats/nifti.js'
import { decodeWav } from '../../../src/formats/wav.js'
import { nifti as niftiOf } from '../../helpers/nifti.js'
import { wav as wavOf } from '../../helpers/wav.js'
import { mutateBytes, viewOf } from '../mutate.js'
import { interesting, type Random } from '../random.js'
import { accepted, attempt, defineTarget, expect } from '../target.js'

/** A number of two or four bytes of the header replaced by one that programs stumble over. */
function changeHeader(bytes: Uint8Array, random: Random, length: number): Uint8Array {
  const copy = bytes.slice()
  const at = random.below(Math.min(length, copy.length) - 3)
  if (random.chance(0.5)) viewOf(copy).setUint32(at, random.pick(interesting), true)
  else viewOf(copy).setUint16(at, random.pick(interesting) & 0xffff, true)
  return copy
}

function validWav(random: Random): Uint8Array {
  const [bits, isFloat] = random.pick([
    [8, false],
    [16, false],
    [24, false],
    [32, false],
    [32, true],
    [64, true],
  ] as const)
  const channels = random.between(1, 3)
  const moments = random.list(random.between(1, 20), () => random.list(channels, () => random.below(200) / 100 - 1))
  return wavOf(moments, {
    bits,
    isFloat,
    extensible: random.chance(0.3),
    before: random.chance(0.3) ? [['LIST', [1]]] : [],
  })
}

export const wav = defineTarget<Uint8Array>({
  about: 'decodeWav: headers and bytes changed; as many samples as the file has room for',
  cases: 250,
  readsFiles: true,
  make(random) {
    const bytes = validWav(random)
    return random.pick([
      () => bytes,
      () => changeHeader(bytes, random, 60),
      () => mutateBytes(bytes, random, [validWav(random)]),
    ])()
  },
  check(bytes) {
    const sound = attempt(() => decodeWav(bytes, 'x.wav'))
    if (!sound) return 'refused'
    const [C, T] = sound.shape
    expect(C >= 1 && T >= 1 && sound.samples.length === C * T, 'other samples than the shape says')
    expect(C * T <= bytes.length, 'more samples than bytes')
    expect(sound.sampleRate >= 1, 'no sample rate')
    return accepted(sound.samples.byteLength)
  },
})

function validNifti(random: Random): Uint8Array {
  const code = random.pick([2, 4, 8, 16, 64, 256, 512, 768])
  const extents = random.list(random.between(1, 5), () => random.between(1, 4))
  const count = extents.reduce((product, extent) => product * extent, 1)
  const values = random.list(count, () => random.below(100))
  return niftiOf(extents, values, { code, isLittle: random.chance(0.7), slope: random.pick([0, 1, 0.5]), intercept: 2 })
}

export const nifti = defineTarget<Uint8Array>({
  about: 'decodeNifti of plain and gzip files: headers, streams and bytes changed',
  cases: 250,
  readsFiles: true,
  make(random) {
    const bytes = validNifti(random)
    const changed = random.pick([
      () => bytes,
      () => changeHeader(bytes, random, 348),
      () => mutateBytes(bytes, random, [validNifti(random)]),
    ])()
    if (random.chance(0.5)) return changed
    const packed = new Uint8Array(gzipSync(changed))
    return random.chance(0.5) ? packed : mutateBytes(packed, random, [packed])
  },
  check(bytes) {
    const volume = attempt(() => decodeNifti(bytes, 'x.nii', { maxBytes: 2 ** 26 }))
    if (!volume) return 'refused'
    const count = volume.shape.reduce((product, extent) => product * extent, 1)
    expect(volume.values.length === count && count >= 1, 'other values than the shape says')
    expect(volume.spacing.length === volume.shape.length, 'distances of other axes')
    return accepted(volume.values.byteLength)
  },
})
