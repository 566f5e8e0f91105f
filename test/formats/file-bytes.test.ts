/** Files as every kind of bytes. */
import { beforeAll, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { cifar10FromBinary } from '../../src/data/cifar10.js'
import { readIdx, writeIdx } from '../../src/formats/idx.js'
import { mnistFromIdx } from '../../src/data/mnist.js'
import { decodeImage } from '../../src/formats/decode.js'
import { isJpeg } from '../../src/formats/jpeg.js'
import type { FileBytes } from '../../src/formats/limits.js'
import { decodeModel, encodeModel } from '../../src/io/model-file.js'
import { decodePng, encodePng } from '../../src/formats/png.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/formats/safetensors.js'
import { Linear } from '../../src/nn/linear.js'
import { Sequential } from '../../src/nn/sequential.js'

beforeAll(() => init())

const bufferOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer

const png = encodePng({ width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) })
const labels = writeIdx([1], Uint8Array.of(7))
const images = writeIdx([1, 2, 2], Uint8Array.of(1, 2, 3, 4))
const tensors = encodeSafetensors({ a: { shape: [2], data: Float32Array.of(1, 2) } })

it.each<[string, Uint8Array, (file: FileBytes) => unknown]>([
  ['decodePng', png, (file) => decodePng(file, 'x')],
  ['decodeImage', png, (file) => decodeImage(file, 'x')],
  ['isJpeg', Uint8Array.of(0xff, 0xd8, 0xff), (file) => isJpeg(file)],
  ['readIdx', labels, (file) => readIdx(file, 'x')],
  ['mnistFromIdx', images, (file) => mnistFromIdx({ bytes: file, name: 'x' }, { bytes: labels, name: 'y' })],
  ['cifar10FromBinary', new Uint8Array(3073), (file) => cifar10FromBinary([{ bytes: file, name: 'x' }])],
  ['decodeSafetensors', tensors, (file) => decodeSafetensors(file, 'x').tensors.get('a')?.data],
])('%s takes an ArrayBuffer', (_, bytes, read) => {
  expect(read(bufferOf(bytes))).toEqual(read(bytes))
  expect(() => read([1, 2] as never)).toThrow(/: a file must be a Uint8Array or an ArrayBuffer, given \[1, 2\]$/)
})

it('models are loaded from an ArrayBuffer', () => {
  const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3] })
  const file = encodeModel(model, { name: 'm', classes: ['a', 'b'], normalization: { mean: 0, std: 1 } })
  const decoded = decodeModel(bufferOf(file), 'm').model
  const other = new Sequential([new Linear({ outFeatures: 2 })], { input: [3], seed: 9 })
  other.load(bufferOf(model.save()))
  for (const loaded of [decoded, other]) expect(loaded.parameters()[0]!.data()).toEqual(model.parameters()[0]!.data())
  for (const owned of [model, decoded, other]) owned.dispose()
})
