/** Table of contents: every target by name. */
import type { Target } from './target.js'
import checkpoint from './targets/checkpoint.js'
import cifar10 from './targets/cifar10.js'
import edge from './targets/edge.js'
import { convGeometry, convGeometryThreads, operationGeometry, operationGeometryThreads } from './targets/geometry.js'
import { gzipIdx, idx, mnist } from './targets/idx.js'
import { nifti, wav } from './targets/recordings.js'
import jpeg from './targets/jpeg.js'
import { layers, longModels, modelJson } from './targets/layers.js'
import { modelFile, modelText } from './targets/model-file.js'
import onnx, { onnxPrograms, onnxReal } from './targets/onnx.js'
import { operations, operationsThreads } from './targets/operations.js'
import options from './targets/options.js'
import pictures from './targets/pictures.js'
import png from './targets/png.js'
import safetensors from './targets/safetensors.js'
import { selfTests } from './targets/self-test.js'
import texts from './targets/texts.js'
import tfjs from './targets/tfjs.js'

export const targets: Readonly<Record<string, Target>> = {
  png,
  jpeg,
  idx,
  'gzip-idx': gzipIdx,
  wav,
  nifti,
  mnist,
  cifar10,
  pictures,
  safetensors,
  onnx,
  'onnx-programs': onnxPrograms,
  'onnx-real': onnxReal,
  tfjs,
  'model-file': modelFile,
  'model-text': modelText,
  checkpoint,
  layers,
  'model-json': modelJson,
  'long-models': longModels,
  options,
  operations,
  'operations-threads': operationsThreads,
  'conv-geometry': convGeometry,
  'conv-geometry-threads': convGeometryThreads,
  'operation-geometry': operationGeometry,
  'operation-geometry-threads': operationGeometryThreads,
  texts,
  edge,
  ...Object.fromEntries(selfTests),
}
