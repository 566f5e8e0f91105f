/** Tensors that are stored alone, as the ONNX project stores inputs and outputs for tests. */
import { readTensorProto, tensorValues, type OnnxValues } from '../../formats/onnx.js'
import { checkCount } from '../../runtime/options.js'
import type { FileBytes } from '../../formats/limits.js'

/** A tensor of a file: its type, its extents and its elements. */
export type TensorFile = OnnxValues

/**
 * Reads a file that holds one tensor (`input_0.pb`), with names as `tensor(values, dims, { dtype })` takes them.
 * @throws FormatError when it is damaged, UnsupportedError when its type is not supported
 */
export function readTensorFile(file: FileBytes, name = 'the tensor'): TensorFile {
  checkCount('readTensorFile', 2, arguments)
  return tensorValues(readTensorProto(file, name), {}, name)
}
