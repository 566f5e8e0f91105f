import { describe, expect, it } from 'vitest'
import { cifar10FromBinary } from '../../src/data/cifar10.js'
import { FormatError } from '../../src/runtime/errors.js'

const record = (label: number, value: number): Uint8Array => {
  const bytes = new Uint8Array(3073).fill(value)
  bytes[0] = label
  bytes[1] = 200
  return bytes
}
const file = (name: string, ...records: Uint8Array[]) => ({ name, bytes: Buffer.concat(records) })

describe('cifar10FromBinary', () => {
  it('joins the records of files', () => {
    const { images, labels, size, shape, classes } = cifar10FromBinary([
      file('a', record(3, 1), record(9, 2)),
      file('b', record(0, 3)),
    ])
    expect({ size, shape, labels: [...labels] }).toEqual({ size: 3, shape: [3, 32, 32], labels: [3, 9, 0] })
    expect([images[0], images[1], images[3072], images[3073], images[6144], images[9215]]).toEqual([
      200, 1, 200, 2, 200, 3,
    ])
    expect(classes).toHaveLength(10)
    expect(classes[3]).toBe('cat')
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['empty', new Uint8Array(0), /x: 0 bytes are not whole records of 3073/],
    ['cut short', record(1, 1).subarray(0, 3000), /x: 3000 bytes are not whole records/],
    [
      'of another kind',
      Buffer.concat([record(1, 1), record(10, 1)]),
      /x: the label of record 1 is 10; labels must be 0 to 9/,
    ],
  ])('refuses a file that is %s', (_, bytes, message) => {
    expect(() => cifar10FromBinary([{ name: 'x', bytes }])).toThrow(message)
    expect(() => cifar10FromBinary([{ name: 'x', bytes }])).toThrow(FormatError)
  })
})
