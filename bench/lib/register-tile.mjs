// @ts-check
// The most that the processor can do in WebAssembly SIMD: one register tile of a matrix product, C (rows, 8) +=
// A (rows, k) · B (k, 8), on panels that never leave the first-level cache, again and again inside WebAssembly. No
// packing, no memory, no edges, no call from JavaScript that would count. Whatever multiplies matrices is at or below
// this.
//
// The module is written here, instruction by instruction, so that it depends on nothing that is measured against it.
// Its form is what V8 compiles best: one flat loop over k, tested at its top (tested at the bottom, five rows run at
// half the speed), accumulators loaded from C before it and stored after it, in a function of its own.
import { varint } from './varint.mjs'

const steps = 256 // k: 4 to 6 kB of A and 8 kB of B
const panelA = 0
const panelB = 8192
const tileC = 24_576

const i32 = 0x7f
const v128 = 0x7b
const code = {
  loop: [0x03, 0x40],
  if: [0x04, 0x40],
  end: 0x0b,
  branch: 0x0c,
  branchIf: 0x0d,
  call: 0x10,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  constant: 0x41,
  lessThan: 0x49, // i32.lt_u
  add: 0x6a,
  subtract: 0x6b,
  vectorLoad: [0xfd, 0x00],
  vectorLoadSplat: [0xfd, 0x09],
  vectorStore: [0xfd, 0x0b],
  vectorAdd: [0xfd, 0xe4, 0x01],
  vectorMultiply: [0xfd, 0xe6, 0x01],
  vectorMultiplyAdd: [0xfd, 0x85, 0x02], // relaxed
}

/**
 * `run(repeats)` computes the tile that often, `operations` floating-point operations each time, and shows C.
 * @param {number} rows of the tile
 * @param {'strict' | 'relaxed'} simd mul and add, or the fused multiply-add of relaxed SIMD
 * @returns {{ operations: number, run: (repeats: number) => Float32Array }}
 */
export function registerTile(rows, simd) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(rows, simd)))
  const { run, memory } = exports
  if (!(memory instanceof WebAssembly.Memory) || typeof run !== 'function') throw new Error('the tile has no exports')
  new Float32Array(memory.buffer, panelA, rows * steps).fill(1e-3)
  new Float32Array(memory.buffer, panelB, 8 * steps).fill(1e-3)
  const tile = new Float32Array(memory.buffer, tileC, rows * 8)
  return {
    operations: 2 * rows * 8 * steps,
    run(repeats) {
      run(repeats)
      return tile
    },
  }
}

/**
 * @param {number} rows
 * @param {'strict' | 'relaxed'} simd
 */
function moduleBytes(rows, simd) {
  const types = [
    [0x60, ...vector([i32], [i32], [i32], [i32]), 0],
    [0x60, ...vector([i32]), 0],
  ]
  const [tileFunction, runFunction] = [0, 1]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(...types)),
    ...section(3, vector([0], [1])),
    ...section(5, vector([0x00, 1])), // memory of one page
    ...section(7, vector([...name('run'), 0x00, runFunction], [...name('memory'), 0x02, 0])),
    ...section(10, vector(sized(tileBody(rows, simd)), sized(runBody(tileFunction)))),
  ])
}

/**
 * tile(a, b, end, c): c += a · b while b < end.
 * @param {number} rows
 * @param {'strict' | 'relaxed'} simd
 */
function tileBody(rows, simd) {
  const [a, b, end, c, left, right, splat] = [0, 1, 2, 3, 4, 5, 6]
  const accumulators = Array.from({ length: 2 * rows }, (_, index) => 7 + index)
  const locals = vector([...varint(3 + accumulators.length), v128])
  const advance = (/** @type {number} */ pointer, /** @type {number} */ bytes) => [
    code.get,
    pointer,
    code.constant,
    ...signed(bytes),
    code.add,
    code.set,
    pointer,
  ]
  const multiplyAdd = (/** @type {number} */ accumulator, /** @type {number} */ factor) =>
    simd === 'relaxed'
      ? [code.get, splat, code.get, factor, code.get, accumulator, ...code.vectorMultiplyAdd, code.set, accumulator]
      : [
          ...[code.get, splat, code.get, factor, ...code.vectorMultiply],
          ...[code.get, accumulator, ...code.vectorAdd, code.set, accumulator],
        ]
  return [
    ...locals,
    ...accumulators.flatMap((accumulator, at) => {
      return [code.get, c, ...code.vectorLoad, ...at16(at), code.set, accumulator]
    }),
    ...code.loop,
    ...[code.get, b, code.get, end, code.lessThan, ...code.if],
    ...[code.get, b, ...code.vectorLoad, ...at16(0), code.set, left],
    ...[code.get, b, ...code.vectorLoad, ...at16(1), code.set, right],
    ...Array.from({ length: rows }, (_, row) => [
      ...[code.get, a, ...code.vectorLoadSplat, 2, ...varint(4 * row), code.set, splat],
      ...multiplyAdd(7 + 2 * row, left),
      ...multiplyAdd(8 + 2 * row, right),
    ]).flat(),
    ...[...advance(a, 4 * rows), ...advance(b, 32), code.branch, 1],
    code.end,
    code.end,
    ...accumulators.flatMap((accumulator, at) => {
      return [code.get, c, code.get, accumulator, ...code.vectorStore, ...at16(at)]
    }),
    code.end,
  ]
}

/**
 * run(repeats): the tile, `repeats` times.
 * @param {number} tileFunction
 */
function runBody(tileFunction) {
  const repeats = 0
  return [
    ...vector(), // no locals
    ...code.loop,
    ...[panelA, panelB, panelB + 32 * steps, tileC].flatMap((address) => [code.constant, ...signed(address)]),
    ...[code.call, tileFunction],
    ...[code.get, repeats, code.constant, 1, code.subtract, code.tee, repeats, code.branchIf, 0],
    code.end,
    code.end,
  ]
}

/** Alignment and offset of the vector `index` vectors behind an address. @param {number} index */
const at16 = (index) => [4, ...varint(16 * index)]

/** @param {number[][]} items */
const vector = (...items) => [...varint(items.length), ...items.flat()]

/** @param {number[]} bytes */
const sized = (bytes) => [...varint(bytes.length), ...bytes]

/**
 * @param {number} id
 * @param {number[]} content
 */
const section = (id, content) => [id, ...sized(content)]

/** @param {string} text */
const name = (text) => sized([...Buffer.from(text)])

/** A signed LEB128 number from 0 on: one more byte where the highest bit would be read as a minus. @param {number} number */
function signed(number) {
  const bytes = varint(number)
  const last = bytes.at(-1) ?? 0
  return last < 64 ? bytes : [...bytes.slice(0, -1), last + 128, 0]
}
